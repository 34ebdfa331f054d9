# SPDX-License-Identifier: Apache-2.0
"""Faults along edges and in even areas: blur, ringing, banding and noise. Each is one formula, about 0 without it."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, uniform_filter1d

__all__ = ["banding", "blur", "noise", "ringing"]

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
#: Smaller pictures are not measured.
SMALLEST: Final = 16
_REBLUR = 9  # taps, as Crete et al. 2007
_EDGE = 48.0  # levels between neighbours: a strong edge
_NEAR, _FAR, _BEYOND = 3, 8, 16  # pixels from a strong edge: its own flank ends, ringing ends, comparison ends
_WINDOW = 6  # steps over which a reversal counts
_LEAST = 64  # pixels that an area needs to be compared
_RUN = 3  # pixels of one value between two false contours
_STEPS = (2, 16)  # levels of a false contour
# The root of the sum of squares of the mask [[1, -2, 1], [-2, 4, -2], [1, -2, 1]]; the 0.75 quantile of a normal.
_MASK_GAIN, _MAD = 6.0, 0.6744897501960817


def _luma(rgb: Pixels) -> Floats:
    """(h, w) from 0 to 255, ITU-R BT.601."""
    luma: Floats = rgb.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return luma


def blur(rgb: Pixels) -> float:
    """How little a further blur takes away from the differences between neighbours (Crete et al. 2007, eq. 1 to 6).

    A sharp picture loses most of them by a 9-tap mean, a blurred one few. A single sharp edge reads 1/9, a ramp over
    nine pixels 61/81.

    Args:
        rgb: (h, w, 3) levels.

    Returns:
        0 (sharp) to 1, the blurrier of the two directions; NaN for one flat colour and under 16 pixels.
    """
    if min(rgb.shape[:2]) < SMALLEST:
        return float("nan")
    luma = _luma(rgb)
    found = [_blur(luma, axis) for axis in (0, 1)]
    known = [value for value in found if np.isfinite(value)]
    return max(known, default=float("nan"))


def _blur(luma: Floats, axis: int) -> float:
    sharp = np.abs(np.diff(luma, axis=axis))
    soft = np.abs(np.diff(uniform_filter1d(luma, _REBLUR, axis=axis, mode="nearest"), axis=axis))
    total = float(sharp.sum(dtype=np.float64))
    if total < sharp.size * 1e-3:
        return float("nan")
    return 1 - float(np.maximum(sharp - soft, 0).sum(dtype=np.float64)) / total


def ringing(rgb: Pixels) -> float:
    """How much rougher a picture is just beside its strong edges than farther from them.

    Where a transform drops high frequencies, edges echo (Marziliano et al. 2004). Roughness is how much more values
    change over six steps, across and down, than they get ahead, by step: a slope, however steep, has none. The area
    beside is 4 to 8 pixels from a step of 48 levels, that farther off 9 to 16. Texture of the picture's own is in both
    and cancels on average.

    Args:
        rgb: (h, w, 3) levels.

    Returns:
        Levels, of either sign; NaN without strong edges, or with nothing to compare.
    """
    if min(rgb.shape[:2]) < SMALLEST:
        return float("nan")
    luma = _luma(rgb)
    distance = _rings(luma)
    rough = _to_and_fro(luma) + _to_and_fro(luma.T).T
    beside, off = rough[distance == 1], rough[distance == 2]
    if min(beside.size, off.size) < _LEAST:
        return float("nan")
    return float(beside.mean(dtype=np.float64) - off.mean(dtype=np.float64)) / 2


def _to_and_fro(rows: Floats) -> Floats:
    """Sum of the changes around each pixel of a row minus the change from end to end, by step."""
    step = np.diff(rows, axis=1, append=rows[:, -1:])
    ahead = np.abs(uniform_filter1d(step, _WINDOW, axis=1, mode="nearest"))
    back: Floats = uniform_filter1d(np.abs(step), _WINDOW, axis=1, mode="nearest") - ahead
    return back


def _rings(luma: Floats) -> NDArray[np.uint8]:
    """0 on and right beside strong edges, 1 near them, 2 farther off, 3 far away."""
    strong = np.zeros(luma.shape, np.uint8)
    for axis in (0, 1):
        edge = np.abs(np.diff(luma, axis=axis)) >= _EDGE
        first, second = (strong[:-1], strong[1:]) if axis == 0 else (strong[:, :-1], strong[:, 1:])
        first |= edge
        second |= edge
    out = np.full(luma.shape, 3, np.uint8)
    for ring, reach in ((2, _BEYOND), (1, _FAR), (0, _NEAR)):
        out[maximum_filter(strong, 2 * reach + 1) > 0] = ring
    return out


def banding(rgb: Pixels) -> float:
    """Share of the picture that is stairs: even stretches between steps that go on in one direction.

    A false contour is a step of 2 to 16 levels between two stretches of at least 3 equal pixels, along a row or a
    column. One such step may be an edge of the picture; two in a row of the same direction are a gradient with too few
    levels. A gradient that uses all levels has steps of 1 and is not counted, nor is one under noise, which hides the
    bands from the eye, too.

    Args:
        rgb: (h, w, 3) levels.

    Returns:
        0 to 1; NaN under 16 pixels.
    """
    if min(rgb.shape[:2]) < SMALLEST:
        return float("nan")
    # In quarters of a level, so that a change of any colour is a change.
    quarters = rgb[..., 0].astype(np.int16) + 2 * rgb[..., 1].astype(np.int16) + rgb[..., 2]
    stairs = _stairs(quarters) | _stairs(np.ascontiguousarray(quarters.T)).T
    return float(stairs.mean())


def _stairs(rows: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Pixels of stretches at a false contour, along the rows."""
    h, w = rows.shape
    flat = rows.ravel()
    new = np.empty(flat.size, dtype=bool)
    new[0], new[1:] = True, flat[1:] != flat[:-1]
    new[::w] = True
    starts = np.flatnonzero(new)
    lengths = np.diff(starts, append=flat.size)
    step = np.diff(flat[starts].astype(np.int32))
    size = np.abs(step)
    contour = (size >= 4 * _STEPS[0]) & (size <= 4 * _STEPS[1]) & (starts[1:] % w != 0)
    contour &= (lengths[1:] >= _RUN) & (lengths[:-1] >= _RUN)
    on = contour[1:] & contour[:-1] & (np.sign(step[1:]) == np.sign(step[:-1]))
    false = np.zeros(len(contour), dtype=bool)
    false[1:] |= on
    false[:-1] |= on
    banded = np.zeros(len(starts), dtype=bool)
    banded[1:] |= false
    banded[:-1] |= false
    return np.repeat(banded, lengths).reshape(h, w)


