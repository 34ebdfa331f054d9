# SPDX-License-Identifier: Apache-2.0
"""Inner products of all pairs of vectors in blocks: memory for a block, whatever the number of vectors."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["BLOCK", "Array", "Features", "centred", "checked_pair", "cuts", "middle", "paired_squares"]

#: Vectors a block.
BLOCK = 1024
_PAIRS = 1 << 18  # numbers held at a time where pairs are computed one by one

Array = NDArray[np.float64]
Features = NDArray[np.floating]


def checked_pair(x: Features, y: Features, *, least: int) -> None:
    """Refuse feature sets that do not go together, hold numbers that are not finite, or have too few rows.

    Raises:
        ValueError: says which.
    """
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or x.shape[1] == 0:
        raise ValueError(f"features must be (n, D) and (m, D), got {x.shape} and {y.shape}")
    if min(len(x), len(y)) < least:
        raise ValueError(f"needs {least} rows on each side, got {len(x)} and {len(y)}")
    if not all(np.isfinite(part[cut]).all() for part in (x, y) for cut in cuts(len(part))):
        raise ValueError("features must be finite")


def cuts(n: int, size: int = BLOCK) -> Iterator[slice]:
    """Blocks of consecutive rows."""
    return (slice(start, min(start + size, n)) for start in range(0, n, size))


def middle(x: Features, y: Features) -> Array:
    """Middle of the two means, a float32 number each so that float32 rows lose nothing but one rounding, (D,)."""
    mean: Array = (x.mean(axis=0, dtype=np.float64) + y.mean(axis=0, dtype=np.float64)) / 2
    return mean.astype(np.float32).astype(np.float64) if np.abs(mean).max() < 1e38 else mean


def centred(x: Features, cut: slice, centre: Array, dtype: type[np.floating]) -> Features:
    """Rows less ``centre`` of :func:`middle`, rounded to ``dtype``: (size, D)."""
    if x.dtype == dtype:
        return np.subtract(x[cut], centre.astype(dtype))
    out = np.empty((cut.stop - cut.start, x.shape[1]), dtype=dtype)
    np.subtract(x[cut], centre, out=out, dtype=np.float64, casting="same_kind")
    return out


def paired_squares(x: Features, y: Features, i: NDArray[np.integer], j: NDArray[np.integer]) -> Array:
    """Squared distances of x[i] and y[j] pair by pair, as sums of squared differences in float64; shape of i."""
    out = np.empty(len(i))
    for cut in cuts(len(i), max(1, _PAIRS // x.shape[1])):
        step = np.subtract(x[i[cut]], y[j[cut]], dtype=np.float64)
        out[cut] = np.einsum("pd,pd->p", step, step)
    return out
