# SPDX-License-Identifier: Apache-2.0
"""Confusion counts and what undoes them, for one instrument or a whole batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_CONDITION", "Array", "Instrument", "project_to_simplex"]

#: Above this condition number of the confusion matrix the groups are not told apart well enough to correct for.
MAX_CONDITION = 10.0

#: Counts added to each row where its sampling error is meant: "no error among 500" is not "no error ever". Two are
#: what keeps intervals of many answers behind 100 validation images at their level (`benchmarks/coverage.py`).
_PSEUDO = 2.0

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Instrument:
    """Any number of confusion matrices, k true groups by r answers, with the scores that undo them.

    Attributes:
        rows: (..., k) validation images of each group.
        matrix: (..., k, r) how often a member of a group gets an answer.
        scores: (..., r, k) linear estimator, ``matrix @ scores`` is the identity; NaN where there is none.
        told: (..., r) 1 for answers that some group gave, else 0.
        condition: (...) condition number of ``matrix``.
        second: (..., k, k) mean square of the score of group j (last) among members of group i.
        variance: (..., k, k) variance of the mean score of group j in row i, from the sampling of the row's counts.
        third: (..., k, k) third cumulant over the variance of one score, times ``variance``, over the row's images:
            by how much ``variance`` rises with the mean score along the exponential family through the row.
    """

    rows: Array
    matrix: Array
    scores: Array
    told: Array
    condition: Array
    second: Array
    variance: Array
    third: Array

    @classmethod
    def of(cls, counts: Array) -> Instrument:
        """From confusion counts, (..., k, r), every row with at least one."""
        rows = counts.sum(axis=-1)
        matrix = counts / rows[..., None]
        condition = np.asarray(np.linalg.cond(matrix))
        scores = _scores(matrix, np.isfinite(condition) & (condition <= MAX_CONDITION))
        squares = scores**2
        smooth = (counts + _PSEUDO / counts.shape[-1]) / (rows[..., None] + _PSEUDO)
        mean, square, cube = smooth @ scores, smooth @ squares, smooth @ (squares * scores)
        spread = square - mean**2
        skew = cube - 3 * mean * square + 2 * mean**3
        told = (counts.sum(axis=-2) > 0).astype(np.float64)
        by_row = rows[..., None]
        return cls(rows, matrix, scores, told, condition, matrix @ squares, spread / by_row, skew / by_row**2)

    def heard(self, answers: Array) -> Array:
        """Counts of answers (..., r) without those that no group ever gave."""
        kept: Array = answers * self.told
        return kept

    def linear(self, answers: Array) -> Array:
        """Linear estimate of the shares, (..., r) to (..., k); sum 1, may leave [0, 1]."""
        known = self.heard(answers)
        estimate: Array = (known[..., None, :] @ self.scores)[..., 0, :] / known.sum(axis=-1, keepdims=True)
        return estimate


def _scores(matrix: Array, identified: NDArray[np.bool_]) -> Array:
    """Weighted by the answers that equal shares would give: fixed before the data, near the efficient weights."""
    weight = 1.0 / np.maximum(matrix.mean(axis=-2), 1e-9)
    scaled = matrix * np.where(matrix.sum(axis=-2) == 0, 0.0, weight)[..., None, :]
    gram = scaled @ np.swapaxes(matrix, -1, -2)
    mask = identified[..., None, None]
    inverse = np.linalg.inv(np.where(mask, gram, np.eye(matrix.shape[-2])))
    scores: Array = np.where(mask, np.swapaxes(scaled, -1, -2) @ inverse, np.nan)
    return scores


def project_to_simplex(points: Array) -> Array:
    """Nearest point with non-negative parts that sum to 1 (Held, Wolfe and Crowder 1974); (..., k) to (..., k)."""
    ordered = -np.sort(-points, axis=-1)
    excess = (np.cumsum(ordered, axis=-1) - 1.0) / np.arange(1, points.shape[-1] + 1)
    last = (ordered > excess).sum(axis=-1, keepdims=True) - 1
    projected: Array = np.maximum(points - np.take_along_axis(excess, last, axis=-1), 0.0)
    return projected
