# SPDX-License-Identifier: Apache-2.0
"""Shares behind an imperfect classifier: point estimates and intervals that carry both sources of error.

A classifier with confusion matrix A (row i: how often a member of group i gets each answer) turns true shares p into
answer shares q = p A. Undoing that is the adjusted count of Rogan and Gladen (1978), for k groups a linear estimator
p = q S with A S = I. The interval adds the sampling of the N answers and the sampling of the confusion counts; an
interval that forgets either covers far less than it says.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

__all__ = [
    "MAX_CONDITION",
    "Correction",
    "SharesEstimate",
    "cleam_interval",
    "delta_interval",
    "misfit",
    "project_to_simplex",
]

#: Above this condition number of the confusion matrix the groups are not told apart well enough to correct for.
MAX_CONDITION = 10.0

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class SharesEstimate:
    """Corrected shares of k groups.

    Attributes:
        shares: (k,), not negative, sum 1.
        low, high: (k,) interval of each share.
        raw: (k,) linear estimate before the projection onto the simplex; may leave [0, 1].
        n: answers behind it.
    """

    shares: Array
    low: Array
    high: Array
    raw: Array
    n: int


class Correction:
    """Undoes one measured confusion matrix.

    Args:
        counts: confusion counts, shape (k, r), r >= k >= 2: rows are true groups, columns answers, abstention included.

    Raises:
        ValueError: for a row without counts, negative counts, fewer answers than groups, or a single group.
    """

    def __init__(self, counts: Array) -> None:
        counts = np.asarray(counts, dtype=np.float64)
        if counts.ndim != 2 or not 2 <= counts.shape[0] <= counts.shape[1] or (counts < 0).any():
            raise ValueError(
                f"confusion counts must be k x r with r >= k >= 2 and not negative, got shape {counts.shape}"
            )
        self.counts, self.rows = counts, counts.sum(axis=1)
        if not (self.rows > 0).all():
            raise ValueError("confusion counts: a group has no validation images")
        self.matrix = counts / self.rows[:, None]
        k, r = counts.shape
        self.condition = float(np.linalg.cond(self.matrix))
        # Weighted by the answers that equal shares would give: fixed before the data, near the efficient weights.
        weight = 1.0 / np.maximum(self.matrix.mean(axis=0), 1e-9)
        weight[self.matrix.sum(axis=0) == 0] = 0.0
        scaled = self.matrix * weight
        self.scores = scaled.T @ np.linalg.inv(scaled @ self.matrix.T) if self.identified else np.full((r, k), np.nan)
        self._told = (counts.sum(axis=0) > 0).astype(np.float64)
        # One pseudo-count a row: "no error among 500" is not "no error ever".
        smooth = (counts + 1.0 / r) / (self.rows[:, None] + 1.0)
        self._squares = self.scores**2
        self._row_variance = (smooth @ self._squares - (smooth @ self.scores) ** 2) / self.rows[:, None]

    @property
    def identified(self) -> bool:
        """Whether the matrix can be undone at all."""
        return bool(np.isfinite(self.condition) and self.condition <= MAX_CONDITION)

    def heard(self, answers: Array | NDArray[np.int64]) -> Array:
        """Counts of answers (..., r) without those that no group ever gave when the confusion counts were taken.

        Such an answer says nothing of the groups: its image counts as missing.
        """
        kept: Array = np.asarray(answers, dtype=np.float64) * self._told
        return kept

    def forward(self, shares: Array) -> Array:
        """Answer shares that true shares give; (..., k) to (..., r)."""
        answers: Array = shares @ self.matrix
        return answers

    def linear(self, answers: Array) -> Array:
        """Linear estimate of the shares from what is `heard`, sum 1, may leave [0, 1]; answers (..., r) to (..., k)."""
        known = self.heard(answers)
        estimate: Array = known @ self.scores / known.sum(axis=-1, keepdims=True)
        return estimate

    def shares(self, answers: Array) -> Array:
        """Linear estimate projected onto the simplex; answer shares (..., r) to (..., k)."""
        return project_to_simplex(self.linear(answers))

    def estimate(self, answers: Array, *, level: float = 0.95) -> SharesEstimate:
        """Corrected shares with their intervals.

        Each interval inverts an exact binomial test on the scale of the answers, with the number of answers deflated
        (or raised) so that its variance is that of the estimator at the tested share: multinomial sampling of the
        answers plus sampling of the confusion counts. For a perfect classifier it is the Clopper-Pearson interval.

        Args:
            answers: counts of each answer, shape (r,).
            level: confidence level of each single share.

        Raises:
            ValueError: without answers that some group gave, or where the matrix is not identified.
        """
        n = float(self.heard(answers).sum())
        if n <= 0 or not self.identified:
            raise ValueError("no answers, or a confusion matrix that cannot be undone")
        raw = self.linear(np.asarray(answers, dtype=np.float64))
        shares = project_to_simplex(raw)
        tail = (1 - level) / 2
        low = self._bound(raw, shares, n=n, tail=tail, upper=False)
        high = self._bound(raw, shares, n=n, tail=tail, upper=True)
        return SharesEstimate(shares, np.minimum(low, shares), np.maximum(high, shares), raw, int(n))

    def _bound(self, raw: Array, shares: Array, *, n: float, tail: float, upper: bool) -> Array:
        """Bisect for the share at which the observed estimate has tail probability ``tail``; all groups at once."""
        lowest, highest = self.scores.min(axis=0), self.scores.max(axis=0)
        span, rest = highest - lowest, _ratios(shares)
        seen = np.clip((raw - lowest) / span, 0.0, 1.0)

        def accepted(tested: Array) -> NDArray[np.bool_]:
            mean = np.clip((tested - lowest) / span, 1e-12, 1 - 1e-12)
            variance = np.maximum(self._variance(tested, rest, n=n) / span**2, 1e-15)
            size = mean * (1 - mean) / variance
            return _tail(seen * size, size, mean, upper=upper) >= tail

        edge = np.full_like(shares, 1.0 if upper else 0.0)
        # At the edge itself a classifier without a counted error leaves nothing to chance, and whatever was answered
        # would be accepted: look from just inside, by the half pseudo-count that every row has.
        inwards = 0.5 / (self.rows.min() + 1.0)
        inside, outside, reached = shares, edge, accepted(np.abs(edge - inwards))
        for _ in range(27):
            middle = (inside + outside) / 2
            good = accepted(middle)
            inside, outside = np.where(good, middle, inside), np.where(good, outside, middle)
        return np.where(reached, edge, (inside + outside) / 2)

    def _variance(self, tested: Array, rest: Array, *, n: float) -> Array:
        """Variance of the estimate of group j where its share is ``tested[j]`` and the others keep their ratios."""
        truth = rest * (1 - tested)[:, None] + np.diag(tested)
        answers = truth @ self.matrix
        moments = answers @ self._squares
        sampling = np.diagonal(moments) - np.diagonal(answers @ self.scores) ** 2
        matrix = np.diagonal(truth**2 @ self._row_variance)
        variance: Array = np.maximum(sampling, 0.0) / n + matrix
        return variance


def _ratios(shares: Array) -> Array:
    """Row j: the shares of the other groups, scaled to sum 1; equal ones where group j is all there is."""
    k = len(shares)
    others = np.tile(shares, (k, 1)) * (1.0 - np.eye(k))
    total = others.sum(axis=1, keepdims=True)
    return np.where(total > 1e-9, others / np.maximum(total, 1e-9), (1.0 - np.eye(k)) / (k - 1))


def _tail(count: Array, size: Array, mean: Array, *, upper: bool) -> Array:
    """P(X <= count) where ``upper``, else P(X >= count), for X binomial with a size that need not be whole."""
    if upper:
        certain, probability = (
            size - count <= 1e-9,
            special.betainc(np.maximum(size - count, 1e-9), count + 1, 1 - mean),
        )
    else:
        certain, probability = count <= 1e-9, special.betainc(np.maximum(count, 1e-9), size - count + 1, mean)
    return np.where(certain, 1.0, probability)


def misfit(counts: Array, answers: Array) -> float:
    """Probability of answers this far outside what *any* mix of the true groups would give.

    Whatever the shares are, the probability of an answer lies between its smallest and its largest entry in the
    confusion matrix. An answer that comes much more (or less) often than that shows that the instrument errs otherwise
    on these images than where it was measured, so its counts cannot correct them.

    Args:
        counts: confusion counts, shape (k, r).
        answers: counts of each answer, shape (r,).

    Returns:
        The smallest of the r two-sided beta-binomial tail probabilities, times 2 r (Bonferroni), at most 1. The
        uncertainty of the counts is in it, by a Jeffreys prior on each entry.
    """
    rows, n = counts.sum(axis=1), int(answers.sum())
    shares = counts / rows[:, None]
    tails = []
    for j, seen in enumerate(answers):
        for t, more in ((int(shares[:, j].argmax()), True), (int(shares[:, j].argmin()), False)):
            entry = stats.betabinom(n, counts[t, j] + 0.5, rows[t] - counts[t, j] + 0.5)
            tails.append(entry.sf(seen - 1) if more else entry.cdf(seen))
    return float(min(1.0, len(tails) * min(tails)))


def project_to_simplex(points: Array) -> Array:
    """Nearest point with non-negative parts that sum to 1 (Held, Wolfe and Crowder 1974); (..., k) to (..., k)."""
    ordered = -np.sort(-points, axis=-1)
    excess = (np.cumsum(ordered, axis=-1) - 1.0) / np.arange(1, points.shape[-1] + 1)
    last = (ordered > excess).sum(axis=-1, keepdims=True) - 1
    projected: Array = np.maximum(points - np.take_along_axis(excess, last, axis=-1), 0.0)
    return projected


def delta_interval(
    q: float, *, n: int, a0: float, n0: int, a1: float, n1: int, level: float = 0.95
) -> tuple[float, float]:
    """Interval of a share behind a two-way classifier by the delta method, clipped to [0, 1].

    Args:
        q: share of answers "group 0" among ``n``.
        n: answers.
        a0: how often members of group 0 are answered so, measured on ``n0`` images; a1, n1: the same for group 1.
        n0: validation images of group 0.
        a1: how often members of group 1 are answered so.
        n1: validation images of group 1.
        level: confidence level.
    """
    j = a0 + a1 - 1
    p = (q - (1 - a1)) / j
    variance = (q * (1 - q) / n + p**2 * a0 * (1 - a0) / n0 + (1 - p) ** 2 * a1 * (1 - a1) / n1) / j**2
    half = float(special.ndtri((1 + level) / 2)) * variance**0.5
    return max(0.0, p - half), min(1.0, p + half)


def cleam_interval(batch_shares: Array, *, a0: float, a1: float) -> tuple[float, float]:
    """Interval as published for CLEAM (Teo et al. 2023, eq. 8), for comparison with published figures only.

    Its width depends on the chosen number of batches and not on the number of images: with the published settings it
    covers the truth in 23 to 54 % of cases where it says 95 %.

    Args:
        batch_shares: share of answers "group 0" in each batch, shape (s,).
        a0: how often members of group 0 are answered so.
        a1: how often members of group 1 are answered so.
    """
    mean, half = float(np.mean(batch_shares)), 1.96 * float(np.std(batch_shares)) / len(batch_shares) ** 0.5
    j = a0 + a1 - 1
    return (mean - half - (1 - a1)) / j, (mean + half - (1 - a1)) / j
