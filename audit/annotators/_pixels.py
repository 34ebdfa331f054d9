# SPDX-License-Identifier: Apache-2.0
"""Faults that pixels show directly: a grid of compression blocks, clipped levels, nothing but dark or light."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["all_bright", "all_dark", "blockiness", "clipped"]

_BLOCK = 8
_DARK, _BRIGHT, _NEARLY = 16, 239, 0.99


def blockiness(rgb: NDArray[np.uint8]) -> float:
    """How much more neighbouring pixels differ across the edges of 8x8 blocks than beside them.

    After the block term of Wang, Sheikh and Bovik 2002 (eq. 1 and 2), but against the differences just before and after
    each edge, so that a picture's own edges cancel on average: about 0 without blocks, of either sign.

    Args:
        rgb: (h, w, 3) levels.

    Returns:
        Mean difference in levels (0 to 255), over both directions; NaN where there is no edge of a block inside.
    """
    levels = rgb.astype(np.int16)
    steps = [_step(np.abs(np.diff(levels, axis=axis)).mean((1 - axis, 2), dtype=np.float64)) for axis in (0, 1)]
    known = [step for step in steps if np.isfinite(step)]
    return float(np.mean(known)) if known else float("nan")


def _step(change: NDArray[np.float64]) -> float:
    edges = np.arange(_BLOCK - 1, len(change) - 1, _BLOCK)
    if not len(edges):
        return float("nan")
    return float((change[edges] - (change[edges - 1] + change[edges + 1]) / 2).mean())


def clipped(rgb: NDArray[np.uint8]) -> float:
    """Share of values, over pixels and colours, at the lowest or highest level."""
    return float(((rgb == 0) | (rgb == 255)).mean())


def all_dark(rgb: NDArray[np.uint8]) -> bool:
    """Whether 99 % of the values, over pixels and colours, are at level 16 at most."""
    return float((rgb <= _DARK).mean()) >= _NEARLY


def all_bright(rgb: NDArray[np.uint8]) -> bool:
    """Whether 99 % of the values, over pixels and colours, are at level 239 at least."""
    return float((rgb >= _BRIGHT).mean()) >= _NEARLY
