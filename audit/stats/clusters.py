# SPDX-License-Identifier: Apache-2.0
"""Clusters of embeddings, and how differently two samples fall into them.

Clusters by Ward's method (Ward 1963): no random start, so the same images give the same clusters in whatever order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster import hierarchy

from audit.stats.contrasts import mover_pairs
from audit.stats.intervals import wilson

__all__ = ["Distance", "assign", "distance", "share_differences", "ward_centres"]

#: Ward's method needs all distances at once; of more vectors so many, evenly spread, are clustered.
MAX_VECTORS = 3000

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Distance:
    """Total variation distance of two sampled distributions.

    Attributes:
        value: half the sum of absolute differences of the shares.
        low, high: interval; may reach 0.
        floor: mean distance of two such samples of one distribution, that of the second.
    """

    value: float
    low: float
    high: float
    floor: float


def ward_centres(vectors: Array, k: int) -> Array:
    """Centres of k clusters, the largest first; fewer where the vectors are fewer different ones.

    Args:
        vectors: shape (n, D), n at least 2.
        k: how many clusters, at least 2.
    """
    if len(vectors) > MAX_VECTORS:
        vectors = vectors[np.linspace(0, len(vectors) - 1, MAX_VECTORS).astype(np.int64)]
    labels = hierarchy.fcluster(hierarchy.linkage(vectors, "ward"), k, "maxclust") - 1
    sizes = np.bincount(labels)
    sums = np.zeros((len(sizes), vectors.shape[1]))
    np.add.at(sums, labels, vectors)
    centres: Array = (sums / sizes[:, None])[np.argsort(-sizes, kind="stable")]
    return centres


def assign(vectors: Array, centres: Array) -> Codes:
    """Place of the nearest centre of each vector; shapes (n, D) and (k, D) to (n,)."""
    nearest: Codes = ((centres**2).sum(axis=1) - 2 * vectors @ centres.T).argmin(axis=1)
    return nearest


def distance(first: Codes, second: Codes, *, level: float = 0.95, seed: int = 0, reps: int = 1000) -> Distance:
    """Total variation between two samples, from counts (k,) each.

    The distance of the samples is off by at most half the sum of the absolute errors of the share differences
    (triangle inequality). Its quantile, from a parametric bootstrap with one pseudo-image a sample, is the radius: safe
    where the two are alike, and where percentile intervals of a distance, which cannot reach 0, always fail. Estimated
    shares scatter less than true ones that are even, so where one distribution could have given both samples the radius
    is at least that of two samples of both together.

    Args:
        first: counts of the first sample, at least one.
        second: counts of the second sample, at least one.
        level: confidence level.
        seed: same seed, same numbers.
        reps: repetitions.
    """
    n, m, k = int(first.sum()), int(second.sum()), len(first)
    p, q = first / n, second / m
    rng = np.random.default_rng(seed)

    def apart(one: Array, two: Array) -> Array:
        errors = (rng.multinomial(n, one, size=reps) / n - one) - (rng.multinomial(m, two, size=reps) / m - two)
        found: Array = np.abs(errors).sum(axis=1) / 2
        return found

    together = (first + second + 1 / k) / (n + m + 1)
    value, floor = float(np.abs(p - q).sum() / 2), float(apart(q, q).mean())
    radius = float(np.quantile(apart((first + 1 / k) / (n + 1), (second + 1 / k) / (m + 1)), level))
    alike = float(np.quantile(apart(together, together), level))
    if value <= alike:
        radius = max(radius, alike)
    return Distance(value, max(0.0, value - radius), min(1.0, value + radius), floor)


def share_differences(first: Codes, second: Codes, *, level: float = 0.95) -> Array:
    """Share of each cluster in the first sample minus that in the second, with Newcombe's limits; (k, 3).

    All k hold at once (Bonferroni), since the ones that stand out are looked at.

    Args:
        first: counts (k,) of the first sample.
        second: counts (k,) of the second sample.
        level: confidence level of all of them together.
    """
    n, m = int(first.sum()), int(second.sum())
    raised = 1 - (1 - level) / len(first)
    found = np.empty((len(first), 3))
    for i, (a, b) in enumerate(zip(first, second, strict=True)):
        one, two = wilson(int(a), n, level=raised), wilson(int(b), m, level=raised)
        ends = np.array([[one.value, one.low, one.high], [two.value, two.low, two.high]])
        low, high = mover_pairs(ends[:, 0], ends[:, 1], ends[:, 2])
        found[i] = one.value - two.value, low[0, 1], high[0, 1]
    return found
