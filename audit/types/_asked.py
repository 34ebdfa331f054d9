# SPDX-License-Identifier: Apache-2.0
"""What is asked, of whom, and what they answer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from audit.types._words import Outcome, Scalar

__all__ = ["Generation", "Generator", "GeneratorSpec", "Prompt", "Request", "size_of"]


@dataclass(frozen=True, slots=True)
class Prompt:
    """One expanded prompt of a probe set.

    Attributes:
        id: unique within its probe set, stable across versions ("occupations/nurse").
        text: what the generator is told.
        probe: name of the probe set it belongs to.
        axes: the template values that made it, e.g. ``{"occupation": "nurse"}``.
        negative: negative prompt, for generators that take one.
        tags: free labels, e.g. ``"sensitive"`` (blurred by default wherever images are shown).
        pair: equal for prompts that differ only in the axes that the set declares as paired; they share their seeds,
            so that what differs between the images is the word that was exchanged. None: paired with nothing.
        meant: what the picture is held against where that is not ``text``, e.g. the prompt before typing errors.
    """

    id: str
    text: str
    probe: str
    axes: Mapping[str, str] = field(default_factory=dict)
    negative: str | None = None
    tags: frozenset[str] = frozenset()
    pair: str | None = None
    meant: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One image asked of one generator.

    Attributes:
        id: sha256 (hex, first 32 digits) of the content: generator name, prompt, parameters, repetition and seed.
        generator: name of the generator in the configuration.
        prompt: what is asked.
        repetition: 0-based repetition of the prompt.
        seed: 63-bit, a function of run seed, prompt id and repetition only; equal across generators (paired designs),
            and never a function of batch, shard, worker or order.
        params: generator parameters (steps, guidance, size ...).
    """

    id: str
    generator: str
    prompt: Prompt
    repetition: int
    seed: int
    params: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GeneratorSpec:
    """Identity of a generator: enough to say which weights drew an image."""

    name: str
    kind: str
    model: str
    digest: str | None  # sha256 over the weights, None where they cannot be seen (hosted models)
    licence: str | None = None
    capabilities: frozenset[str] = frozenset()  # e.g. "text", "class", "negative", "seed", "size"
    details: Mapping[str, Scalar] = field(default_factory=dict)  # pipeline class, scheduler, dtype ...


@dataclass(frozen=True, slots=True, eq=False)
class Generation:
    """The answer to one request: a picture, or the reason why there is none.

    Attributes:
        request_id: which request.
        outcome: IMAGE exactly when there is a picture.
        image: the picture as a file (PNG, JPEG, WebP), kept byte by byte; None where ``pixels`` hold it.
        media_type: of ``image``.
        seconds: wall time attributable to this image (batch time / batch size).
        message: refusal text or error.
        meta: what else is known: the seed that was used, how many images were drawn at once, what it cost.
        pixels: the picture as uint8 (height, width, 3), not encoded yet; None where ``image`` holds it.
    """

    request_id: str
    outcome: Outcome
    image: bytes | None = None
    media_type: str | None = None
    seconds: float | None = None
    message: str | None = None
    meta: Mapping[str, Scalar] = field(default_factory=dict)
    pixels: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        pictures = (self.image is not None) + (self.pixels is not None)
        if pictures != (self.outcome is Outcome.IMAGE):
            raise ValueError(
                f"generation {self.request_id}: outcome {self.outcome} does not go with {pictures} pictures"
            )


@runtime_checkable
class Generator(Protocol):
    """Anything that answers a batch of requests, one generation a request, in any order."""

    @property
    def spec(self) -> GeneratorSpec:
        """Identity and capabilities; cheap after construction."""
        ...

    def generate(self, batch: Sequence[Request], /) -> Sequence[Generation]:
        """Answer every request of ``batch``. May raise: the runner then retries one by one and records ERROR rows."""
        ...


def size_of(params: Mapping[str, Scalar]) -> tuple[int, int] | None:
    """Width and height in pixels that parameters ask for: ``size`` (512 or "512x768"), or ``width`` and ``height``.

    >>> size_of({"size": "512x768"}), size_of({"size": 64}), size_of({"size": "auto"})
    ((512, 768), (64, 64), None)
    """
    size = params.get("size")
    if isinstance(size, int) and not isinstance(size, bool):
        return size, size
    found = re.fullmatch(r"(\d{1,6})\s*[xX×*]\s*(\d{1,6})", str(size or ""))
    if found:
        return int(found[1]), int(found[2])
    width, height = params.get("width"), params.get("height")
    return (width, height) if isinstance(width, int) and isinstance(height, int) else None
