# SPDX-License-Identifier: Apache-2.0
"""From a picture to the waves of its tiles and back."""

from __future__ import annotations

import functools
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from audit.provenance.watermark._layout import REACH, RINGS, Layout

__all__ = [
    "SIDEWAYS",
    "SMALL",
    "Complex",
    "Plane",
    "looked_at",
    "mirrored",
    "plane_of",
    "tiles",
    "waves",
    "whitened",
    "working",
    "woven",
]

Plane = NDArray[np.float32]
Level = TypeVar("Level", np.uint8, np.float32)
Complex = NDArray[np.complex128]

_SHORT = 512  # pixels looked at, over the short side
_LONG = 3  # times the short side
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_TILE = 64  # pixels over the side of a tile, about
_MOST = 8  # tiles over the short side
# Found by trial on rendered people of 64 pixels, which are the hardest: see benchmarks/watermark.py.
_BLUR = 1 / 40  # of a tile
_FLOOR = 1.0  # levels: less than this is as good as flat
_CLIP = 1.0
#: Pixels over the short side; of larger pictures strength is plenty and time is not.
SMALL = 160
#: Which of ``mirrored``, counted from 1, have width and height exchanged.
SIDEWAYS = frozenset({4, 5, 6, 7})


def tiles(short: int) -> int:
    """Tiles over the short side of a picture that is to be marked: a power of two, so that a reader has few to try."""
    return int(2 ** np.clip(np.round(np.log2(short / _TILE)), 0, np.log2(_MOST)))


def working(rgb: NDArray[np.uint8]) -> Plane:
    """Luma (h, w) in levels of ``looked_at``, made smaller so that the short side is at most 512."""
    rgb = looked_at(rgb)
    short = min(rgb.shape[:2])
    if short > _SHORT:
        size = (round(rgb.shape[1] * _SHORT / short), round(rgb.shape[0] * _SHORT / short))
        rgb = np.asarray(Image.fromarray(np.ascontiguousarray(rgb)).resize(size, Image.Resampling.BOX))
    luma: Plane = rgb.astype(np.float32) @ _LUMA
    return luma


def looked_at(rgb: NDArray[Level]) -> NDArray[Level]:
    """The picture without what is beyond three times its short side: as a view, so writing to it writes to both."""
    most = _LONG * min(rgb.shape[:2])
    return rgb[:most, :most]


def plane_of(luma: Plane, tile: float) -> tuple[Plane, Plane]:
    """What a mark is looked for in: fine detail, made equally strong everywhere, and the factor by which it was.

    A picture's own edges and textures are noise to the reader. Dividing by the local strength of detail keeps an edge
    from drowning what flat parts say, which is the locally best detector for noise of varying strength.

    Args:
        luma: (h, w).
        tile: side of a tile in pixels.

    Returns:
        Detail (h, w), and its derivative by the picture's levels, 0 where it is clipped.
    """
    blur = functools.partial(ndimage.gaussian_filter, sigma=tile * _BLUR, truncate=3.0)
    detail = luma - blur(luma)
    factor = 1 / np.sqrt(blur(detail * detail) + np.float32(_FLOOR**2))
    even = detail * factor
    return even.clip(-_CLIP, _CLIP), np.where(np.abs(even) < _CLIP, factor, 0).astype(np.float32)


def _phases(length: int, tile: float) -> NDArray[np.float32]:
    """Cosines and, below, sines of 2 pi k x / tile at the middles of the pixels: (2 REACH, length), k from 0."""
    turns = np.outer(np.arange(REACH), (np.arange(length) + 0.5) / tile) % 1
    angle = (2 * np.pi * turns).astype(np.float32)
    return np.concatenate([np.cos(angle), np.sin(angle)])


def waves(plane: Plane, tile: float) -> Complex:
    """Waves of all tiles together, (2 REACH - 1, 2 REACH - 1): row and column k stand for k - REACH + 1 cycles a tile.

    A tile may have any side, whole pixels or not: this is a Fourier sum at those very frequencies, with nothing
    resampled. Adding tiles up is part of it.
    """
    height, width = plane.shape
    down = _phases(height, tile)
    across = down if width == height else _phases(width, tile)
    parts = (down @ plane @ across.T).astype(np.float64).reshape(2, REACH, 2, REACH)
    even, odd = parts[0, :, 0] - parts[1, :, 1], parts[0, :, 1] + parts[1, :, 0]  # (cos - i sin)(cos - i sin)
    rising = even - 1j * odd
    falling = parts[0, :, 0] + parts[1, :, 1] + 1j * (parts[0, :, 1] - parts[1, :, 0])
    half = np.concatenate([falling[:, :0:-1], rising], axis=1)
    return np.concatenate([half[:0:-1, ::-1].conj(), half])


def whitened(table: Complex, layout: Layout) -> Complex:
    """The layout's waves (..., n) of tables (..., 29, 29), with mean square 1 in each ring."""
    taken: Complex = table[..., layout.down + REACH - 1, layout.across + REACH - 1]
    power = np.abs(taken) ** 2
    member = (layout.ring[:, None] == np.arange(RINGS)) / np.bincount(layout.ring)
    white: Complex = taken / np.sqrt((power @ member)[..., layout.ring] + 1e-12)
    return white


def mirrored(table: Complex, shape: tuple[int, ...], tile: float) -> list[Complex]:
    """The waves of the seven other ways to turn or mirror a picture, counted from what is then its upper left corner.

    Mirroring takes a wave to its opposite, and the corner that it is counted from to the other side.
    """
    down, across = (np.exp(-2j * np.pi * np.arange(1 - REACH, REACH) * side / tile) for side in shape[:2])
    flip_y, flip_x = table[::-1] * down[:, None], table[:, ::-1] * across
    both = table[::-1, ::-1] * down[:, None] * across
    return [flip_y, flip_x, both, *(t.T for t in (table, flip_y, flip_x, both))]


def woven(symbols: Complex, layout: Layout, shape: tuple[int, int], tile: float) -> Plane:
    """The pattern (h, w) that has these amplitudes (n,) in each tile; the real part of their sum."""
    table = np.zeros((REACH, 2 * REACH - 1), np.complex64)
    table[layout.down, layout.across + REACH - 1] = symbols
    cos, sin = np.split(_phases(shape[1], tile), 2)
    columns = np.concatenate([(cos - 1j * sin)[:0:-1], cos + 1j * sin])  # of exp(2 pi i k x / tile), k from -14 to 14
    rows = table @ columns
    down = _phases(shape[0], tile)
    pattern: Plane = down.T @ np.concatenate([rows.real, -rows.imag])
    return pattern
