# SPDX-License-Identifier: Apache-2.0
"""How much more often a group is drawn than it stands in the training data, with the error of both sides.

Intervals of differences and of means are put together from the intervals of their parts by MOVER, the method of
variance estimates recovery (Newcombe 1998, method 10; Zou and Donner 2008): squared distances from estimate to limit
add like variances, each taken on the side where it counts. Parts that share the error of one instrument are correlated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit.stats.annotator_error import Correction
from audit.stats.intervals import Interval, wilson

__all__ = ["Cell", "correlations", "difference", "mean_difference", "training_interval"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """One group of one occupation, as drawn and as trained on.

    Attributes:
        group: index of the group among the instrument's k.
        shares: corrected shares of all k groups, shape (k,).
        drawn: corrected share of the group.
        trained: its share in the training data; n = 0 and no width where that is known exactly.
    """

    group: int
    shares: Array
    drawn: Interval
    trained: Interval


def training_interval(share: float, n: int | None, *, level: float = 0.95) -> Interval:
    """A share in the training data: exact without ``n``, else with the Wilson interval of a sample of ``n``."""
    if n is None:
        return Interval(share, share, share, 0, 0, "exact")
    sampled = wilson(round(share * n), n, level=level)
    return Interval(share, min(share, sampled.low), max(share, sampled.high), n, n, sampled.method)


def difference(drawn: Interval, trained: Interval) -> Interval:
    """Drawn minus trained, two independent shares (Newcombe 1998, method 10, for intervals of any kind)."""
    value = drawn.value - trained.value
    low = value - float(np.hypot(drawn.value - drawn.low, trained.high - trained.value))
    high = value + float(np.hypot(drawn.high - drawn.value, trained.value - trained.low))
    return Interval(value, low, high, drawn.n, drawn.clusters, "MOVER")


def correlations(cells: Sequence[Cell], correction: Correction) -> Array:
    """Correlation of the errors of the differences, shape (g, g) for g cells, by the delta method.

    Answers and training samples are independent from cell to cell; the confusion counts are the same for all of them.

    Args:
        cells: of one attribute, in slices that share no image.
        correction: of the instrument that saw them all.
    """
    k, r = correction.counts.shape
    n = np.array([cell.drawn.n for cell in cells], dtype=np.float64)[:, None]
    # One pseudo-image: a group that was not seen may still be there.
    truth = (n * np.stack([cell.shares for cell in cells]) + 1 / k) / (n + 1)
    scores = correction.scores[:, [cell.group for cell in cells]].T
    own = _sampling(truth @ correction.matrix, scores) / n[:, 0] + [_training_variance(cell.trained) for cell in cells]
    smooth = (correction.counts + 1 / r) / (correction.rows[:, None] + 1)
    mean = smooth @ scores.T
    spread = np.einsum("ia,ga,ha->igh", smooth, scores, scores) - mean[:, :, None] * mean[:, None, :]
    shared = np.einsum("gi,hi,igh->gh", truth, truth, spread / correction.rows[:, None, None])
    covariance = shared + np.diag(own)
    deviation = np.sqrt(np.diagonal(covariance))
    found: Array = covariance / np.outer(deviation, deviation)
    return found


def mean_difference(cells: Sequence[Cell], correction: Correction) -> Interval:
    """Unweighted mean of the cells' differences, the cells taken as fixed.

    MOVER for a linear function of shares (Zou, Huang and Zhang 2009), with the correlations above: a confusion matrix
    measured too kind is too kind to every occupation, and averaging does not help against that.
    """
    parts = [difference(cell.drawn, cell.trained) for cell in cells]
    together = correlations(cells, correction)
    value = float(np.mean([part.value for part in parts]))
    below = np.array([part.value - part.low for part in parts])
    above = np.array([part.high - part.value for part in parts])
    low = value - float(np.sqrt(below @ together @ below)) / len(parts)
    high = value + float(np.sqrt(above @ together @ above)) / len(parts)
    return Interval(value, low, high, sum(part.n for part in parts), len(parts), "MOVER")


def _sampling(answers: Array, scores: Array) -> Array:
    """Variance of a single answer's score; answer shares and scores (g, r) to (g,)."""
    variance: Array = (answers * scores**2).sum(axis=1) - (answers * scores).sum(axis=1) ** 2
    return variance


def _training_variance(trained: Interval) -> float:
    if not trained.n:
        return 0.0
    share = (trained.n * trained.value + 0.5) / (trained.n + 1)
    return share * (1 - share) / trained.n
