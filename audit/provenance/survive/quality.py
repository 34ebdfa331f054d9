# SPDX-License-Identifier: Apache-2.0
"""What a watermark costs the eye: peak signal-to-noise ratio and structural similarity, numpy and scipy only."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

__all__ = ["psnr", "ssim"]

_PEAK: Final = 255.0
_SIGMA, _RADIUS = 1.5, 5  # window of 11 x 11 pixels, Wang et al. 2004, section III-B
_K1, _K2 = 0.01, 0.03


def psnr(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio in dB, over all colours: ``10 log10(255^2 / MSE)``; infinite for the same picture.

    Args:
        one: (h, w, 3) levels.
        other: of the same shape.

    Raises:
        ValueError: shapes differ.
    """
    _same_shape(one, other)
    error = float(np.mean((one.astype(np.float64) - other) ** 2))
    return math.inf if error == 0 else 10 * math.log10(_PEAK**2 / error)


def ssim(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Mean structural similarity (Wang, Bovik, Sheikh and Simoncelli 2004, equation 13), mean over the colours.

    Gaussian window of 11 pixels with sigma 1.5, K1 = 0.01, K2 = 0.03, population moments; only windows that lie wholly
    within the picture count.

    Args:
        one: (h, w, 3) levels, at least 11 x 11.
        other: of the same shape.

    Raises:
        ValueError: shapes differ, or the picture is smaller than the window.
    """
    _same_shape(one, other)
    if min(one.shape[:2]) <= 2 * _RADIUS:
        raise ValueError(f"structural similarity needs at least 11x11 pixels, got {one.shape[1]}x{one.shape[0]}")
    x, y = one.astype(np.float64), other.astype(np.float64)
    mx, my = _blur(x), _blur(y)
    vx, vy, cov = _blur(x * x) - mx * mx, _blur(y * y) - my * my, _blur(x * y) - mx * my
    c1, c2 = (_K1 * _PEAK) ** 2, (_K2 * _PEAK) ** 2
    index = ((2 * mx * my + c1) * (2 * cov + c2)) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    return float(index[_RADIUS:-_RADIUS, _RADIUS:-_RADIUS].mean())


def _blur(values: NDArray[np.float64]) -> NDArray[np.float64]:
    offsets = np.arange(-_RADIUS, _RADIUS + 1)
    window = np.exp(-(offsets**2) / (2 * _SIGMA**2))
    window /= window.sum()
    rows = correlate1d(values, window, axis=0, mode="nearest")
    blurred: NDArray[np.float64] = correlate1d(rows, window, axis=1, mode="nearest")
    return blurred


def _same_shape(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> None:
    if one.shape != other.shape:
        raise ValueError(f"pictures differ in shape: {one.shape} and {other.shape}")
