# SPDX-License-Identifier: Apache-2.0
"""Many tests at once: adjusted p-values. Holm for decisions, Benjamini-Hochberg for looking around.

An adjusted p-value is the smallest level at which its hypothesis is rejected within the family. NaN is a test that
was not made: it stays NaN and does not count.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["benjamini_hochberg", "benjamini_yekutieli", "holm"]

Array = NDArray[np.float64]


def holm(p: ArrayLike) -> Array:
    """Family-wise error rate under any dependence (Holm 1979), shape (m,) to (m,).

    The chance of one false rejection or more in the whole family is at most the level.

    Args:
        p: p-values, NaN where there is none.

    Raises:
        ValueError: a p-value outside [0, 1].
    """
    found, made, order = _made(p)
    m = len(order)
    stepped = np.maximum.accumulate(found[made][order] * np.arange(m, 0, -1))
    return _placed(found, made, order, stepped)


def benjamini_hochberg(p: ArrayLike) -> Array:
    """False discovery rate of independent or positively dependent tests (Benjamini and Hochberg 1995), (m,) to (m,).

    Among the rejected ones the expected share of false ones is at most the level; a single one may well be false.

    Args:
        p: p-values, NaN where there is none.

    Raises:
        ValueError: a p-value outside [0, 1].
    """
    return _step_up(p, arbitrary=False)


def benjamini_yekutieli(p: ArrayLike) -> Array:
    """False discovery rate under any dependence (Benjamini and Yekutieli 2001), shape (m,) to (m,).

    Args:
        p: p-values, NaN where there is none.

    Raises:
        ValueError: a p-value outside [0, 1].
    """
    return _step_up(p, arbitrary=True)


def _step_up(p: ArrayLike, *, arbitrary: bool) -> Array:
    found, made, order = _made(p)
    ranks = np.arange(1, len(order) + 1)
    scale = len(order) * (float((1 / ranks).sum()) if arbitrary else 1.0)
    stepped = np.minimum.accumulate((found[made][order] * scale / ranks)[::-1])[::-1]
    return _placed(found, made, order, stepped)


def _made(p: ArrayLike) -> tuple[Array, NDArray[np.bool_], NDArray[np.int64]]:
    """All p-values, which of them were tests, and the order of those."""
    found = np.asarray(p, dtype=np.float64)
    made = ~np.isnan(found)
    if found.ndim != 1 or ((found[made] < 0) | (found[made] > 1)).any():
        raise ValueError("needs a list of p-values in [0, 1], NaN where there is none")
    return found, made, np.argsort(found[made], kind="stable")


def _placed(found: Array, made: NDArray[np.bool_], order: NDArray[np.int64], stepped: Array) -> Array:
    """Adjusted values back in the order in which the tests came."""
    within = np.empty(len(order))
    within[order] = np.minimum(stepped, 1.0)
    adjusted = np.full_like(found, np.nan)
    adjusted[made] = within
    return adjusted
