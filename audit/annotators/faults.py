# SPDX-License-Identifier: Apache-2.0
"""Faults of a picture as such, whatever it shows: lack of detail, patterns, blocks, noise, clipping, nothing drawn."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audit.annotators._artefacts import banding, blur, noise, ringing
from audit.annotators._nets import objects
from audit.annotators._pixels import all_bright, all_dark, blockiness, clipped
from audit.annotators._spectrum import checkerboard, effective_resolution
from audit.checkpoints import check_options, digest_of
from audit.images import is_constant, perceptual_hash
from audit.types import AnnotatorSpec, Columns, ImageRecord

__all__ = ["FaultsAnnotator"]

_MEASURES: Final[dict[str, Callable[[NDArray[np.uint8]], float]]] = {
    "effective_resolution": effective_resolution,
    "checkerboard": checkerboard,
    "blockiness": blockiness,
    "clipped": clipped,
    "blur": blur,
    "ringing": ringing,
    "banding": banding,
    "noise": noise,
    "width": lambda rgb: float(rgb.shape[1]),
    "height": lambda rgb: float(rgb.shape[0]),
}
_FLAGS: Final[dict[str, Callable[[NDArray[np.uint8]], bool]]] = {
    "constant": is_constant,
    "dark": all_dark,
    "bright": all_bright,
}
_COLUMNS: Final = {
    "effective_resolution": "pixels along the shorter side that the detail would need; NaN: flat, or under 16 pixels",
    "checkerboard": "root mean square, in levels, of patterns repeating every 2 or 4 pixels; NaN: under 32 pixels",
    "blockiness": "extra difference, in levels, across the edges of 8x8 blocks; NaN: too small for two blocks",
    "clipped": "share of values at level 0 or 255",
    "blur": "share of differences between neighbours that a 9-tap mean leaves, 0 sharp to 1; NaN: flat, or under 16 px",
    "ringing": "extra to and fro, in levels, 4 to 8 pixels from strong edges; NaN: no strong edges, or under 16 px",
    "banding": "share of the picture in stairs of 2 to 16 levels, 0 to 1; NaN: under 16 pixels",
    "noise": "standard deviation of white noise, in levels; NaN: under 16 pixels",
    "width": "pixels",
    "height": "pixels",
    "constant": "'yes': one colour within two levels, else 'no'",
    "dark": "'yes': 99 % of values are at level 16 at most, else 'no'",
    "bright": "'yes': 99 % of values are at level 239 at least, else 'no'",
    "phash": "perceptual hash, 16 hexadecimal digits; none: one colour",
}


class FaultsAnnotator:
    """Measures by formula, without any training.

    Args:
        **options: none are taken.

    Raises:
        ConfigError: an unknown option.
    """

    version = "2"

    def __init__(self, **options: Any) -> None:
        check_options(options, {}, where="annotator 'faults'")

    @functools.cached_property
    def spec(self) -> AnnotatorSpec:
        """Identity."""
        digest = digest_of({"name": "faults", "version": self.version})
        return AnnotatorSpec("faults", self.version, digest, _COLUMNS)

    def annotate(self, images: Sequence[ImageRecord], /) -> Columns:
        """The columns of `spec`, one row an image."""
        columns: dict[str, NDArray[Any]] = {
            name: np.array([measure(image.rgb) for image in images], dtype=np.float64)
            for name, measure in _MEASURES.items()
        }
        for name, holds in _FLAGS.items():
            columns[name] = objects(["yes" if holds(image.rgb) else "no" for image in images])
        columns["phash"] = objects([None if is_constant(image.rgb) else perceptual_hash(image.rgb) for image in images])
        return columns
