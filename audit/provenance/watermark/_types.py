# SPDX-License-Identifier: Apache-2.0
"""One interface for marks in the pixels themselves: put a payload in, read it back from what is left of the picture."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Reading", "Watermark", "WatermarkSpec", "payload_of"]


@dataclass(frozen=True, slots=True)
class WatermarkSpec:
    """Identity of a watermark.

    Attributes:
        name: short, as in an audit file, e.g. "spread".
        algorithm: as named in the soft binding, e.g. "org.genaudit.spread.1".
        digest: sha256 over all that decides what is read: code version, key, weights.
        licence: SPDX.
        bits: length of the payload, a multiple of 8.
        min_side: shortest side, in pixels, on which it is promised to work.
        false_positive_rate: bound on the chance that an unmarked picture is read as marked, per picture.
        rate_source: where that bound comes from: "computed: ..." or "declared by ...".
    """

    name: str
    algorithm: str
    digest: str
    licence: str
    bits: int
    min_side: int
    false_positive_rate: float
    rate_source: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read.

    Attributes:
        payload: the bytes, None where no mark was found.
        p_value: bound on the chance of a score like this in an unmarked picture, over everything that was tried; None
            where the algorithm cannot say.
        detail: how it was found, e.g. scale and shift; for people and logs.
    """

    payload: bytes | None
    p_value: float | None = None
    detail: str = ""

    @property
    def found(self) -> bool:
        """Whether there is a mark."""
        return self.payload is not None


class Watermark(Protocol):
    """An imperceptible mark. Safe to share between threads; can be pickled."""

    @property
    def spec(self) -> WatermarkSpec:
        """Identity."""

    def embed(self, rgb: NDArray[np.uint8], payload: bytes, /) -> NDArray[np.uint8]:
        """The marked picture, same shape.

        Args:
            rgb: (h, w, 3) levels.
            payload: exactly ``spec.bits / 8`` bytes.

        Raises:
            ValueError: the picture is too small, or the payload has another length.
        """

    def read(self, rgb: NDArray[np.uint8], /) -> Reading:
        """What can be read; never raises for a picture of any size."""


def payload_of(manifest_id: str, bits: int) -> bytes:
    """First ``bits`` of the SHA-256 of a manifest's label: what a watermark carries to lead back to the manifest."""
    return hashlib.sha256(manifest_id.encode()).digest()[: bits // 8]
