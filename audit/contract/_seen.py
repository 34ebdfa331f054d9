# SPDX-License-Identifier: Apache-2.0
"""Pictures that came, and how far two of them are apart."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit.images import pixels_of
from audit.types import Generation, Outcome, Scalar

__all__ = ["Difference", "Seen", "compare", "different", "see"]


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What came of one request.

    Attributes:
        outcome: as the generator says; None where it gave no answer.
        rgb: uint8 (height, width, 3); None where there is no picture that can be used.
        message: why there is none.
        fault: what is wrong with a picture that was given.
    """

    outcome: Outcome | None
    rgb: NDArray[np.uint8] | None = None
    message: str = ""
    fault: str = ""


def see(generation: Generation) -> Seen:
    """Decode an answer."""
    if generation.outcome is not Outcome.IMAGE:
        return Seen(generation.outcome, message=generation.message or "no reason given")
    try:
        rgb = pixels_of(generation)
    except ValueError as error:
        return Seen(generation.outcome, message=str(error), fault=str(error))
    return Seen(generation.outcome, rgb, fault=_mislabelled(generation))


def _mislabelled(generation: Generation) -> str:
    """What is wrong about the media type of a file that was decoded."""
    if generation.image is None:
        return ""
    from PIL import Image

    with Image.open(io.BytesIO(generation.image)) as image:
        found = Image.MIME.get(str(image.format), f"image/{str(image.format).lower()}")
    told = generation.media_type
    return "" if told == found else f"media type {told}, the file is {found}"


@dataclass(frozen=True, slots=True)
class Difference:
    """How far apart the answers to the same requests are.

    Attributes:
        compared: requests that were answered both times.
        differing: of these, those whose outcome, size or pixels differ by more than what is tolerated.
        outcomes: those whose outcome or size differs.
        largest: largest absolute difference, in levels.
        mean: mean absolute difference over all pixels, in levels.
    """

    compared: int = 0
    differing: int = 0
    outcomes: int = 0
    largest: int = 0
    mean: float = 0.0

    def __str__(self) -> str:
        if not self.compared:
            return "nothing to compare"
        if not self.differing and not self.largest:
            return "bit-equal"
        levels = f"largest difference {self.largest} level{'s'[: self.largest != 1]}, mean {self.mean:.3g}"
        if not self.outcomes:
            return f"{self.differing} of {self.compared} differ ({levels})"
        other = f"{self.differing} of {self.compared} differ, {self.outcomes} in outcome or size"
        return f"{other} ({levels})" if self.largest else other

    def figures(self, prefix: str) -> dict[str, Scalar]:
        """For JSON."""
        return {
            f"{prefix}_compared": self.compared,
            f"{prefix}_differing": self.differing,
            f"{prefix}_largest": self.largest,
            f"{prefix}_mean": self.mean,
        }


def compare(first: Mapping[str, Seen], second: Mapping[str, Seen], *, tolerance: int) -> Difference:
    """Compare answers by request id; what was not answered at all one of the times is left out."""
    compared = differing = outcomes = largest = 0
    means = []
    for name in first.keys() & second.keys():
        one, two = first[name], second[name]
        if one.outcome is None or two.outcome is None:
            continue
        compared += 1
        if one.rgb is None or two.rgb is None or one.rgb.shape != two.rgb.shape:
            other = one.outcome is not two.outcome or one.rgb is not two.rgb
            outcomes, differing = outcomes + other, differing + other
            continue
        apart = _apart(one.rgb, two.rgb)
        largest = max(largest, int(apart.max()))
        means.append(float(apart.mean()))
        differing += int(apart.max()) > tolerance
    return Difference(compared, differing, outcomes, largest, float(np.mean(means)) if means else 0.0)


def different(pictures: Iterable[NDArray[np.uint8]], *, tolerance: int) -> int:
    """How many pictures are left when those within ``tolerance`` levels of an earlier one are left out."""
    kept: dict[bytes, NDArray[np.uint8]] = {}
    for rgb in pictures:
        name = f"{rgb.shape}".encode() + rgb.tobytes()
        if name in kept or (tolerance and any(_same(rgb, one, tolerance) for one in kept.values())):
            continue
        kept[name] = rgb
    return len(kept)


def _same(one: NDArray[np.uint8], two: NDArray[np.uint8], tolerance: int) -> bool:
    return one.shape == two.shape and int(_apart(one, two).max()) <= tolerance


def _apart(one: NDArray[np.uint8], two: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Absolute difference in levels, without wrapping around."""
    return np.maximum(one, two) - np.minimum(one, two)
