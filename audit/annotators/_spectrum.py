# SPDX-License-Identifier: Apache-2.0
"""What the spectrum of a picture shows: up to which detail it holds any, and patterns with a period of pixels."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn

__all__ = ["checkerboard", "effective_resolution", "nearest_grid", "radial_power"]

Floats = NDArray[np.float64]
#: Smaller pictures have too few frequencies to fit a line to, or to tell a peak from its neighbours.
SMALLEST, SMALLEST_PATTERN = 16, 32
_DROP = 7.0  # decibels
_WINDOW = 1.25  # the mean is taken from a frequency to this many times it
# Power falls as f^-2 in photographs (Field 1987) and as f^-3 where flat shapes have hard edges.
_SLOPES = (2.5, 3.0)


def radial_power(rgb: NDArray[np.uint8]) -> Floats:
    """Mean power by spatial frequency, colours summed.

    The cosine transform mirrors the picture at its edges, so that opposite edges need not match.

    Args:
        rgb: (h, w, 3) levels.

    Returns:
        (min(h, w),); entry k is the mean over frequencies of k to k + 1 half cycles per shorter side.
    """
    h, w = rgb.shape[:2]
    n = min(h, w)
    # Single precision errs far below the rounding to whole levels, which alone gives each frequency a power of 1/12.
    levels = np.moveaxis(rgb, 2, 0).astype(np.float32)
    levels -= levels.mean((1, 2), keepdims=True, dtype=np.float64).astype(np.float32)
    power = (dctn(levels, axes=(1, 2), norm="ortho", overwrite_x=True) ** 2).sum(0).ravel()
    bins, count = _bins(h, w)
    total = np.bincount(bins, power, minlength=n)
    return np.asarray(total / count)[:n]


@functools.lru_cache(maxsize=2)
def _bins(h: int, w: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Entry of each frequency in `radial_power`, and how many there are of each."""
    n = min(h, w)
    bins = (np.hypot(np.arange(h)[:, None] / h, np.arange(w) / w) * n).astype(np.intp).ravel()
    return bins, np.bincount(bins, minlength=n)


def effective_resolution(rgb: NDArray[np.uint8]) -> float:
    """Pixels along the shorter side that the picture's detail would need; at most the pixels that it has.

    The power spectrum of a picture falls about as a power of the frequency; interpolation and blur make it fall off
    below that line. The line is fitted to the lower part of the spectrum, and the answer is the lowest frequency from
    which the power stays 7 dB below the line on average over a third of an octave. A picture that was enlarged without
    smoothing keeps power at all frequencies; its grid of equal pixels is found as such (`nearest_grid`).

    On 64x64 portraits, paintings and signs it reads 64; when these are halved and enlarged again by a cubic kernel, 32,
    27 and 40 on average; less by a linear kernel, which blurs as well.

    Args:
        rgb: (h, w, 3) levels.

    Returns:
        Pixels, NaN for flat pictures and those under 16 pixels high or wide.
    """
    n = min(rgb.shape[:2])
    if n < SMALLEST or (rgb == rgb[:1, :1]).all():
        return float("nan")
    return min(float(_cut_off(radial_power(rgb))), nearest_grid(rgb))


def _cut_off(power: Floats) -> int:
    """Lowest frequency from which the power is below the fitted line; the fit uses what is below the cut-off only."""
    n = len(power)
    octave = 10 * np.log10(np.maximum(np.arange(n), 1))
    decibel = 10 * np.log10(np.maximum(power, 1e-3))
    cut = n
    for _ in range(8):
        before, cut = cut, _fall(decibel, octave, fitted=slice(2, max(int(0.6 * cut), 8)))
        if cut == before:
            break
    return cut


def _fall(decibel: Floats, octave: Floats, *, fitted: slice) -> int:
    n, x, y = len(decibel), octave[fitted], decibel[fitted]
    weight = 1 / np.sqrt(10 ** (x / 10))
    x_mean, y_mean = np.average(x, weights=weight), np.average(y, weights=weight)
    slope = -np.average((x - x_mean) * (y - y_mean), weights=weight) / np.average((x - x_mean) ** 2, weights=weight)
    bounded = float(np.clip(slope, *_SLOPES))
    above = decibel - y_mean + bounded * (octave - x_mean)
    sums = np.concatenate([[0.0], np.cumsum(above)])
    start = np.arange(4, n - 3)
    end = np.minimum(n, np.maximum(start + 4, np.rint(start * _WINDOW).astype(np.int64)))
    low = (sums[end] - sums[start]) / (end - start) < -_DROP
    return int(start[low.argmax()]) if low.any() else n