def noise(rgb: Pixels) -> float:
    """Standard deviation of white noise, in levels: the mask of Immerkaer 1996 with a median in place of the mean.

    The mask is blind to planes and to straight edges along the grid. Of its answers the median of the absolute values
    is taken, divided by what it is for noise of one level (Donoho and Johnstone 1994), so that edges and texture on
    less than half of the picture hardly move it.

    Args:
        rgb: (h, w, 3) levels.

    Returns:
        Root mean square over the three colours; NaN under 16 pixels.
    """
    if min(rgb.shape[:2]) < SMALLEST:
        return float("nan")
    x = rgb.astype(np.int16)
    x = x[:-2] - 2 * x[1:-1] + x[2:]
    x = np.abs(x[:, :-2] - 2 * x[:, 1:-1] + x[:, 2:])
    sigmas = [_median(x[..., colour]) / (_MAD * _MASK_GAIN) for colour in range(3)]
    return float(np.sqrt(np.mean(np.square(sigmas))))


def _median(values: NDArray[np.int16]) -> float:
    """Median of whole numbers from 0 on, spread evenly over the half unit around each; 0 where most are 0."""
    counts = np.bincount(values.ravel())
    below = np.cumsum(counts)
    middle = int(np.searchsorted(below, values.size / 2))
    if middle == 0:
        return 0.0
    return middle - 0.5 + float((values.size / 2 - below[middle - 1]) / counts[middle])
