# SPDX-License-Identifier: Apache-2.0
"""Is this the picture that was signed, edited, or another one? A guard against marks copied onto other pictures.

A perceptual hash cannot tell: cropping a tenth of a portrait changes 14 to 36 of its 64 bits, and another portrait of
the same model 4 to 50. So the picture is laid over a stored sketch at every size and place that a crop could have come
from, and the best correlation counts (normalised cross-correlation: Lewis 1995, Fast Normalized Cross-Correlation).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from audit.images import perceptual_hash

__all__ = ["LIKENESS", "SKETCH_BYTES", "likeness", "sketch", "sketch_hash"]

#: Above this, a picture counts as the signed one, edited.
LIKENESS: Final = 0.65
_SIDE: Final = 32
SKETCH_BYTES: Final = _SIDE * _SIDE
_SMALLEST: Final = 22  # of 32: up to 30 % of each side may have been cut away
_APART: Final = 5  # by how much width and height may have been cut differently
_DETAIL: Final = 1.0  # cells; what is coarser, such as a bright background, is common to too many pictures
_STRONG: Final = 8.0  # levels; beyond that an edge counts no more, or the edge of a caption would outweigh a face
_WORK: Final = 96
_FLAT: Final = 1e-6

_Cells: TypeAlias = NDArray[np.float64]


def sketch(rgb: NDArray[np.uint8]) -> bytes:
    """Luma of the picture at 32 by 32 cells, row by row, one byte each: 1,024 bytes.

    Args:
        rgb: (h, w, 3) levels.
    """
    from PIL import Image

    grey = Image.fromarray(rgb).convert("L")
    way = Image.Resampling.BOX if min(grey.size) >= _SIDE else Image.Resampling.BICUBIC
    return grey.resize((_SIDE, _SIDE), way).tobytes()


def sketch_hash(kept: bytes) -> str:
    """`audit.images.perceptual_hash` of a sketch: a tenth of the time, and what pictures are searched by."""
    grey = np.frombuffer(kept, np.uint8).reshape(_SIDE, _SIDE)
    return perceptual_hash(np.repeat(grey[..., None], 3, axis=2))


def likeness(kept: bytes, rgb: NDArray[np.uint8]) -> float:
    """How well the picture fits the sketch, or a window of at least 70 % of each of its sides, turned or mirrored.

    Args:
        kept: what `sketch` made of the signed picture.
        rgb: (h, w, 3) levels, any size.

    Returns:
        Correlation of details, -1 to 1; -1 where one of the two has none.
    """
    cells = _details(np.frombuffer(kept, np.uint8).reshape(_SIDE, _SIDE).astype(np.float64))
    if (cells**2).sum() < _FLAT:
        return -1.0
    turned = [np.rot90(cells, quarters) for quarters in range(4)]
    ways = np.stack([*turned, *(each[:, ::-1] for each in turned)])
    there, sums, squares = np.fft.rfft2(ways), _summed(ways), _summed(ways**2)
    best = -1.0
    for part in _views(rgb):
        height, width = part.shape
        norm = np.sqrt((part**2).sum())
        if norm < _FLAT:
            continue
        energy = _window(squares, height, width) - _window(sums, height, width) ** 2 / part.size
        # The sum runs round the sketch's edges only at places where the part does not fit in, which are cut off.
        across = np.fft.irfft2(there * np.conj(np.fft.rfft2(part, s=cells.shape)), s=cells.shape)
        fits = across[:, : _SIDE - height + 1, : _SIDE - width + 1]
        best = max(best, float((fits / (norm * np.sqrt(np.maximum(energy, _FLAT)))).max()))
    return min(best, 1.0)


def _views(rgb: NDArray[np.uint8]) -> Iterator[_Cells]:
    """The picture's details without their mean, at all sizes."""
    from PIL import Image

    grey = Image.fromarray(rgb).convert("L")
    way = Image.Resampling.BOX if min(grey.size) >= _WORK else Image.Resampling.BICUBIC
    small = grey.resize((_WORK, _WORK), way)
    for width in range(_SMALLEST, _SIDE + 1):
        for height in range(max(_SMALLEST, width - _APART), min(_SIDE, width + _APART) + 1):
            view = _details(np.asarray(small.resize((width, height), Image.Resampling.BOX), np.float64))
            yield view - view.mean()


def _details(cells: _Cells) -> _Cells:
    from scipy.ndimage import gaussian_filter

    detail = cells - gaussian_filter(cells, _DETAIL, mode="nearest")
    return np.asarray(detail / np.sqrt(detail**2 + _STRONG**2))


def _summed(cells: _Cells) -> _Cells:
    """Summed-area tables (Crow 1984) of (n, h, w)."""
    return np.asarray(np.pad(cells, ((0, 0), (1, 0), (1, 0))).cumsum(1).cumsum(2))


def _window(table: _Cells, height: int, width: int) -> _Cells:
    """Sums over all windows of this size."""
    ends, starts = table[:, height:], table[:, :-height]
    return np.asarray(ends[:, :, width:] - starts[:, :, width:] - ends[:, :, :-width] + starts[:, :, :-width])
