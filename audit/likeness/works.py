# SPDX-License-Identifier: Apache-2.0
"""Enrolled artworks: how similar a picture is to the most similar of them, without any trained model.

A picture is shrunk to 16x16, the mean of each colour is taken off, and the 768 numbers are scaled to length one; the
product of two such rows is their normalised cross-correlation (Lewis 1995). A work is enrolled as many rows: parts of
it cut at several scales and shifts, its border repeated outwards. The similarity is the largest product over all of
them, so mild cropping, shifting, blur, compression, noise, brightness and contrast change it little. Mirrored, turned
or recoloured copies are not found, nor is a detail of a work.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from audit.errors import ConfigError
from audit.likeness.search import best_match

__all__ = ["DEGRADED", "Works", "degrade", "describe", "enrol"]

Images = Iterable[NDArray[np.uint8]]
Floats = NDArray[np.float32]
_SIDE: Final = 16
_SCALES: Final = (1.0, 0.92, 0.85)
_SHIFTS: Final = (-0.06, -0.03, 0.0, 0.03, 0.06)
_FLAT: Final = 2.0  # standard deviation in levels below which a picture has no layout to compare
#: What `degrade` does, in words.
DEGRADED: Final = (
    "cut to 90-100 % of the width, shifted by up to 5 %, blurred by up to 1.5/64 of the side, contrast by 20 %, "
    "brightness by 25 levels, noise up to 12 levels, JPEG quality 30 to 95"
)


@dataclass(frozen=True, slots=True, eq=False)
class Works:
    """Enrolled works.

    Attributes:
        ids: names of the works, unique.
        rows: float32 (len(ids) * k, 768), k descriptors a work in the order of ``ids``.
    """

    ids: tuple[str, ...]
    rows: Floats = field(repr=False)

    def compare(self, images: Images) -> tuple[Floats, NDArray[np.int64]]:
        """Similarity (n,) to the most similar work, -1 to 1, and its index (n,).

        Flat pictures have nothing to compare: NaN and -1.
        """
        rows = describe(images)
        seen = np.isfinite(rows).all(axis=1)
        score, index = np.full(len(rows), np.nan, np.float32), np.full(len(rows), -1, np.int64)
        if seen.any():
            score[seen], best = best_match(rows[seen], self.rows)
            index[seen] = best // (len(self.rows) // len(self.ids))
        return score, index


def enrol(ids: Sequence[str], images: Sequence[NDArray[np.uint8]]) -> Works:
    """Enrol one picture a work.

    Args:
        ids: unique names.
        images: as many pictures (h, w, 3), of any sizes.

    Raises:
        ConfigError: there is no work, or one is a flat picture.
    """
    if not ids:
        raise ConfigError("no work is enrolled", where="works", hint="put pictures of the works into the folder")
    for name, image in zip(ids, images, strict=True):
        if not np.isfinite(describe([image])).all():
            raise ConfigError(f"work {name!r} is a flat picture: it has no layout to compare", where="works")
    return Works(tuple(ids), np.concatenate([_normalised(_views(image)) for image in images]))


def describe(images: Images) -> Floats:
    """Descriptors (n, 768) of pictures of any sizes; NaN for flat ones."""
    small = [_shrink(Image.fromarray(image)) for image in images]
    return _normalised(np.stack(small)) if small else np.empty((0, 3 * _SIDE**2), np.float32)


def degrade(image: NDArray[np.uint8], *, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Make a copy as in ``DEGRADED``, of the same size up to 256 pixels a side."""
    width, height = (min(side, 256) for side in (image.shape[1], image.shape[0]))
    cut, (dx, dy) = float(rng.uniform(0.9, 1.0)), rng.uniform(-0.05, 0.05, 2)
    copy = _part(image, scale=cut, shift=(float(dx), float(dy)), size=(width, height))
    copy = copy.filter(ImageFilter.GaussianBlur(float(rng.uniform(0, 1.5)) * min(width, height) / 64))
    levels = (np.asarray(copy, np.float32) - 128) * rng.uniform(0.8, 1.2) + 128 + rng.uniform(-25, 25)
    levels += rng.normal(0.0, rng.uniform(0, 12), levels.shape)
    stream = io.BytesIO()
    Image.fromarray(levels.clip(0, 255).astype(np.uint8)).save(stream, "JPEG", quality=int(rng.integers(30, 96)))
    with Image.open(stream) as stored:
        return np.asarray(stored.convert("RGB"))


def _views(image: NDArray[np.uint8]) -> Floats:
    """Parts of a picture at all scales and shifts, shrunk; (k, 16, 16, 3)."""
    parts = itertools.product(_SCALES, _SHIFTS, _SHIFTS)
    size = (min(image.shape[1], 256), min(image.shape[0], 256))
    return np.stack([_shrink(_part(image, scale=scale, shift=(dx, dy), size=size)) for scale, dx, dy in parts])


def _part(image: NDArray[np.uint8], *, scale: float, shift: tuple[float, float], size: tuple[int, int]) -> Image.Image:
    """A part of the picture about its shifted centre; outside, its border is repeated."""
    height, width = image.shape[:2]
    x_pad, y_pad = width // 4 + 1, height // 4 + 1
    wide = Image.fromarray(np.pad(image, ((y_pad, y_pad), (x_pad, x_pad), (0, 0)), mode="edge"))
    left, top = x_pad + width * ((1 - scale) / 2 + shift[0]), y_pad + height * ((1 - scale) / 2 + shift[1])
    box = (left, top, left + width * scale, top + height * scale)
    return wide.resize(size, Image.Resampling.BILINEAR, box=box)


def _shrink(image: Image.Image) -> Floats:
    return np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BOX), np.float32)


def _normalised(small: Floats) -> Floats:
    rows = (small - small.mean((1, 2), keepdims=True)).reshape(len(small), -1)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    flat = length < _FLAT * np.sqrt(rows.shape[1])
    unit: Floats = np.where(flat, np.nan, rows / np.maximum(length, 1e-6)).astype(np.float32)
    return unit
