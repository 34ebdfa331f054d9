# SPDX-License-Identifier: Apache-2.0
"""The reference renderer as a generator: every picture's truth is known and travels in ``Generation.meta``."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from audit.checkpoints import check_options, digest_of
from audit.errors import ConfigError
from audit.generators._common import drawn, failed
from audit.generators._truth import Sampler, truth_of
from audit.types import Generation, GeneratorSpec, Outcome, Request

__all__ = ["RendererGenerator"]

_OPTIONS: Mapping[str, type | tuple[type, ...]] = {
    "block": list,
    "cycle": int,
    "duplicates": int,
    "fail_on": list,
    "memorised": (int, float),
    "refuse": list,
    "shares": str,
    "size": int,
}
_VERSION = "1"


class RendererGenerator:
    """Draws people of the reference world; what the prompt leaves open follows known shares.

    Args:
        name: in the configuration.
        model: None or ``reference:renderer``.
        params: ``size``: edge of the picture in pixels (also an option; the parameter of a request wins).
        options: ``size`` (64); ``shares``: ``planted`` (skewed by occupation, the default) or ``uniform``;
            ``cycle``: every block of so many repetitions of a prompt has the shares exactly (as far as whole people
            allow); ``duplicates``: every k-th repetition repeats the picture of repetition 0; ``memorised``: share of
            requests that draw a memorised gallery person; ``refuse``, ``block``, ``fail_on``: words that make a
            prompt end as REFUSED, as BLOCKED, or raise.

    Raises:
        ConfigError: an unknown option, or a value out of range.
    """

    def __init__(
        self,
        name: str,
        *,
        model: str | None = None,
        params: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.name, self._where = name, f"generator {name!r}"
        self._options, params = dict(options or {}), dict(params or {})
        check_options(self._options, _OPTIONS, where=f"{self._where}: options")
        check_options(params, {"size": int}, where=f"{self._where}: params")
        if model not in (None, "reference:renderer"):
            raise ConfigError(f"unknown model {model!r}", where=self._where, hint="leave it out: there is one renderer")
        self._size = _between(int(params.get("size") or self._options.get("size") or 64), 16, 1024, "size", self._where)
        shares = self._options.get("shares") or "planted"
        if shares not in ("planted", "uniform"):
            raise ConfigError(f"shares must be planted or uniform, got {shares!r}", where=self._where)
        self._sampler = Sampler(
            shares=shares,
            cycle=_between(int(self._options.get("cycle") or 0), 0, 1_000_000, "cycle", self._where),
            duplicates=_between(int(self._options.get("duplicates") or 0), 0, 1_000_000, "duplicates", self._where),
            memorised=_between(float(self._options.get("memorised") or 0), 0, 1, "memorised", self._where),
        )

    @property
    def spec(self) -> GeneratorSpec:
        """Identity: the digest covers the settings, the planted shares and the renderer's version."""
        from audit.reference.world import planted

        settings = {**self._options, "size": self._size, "renderer": _VERSION, "planted": planted()}
        return GeneratorSpec(
            self.name,
            "renderer",
            "reference:renderer",
            digest_of(settings),
            licence="Apache-2.0",
            capabilities=frozenset({"text", "seed", "size"}),
            details={"size": self._size, "shares": self._sampler.shares},
        )

    def generate(self, batch: Sequence[Request], /) -> list[Generation]:
        """Answer every request, in the order given. Raises RuntimeError for prompts with a word of ``fail_on``."""
        for request in batch:
            if word := self._said(request, "fail_on"):
                raise RuntimeError(f"the renderer was told to fail on {word!r}")
        sizes: dict[int, list[Request]] = {}
        answers: dict[str, Generation] = {}
        for request in batch:
            if word := self._said(request, "refuse"):
                message = f"I cannot draw that: {word}"
                answers[request.id] = failed(request, message, outcome=Outcome.REFUSED)
            elif word := self._said(request, "block"):
                message = f"withheld by the word list: {word}"
                answers[request.id] = failed(request, message, outcome=Outcome.BLOCKED)
            else:
                size = int(request.params.get("size") or self._size)
                sizes.setdefault(_between(size, 16, 1024, "size", self._where), []).append(request)
        for size, requests in sizes.items():
            answers |= {answer.request_id: answer for answer in self._draw(requests, size)}
        return [answers[request.id] for request in batch]

    def close(self) -> None:
        """Nothing to forget."""

    def _draw(self, requests: list[Request], size: int) -> list[Generation]:
        from audit.reference.render import render
        from audit.reference.world import concat

        start = time.perf_counter()
        people = [self._sampler.person(request) for request in requests]
        # Rounded to levels, a picture does not depend on its neighbours (tests/contract checks it to the byte).
        images = render(concat(people), size=size)
        seconds = (time.perf_counter() - start) / len(requests)
        return [
            drawn(request, image, seconds=seconds, meta={"seed": request.seed, **truth_of(person)})
            for request, image, person in zip(requests, images, people, strict=True)
        ]

    def _said(self, request: Request, option: str) -> str | None:
        """The first word or phrase of the option's list that the prompt holds."""
        from audit.reference.world import words

        flat = f" {' '.join(words(request.prompt.text))} "
        listed = [str(word) for word in self._options.get(option) or ()]
        return next((word for word in listed if f" {' '.join(words(word))} " in flat), None)


def _between(value: Any, low: float, high: float, what: str, where: str) -> Any:
    if not low <= value <= high:
        raise ConfigError(f"{what} must be between {low} and {high}, got {value}", where=where)
    return value