def nearest_grid(rgb: NDArray[np.uint8]) -> float:
    """Pixels along the shorter side before the picture was enlarged by repeating pixels; its own where it was not.

    A picture enlarged from s to w columns changes only between the columns where the next of s begins. The answer is
    the smallest s for which other places hold under 0.1 % of the squared differences; of rows and columns the finer
    one, since a picture of a few upright lines changes at few places, too.
    """
    levels = rgb.astype(np.float32)
    n = min(rgb.shape[:2])
    right, below = np.diff(levels, axis=1), np.diff(levels, axis=0)
    across = _smallest_grid(np.einsum("hwc,hwc->w", right, right).astype(np.float64)) / rgb.shape[1]
    down = _smallest_grid(np.einsum("hwc,hwc->h", below, below).astype(np.float64)) / rgb.shape[0]
    return float(n * max(across, down))


def _smallest_grid(change: Floats) -> int:
    size, total = len(change) + 1, change.sum()
    for grid in range(8, int(0.8 * size) + 1):
        source = ((np.arange(size) + 0.5) * grid / size).astype(np.int64)
        if change[np.diff(source) == 0].sum() <= 0.001 * total:
            return grid
    return size


def checkerboard(rgb: NDArray[np.uint8]) -> float:
    """Strength of patterns that repeat every two or four pixels, as transposed convolutions leave (Odena et al. 2016).

    The spectrum under a Hann window at all frequencies that are multiples of a quarter cycle a pixel, but zero: power
    above the *largest* of the neighbouring frequencies (three to six steps away) counts, so ordinary edges and noise
    add nothing. Detail that itself repeats every four pixels, such as small letters, is read as a pattern.

    Args:
        rgb: (h, w, 3) levels.

    Returns:
        Root mean square of the pattern in levels (0 to 255), over pixels and colours; NaN under 32 pixels high or wide.
    """
    h, w = (side - side % 4 for side in rgb.shape[:2])
    if min(h, w) < SMALLEST_PATTERN:
        return float("nan")
    window = np.hanning(h + 1)[:-1, None] * np.hanning(w + 1)[:-1]
    levels = np.moveaxis(rgb[:h, :w], 2, 0).astype(np.float64)
    levels -= (np.einsum("chw,hw->c", levels, window) / window.sum())[:, None, None]
    outer = min(6, min(h, w) // 10)
    # Only the frequencies around the peaks are needed: (3, 4 k, 4 k) of them, k steps around each multiple.
    down, across = _waves(h, outer), _waves(w, outer)
    halves = np.concatenate([down.real, down.imag]) @ (levels * window)  # twice as fast as complex numbers throughout
    spectrum = (halves[:, : len(down)] + 1j * halves[:, len(down) :]) @ across.T
    power = (np.abs(spectrum) ** 2).mean(0) / window.sum() ** 2
    k = 2 * outer + 1
    around = power.reshape(4, k, 4, k).transpose(0, 2, 1, 3).reshape(16, k, k)[1:]
    excess = around[:, outer, outer] - around[:, _ring(outer)].max(axis=1)
    return float(np.sqrt(np.maximum(excess, 0.0).sum()))


@functools.lru_cache(maxsize=4)
def _waves(n: int, outer: int) -> NDArray[np.complex128]:
    """The rows of the Fourier transform within ``outer`` of each multiple of a quarter cycle a pixel; (4 k, n)."""
    steps = np.arange(-outer, outer + 1)
    frequency = (np.arange(4)[:, None] * (n // 4) + steps).ravel()
    # Whole turns are taken off in whole numbers, where they are exact.
    waves: NDArray[np.complex128] = np.exp(-2j * np.pi / n * ((frequency[:, None] * np.arange(n)) % n))
    return waves


def _ring(outer: int) -> NDArray[np.bool_]:
    """Frequencies three to ``outer`` steps away, (k, k): nearer ones hold the window's own width."""
    steps = np.abs(np.arange(-outer, outer + 1))
    far: NDArray[np.bool_] = np.maximum(steps[:, None], steps) >= 3
    return far
