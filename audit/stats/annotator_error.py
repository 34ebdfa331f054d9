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

from audit.stats._instrument import MAX_CONDITION, Array, Instrument, project_to_simplex
from audit.stats._inversion import Bounds, invert

__all__ = [
    "MAX_CONDITION",
    "Correction",
    "SharesEstimate",
    "cleam_interval",
    "delta_interval",
    "misfit",
    "project_to_simplex",
]

_METHOD = "mid-p test inversion with the error of answers and of the confusion counts"


@dataclass(frozen=True, slots=True, eq=False)
class SharesEstimate:
    """Corrected shares of k groups.

    Attributes:
        shares: (k,), not negative, sum 1.
        low, high: (k,) interval of each share.
        raw: (k,) linear estimate before the projection onto the simplex; may leave [0, 1].
        n: answers behind it.
        clusters: independent units behind it: clusters where they were given, else answers.
        method: of the interval, in words.
        effective: (k,) independent images that the answers are worth; None where that was not asked.
    """

    shares: Array
    low: Array
    high: Array
    raw: Array
    n: int
    clusters: int = 0
    method: str = ""
    effective: Array | None = None


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
        self.counts = counts
        if not (counts.sum(axis=1) > 0).all():
            raise ValueError("confusion counts: a group has no validation images")
        self.instrument = Instrument.of(counts)
        self.rows, self.matrix, self.scores = self.instrument.rows, self.instrument.matrix, self.instrument.scores
        self.condition = float(self.instrument.condition)

    @property
    def identified(self) -> bool:
        """Whether the matrix can be undone at all."""
        return bool(np.isfinite(self.condition) and self.condition <= MAX_CONDITION)

    def heard(self, answers: Array | NDArray[np.int64]) -> Array:
        """Counts of answers (..., r) without those that no group ever gave when the confusion counts were taken.

        Such an answer says nothing of the groups: its image counts as missing.
        """
        return self.instrument.heard(np.asarray(answers, dtype=np.float64))

    def forward(self, shares: Array) -> Array:
        """Answer shares that true shares give; (..., k) to (..., r)."""
        answers: Array = shares @ self.matrix
        return answers

    def linear(self, answers: Array) -> Array:
        """Linear estimate of the shares from what is `heard`, sum 1, may leave [0, 1]; answers (..., r) to (..., k)."""
        return self.instrument.linear(np.asarray(answers, dtype=np.float64))

    def shares(self, answers: Array) -> Array:
        """Linear estimate projected onto the simplex; answer shares (..., r) to (..., k)."""
        return project_to_simplex(self.linear(answers))

    def estimate(
        self, answers: Array | NDArray[np.int64], *, level: float = 0.95, clusters: Array | None = None
    ) -> SharesEstimate:
        """Corrected shares with their intervals.

        Each interval inverts a mid-p binomial test on the scale of the answers, with the number of answers deflated
        (or raised) so that its variance is that of the estimator at the tested share: multinomial sampling of the
        answers plus sampling of the confusion counts. For a perfect classifier it is the mid-p interval of a share.

        With clusters the variance is cluster-robust, on Student's t with few of them. It is never taken to be less than
        that of independent images, and where the clusters say little (few of them, or a rare group) it is moved
        towards that of a correlation of 0.3 within clusters. A single cluster says nothing of others: then the images
        are the units, and the method says so.

        Args:
            answers: counts of each answer, shape (r,).
            level: confidence level of each single share.
            clusters: counts of each answer by cluster (prompt, or seed), shape (G, r), which add up to ``answers``;
                None: images are independent.

        Raises:
            ValueError: without answers that some group gave, where the matrix is not identified, or where the clusters
                do not add up to the answers.
        """
        table = self._table(answers, clusters)
        found = self._invert(answers, levels=[level], table=table)
        n = int(self.heard(answers).sum())
        units, method = n, _METHOD if clusters is None else f"{_METHOD}, one cluster: images as units"
        if table is not None:
            units, method = len(table), f"{_METHOD}, robust to {len(table)} clusters"
        return SharesEstimate(found.shares, found.low[0], found.high[0], found.raw, n, units, method, found.effective)

    def curve(
        self, answers: Array | NDArray[np.int64], *, levels: Array, clusters: Array | None = None
    ) -> tuple[Array, Array]:
        """Limits at L levels in one go, to read p-values off.

        Args:
            answers: counts of each answer, shape (r,).
            levels: confidence levels, shape (L,).
            clusters: as in `estimate`.

        Returns:
            Lower and upper limits, each of shape (L, k).

        Raises:
            ValueError: as `estimate`.
        """
        found = self._invert(answers, levels=levels, table=self._table(answers, clusters))
        return found.low, found.high

    def estimate_many(self, answers: Array | NDArray[np.int64], *, level: float = 0.95) -> list[SharesEstimate]:
        """What `estimate` says of each of m slices of independent images, in one go.

        Args:
            answers: counts of each answer by slice, shape (m, r).
            level: confidence level of each single share.

        Raises:
            ValueError: a slice without answers that some group gave, or a matrix that is not identified.
        """
        found = self._invert(answers, levels=[level], table=None)
        sizes = self.heard(answers).sum(axis=-1)
        return [
            SharesEstimate(p, low[0], high[0], raw, int(n), int(n), _METHOD, effective)
            for p, low, high, raw, n, effective in zip(
                found.shares, found.low, found.high, found.raw, sizes, found.effective, strict=True
            )
        ]

    def _table(self, answers: Array | NDArray[np.int64], clusters: Array | None) -> Array | None:
        """Clusters with an answer that is heard; None where there are fewer than two."""
        if clusters is None:
            return None
        table = np.asarray(clusters, dtype=np.float64)
        if table.ndim != 2 or table.shape[-1] != self.counts.shape[1] or not (table.sum(axis=0) == answers).all():
            raise ValueError("clusters must be counts of each answer, shape (G, r), which add up to the answers")
        table = table[self.heard(table).sum(axis=1) > 0]
        return table if len(table) > 1 else None

    def _invert(
        self, answers: Array | NDArray[np.int64], *, levels: Array | list[float], table: Array | None
    ) -> Bounds:
        if not self.identified or not (self.heard(answers).sum(axis=-1) > 0).all():
            raise ValueError("no answers, or a confusion matrix that cannot be undone")
        counts, at = np.asarray(answers, dtype=np.float64), np.asarray(levels, dtype=np.float64)
        return invert(self.instrument, counts, levels=at, clusters=table)


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
