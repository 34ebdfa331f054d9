# SPDX-License-Identifier: Apache-2.0
"""Differences among several groups, and the one between the best and the worst of them.

Which groups those are is read off the same data, so an interval of just their difference would be too narrow, and could
not reach 0. Every pair gets its interval at a level raised for their number (Bonferroni); the largest difference then
lies between the largest lower and the largest upper limit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

__all__ = ["GroupMeans", "Spread", "group_means", "mover_pairs", "pair_level", "spread", "spread_floor"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Spread:
    """Best minus worst.

    Attributes:
        value: largest minus smallest estimate.
        low, high: interval of the largest true difference; ``low`` at least 0.
        highest, lowest: places of the groups with the largest and the smallest estimate.
    """

    value: float
    low: float
    high: float
    highest: int
    lowest: int


def pair_level(groups: int, level: float) -> float:
    """Level of each pair's interval at which all of them hold at once with ``level``; groups at least 2."""
    return 1 - (1 - level) / (groups * (groups - 1) / 2)


def mover_pairs(values: Array, lows: Array, highs: Array, correlation: Array | None = None) -> tuple[Array, Array]:
    """Limits of every difference, row minus column, from the limits of its parts; each (g, g).

    MOVER (Newcombe 1998, method 10; Zou and Donner 2008): for independent shares with Wilson limits it is Newcombe's.

    Args:
        values: estimates, shape (g,).
        lows: lower limits. highs: upper limits.
        highs: upper limits.
        correlation: of the errors of the estimates, shape (g, g); None: independent.
    """
    r = np.zeros((len(values), len(values))) if correlation is None else correlation
    below, above = values - lows, highs - values
    down = below[:, None] ** 2 + above[None, :] ** 2 - 2 * r * below[:, None] * above[None, :]
    up = above[:, None] ** 2 + below[None, :] ** 2 - 2 * r * above[:, None] * below[None, :]
    apart = values[:, None] - values[None, :]
    return apart - np.sqrt(np.maximum(down, 0.0)), apart + np.sqrt(np.maximum(up, 0.0))


def spread(values: Array, lows: Array, highs: Array) -> Spread:
    """Largest minus smallest, with limits from those of all pairs at their raised level.

    Args:
        values: estimates, shape (g,), g at least 2.
        lows: lower limits of row minus column, shape (g, g).
        highs: upper limits.
    """
    off = ~np.eye(len(values), dtype=bool)
    value = float(values.max() - values.min())
    low, high = max(0.0, float(lows[off].max())), float(highs[off].max())
    return Spread(value, min(low, value), max(high, value), int(values.argmax()), int(values.argmin()))


@dataclass(frozen=True, slots=True, eq=False)
class GroupMeans:
    """Means of several groups and the covariance of their errors.

    Attributes:
        means: shape (g,).
        covariance: shape (g, g), cluster-robust.
        n: observations by group. clusters: clusters by group; the rows themselves in a group of a single one.
        df: degrees of freedom of t for each pair, shape (g, g); of each group on the diagonal.
    """

    means: Array
    covariance: Array
    n: NDArray[np.int64]
    clusters: NDArray[np.int64]
    df: Array

    def ends(self, level: float) -> tuple[Array, Array]:
        """Limits of each mean at ``level``; each (g,)."""
        half = special.stdtrit(np.diagonal(self.df), (1 + level) / 2) * np.sqrt(np.diagonal(self.covariance))
        return self.means - half, self.means + half

    def limits(self, level: float) -> tuple[Array, Array]:
        """Limits of every difference, row minus column, each at ``level``; each (g, g)."""
        variance = np.diagonal(self.covariance)
        error = np.sqrt(np.maximum(variance[:, None] + variance[None, :] - 2 * self.covariance, 0.0))
        half = special.stdtrit(self.df, (1 + level) / 2) * error
        apart = self.means[:, None] - self.means[None, :]
        return apart - half, apart + half


def spread_floor(covariance: Array, *, seed: int = 0, reps: int = 4000) -> float:
    """Mean of largest minus smallest where all true values are equal, by normal draws with this covariance (g, g)."""
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    drawn = np.random.default_rng(seed).standard_normal((reps, len(values))) @ root.T
    return float((drawn.max(axis=1) - drawn.min(axis=1)).mean())


def group_means(values: Array, groups: NDArray[np.int64], clusters: NDArray[np.int64]) -> GroupMeans:
    """Means by group where clusters may lie within groups (prompts that ask for one) or across them (paired prompts).

    The covariance sums the groups' influences within each cluster; what a cluster does to two groups alike cancels in
    their difference. Rows of a group that is a single cluster are taken as clusters of their own.

    Args:
        values: shape (n,), finite.
        groups: place of each row's group, 0 .. g - 1, each with at least two rows.
        clusters: label of each row's cluster, not negative.
    """
    g, n = int(groups.max()) + 1, np.bincount(groups)
    means = np.bincount(groups, weights=values) / n
    labels = clusters.astype(np.int64)
    for group in range(g):
        if len(np.unique(labels[groups == group])) < 2:
            labels = np.where(groups == group, labels.max() + 1 + np.arange(len(labels)), labels)
    labels = np.unique(labels, return_inverse=True)[1]
    sums = np.zeros((int(labels.max()) + 1, g))
    np.add.at(sums, (labels, groups), (values - means[groups]) / n[groups])
    present = np.zeros_like(sums, dtype=bool)
    present[labels, groups] = True
    held = present.sum(axis=0)
    scale = np.sqrt(held / (held - 1))
    covariance = (sums.T @ sums) * np.outer(scale, scale)
    return GroupMeans(means, covariance, n, held, np.minimum(held[:, None], held[None, :]) - 1.0)
