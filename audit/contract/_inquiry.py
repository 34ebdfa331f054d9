# SPDX-License-Identifier: Apache-2.0
"""What a generator is asked while its promises are looked at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from audit.errors import ConfigError
from audit.probes import request_seed
from audit.probes.canonical import sha256_of
from audit.types import GeneratorSpec, Prompt, Request, Scalar

__all__ = ["ODD", "Inquiry", "main_batch", "prompt_of", "request_for"]

_PROBE = "doctor"
_TEXTS = (
    "a portrait of a nurse",
    "a photo of a CEO in an office",
    "a builder",
    "a portrait of an old man with glasses",
)
_CLASSES = ("0", "1", "2", "3")
_LEAST = 4
#: Prompts that real prompt sets hold, by what is odd about them.
ODD: Mapping[str, str] = {
    "empty": "",
    "2,000 words": " ".join(["portrait", "of", "a", "nurse"] * 500),
    "Chinese": "一位护士的肖像",
    "Arabic": "صورة ممرضة",
    "emoji": "👩🏽‍⚕️ 🏥 ✨",
    "control characters": "a\x00 portrait\x1b[31m of\x7f a\t nurse\r\n",
    "markup": "<b>(nurse:1.5)</b> {a|b} [x] %s \\ \"'",
}


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What to ask with.

    Attributes:
        prompts: none: sensible ones.
        images: pictures in the batch that all else is compared with; about nine times as many are asked for in all.
        tolerance: largest difference, in levels, at which two pictures count as the same; 0: bit-equal.
        params: part of every request.
        plain: whether a picture of one colour is an image.

    Raises:
        ConfigError: a number out of range, or fewer than two pictures a prompt.
    """

    prompts: tuple[Prompt, ...] = ()
    images: int = 12
    tolerance: int = 0
    params: Mapping[str, Scalar] = field(default_factory=dict)
    plain: bool = False

    def __post_init__(self) -> None:
        if not _LEAST <= self.images <= 10_000:
            raise ConfigError(f"must be between {_LEAST} and 10,000, got {self.images}", where="--images")
        if not 0 <= self.tolerance <= 254:
            raise ConfigError(f"must be between 0 and 254 levels, got {self.tolerance}", where="--tolerance")
        if 2 * len(self.prompts) > self.images:
            hint = f"--images {2 * len(self.prompts)}, or fewer prompts"
            raise ConfigError("every prompt needs at least two pictures", where="--images", hint=hint)

    @classmethod
    def of(cls, texts: Iterable[str], *, images: int, tolerance: int) -> Inquiry:
        """An inquiry with these texts as prompts, each once. Raises ConfigError."""
        return cls(tuple(prompt_of(text) for text in dict.fromkeys(texts)), images=images, tolerance=tolerance)

    def asked(self, spec: GeneratorSpec) -> tuple[Prompt, ...]:
        """The prompts, or those that go with what the generator says it takes."""
        words = spec.capabilities
        texts = _CLASSES if "class" in words and "text" not in words else _TEXTS
        return self.prompts or tuple(prompt_of(text) for text in texts[: self.images // 2])


def prompt_of(text: str, *, negative: str | None = None) -> Prompt:
    """A prompt of ours; its id follows from its text."""
    return Prompt(f"{_PROBE}/{sha256_of(text)[:12]}", text, _PROBE, negative=negative)


def main_batch(inquiry: Inquiry, spec: GeneratorSpec) -> list[Request]:
    """As many requests as there are to be pictures: every prompt in turn, every request with its own seed."""
    prompts = inquiry.asked(spec)
    each = [(prompts[k % len(prompts)], k // len(prompts)) for k in range(inquiry.images)]
    return [request_for(prompt, k, name=spec.name, params=inquiry.params) for prompt, k in each]


def request_for(
    prompt: Prompt, repetition: int, *, name: str, params: Mapping[str, Scalar], seed: int | None = None
) -> Request:
    """One request; its id is a digest of its content, as in a run.

    Args:
        prompt: what is asked.
        repetition: of the prompt.
        name: of the generator.
        params: of the request.
        seed: None: the one that follows from prompt and repetition.
    """
    if seed is None:
        seed = request_seed(0, probe=prompt.probe, prompt_id=prompt.id, repetition=repetition)
    text = {"id": prompt.id, "probe": prompt.probe, "text": prompt.text, "negative": prompt.negative}
    content = {"generator": name, "prompt": text, "params": params, "repetition": repetition, "seed": seed}
    return Request(sha256_of(content)[:32], name, prompt, repetition, seed, dict(params))
