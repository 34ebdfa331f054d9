# SPDX-License-Identifier: Apache-2.0
"""Confidence intervals for shares, means and medians."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

__all__ = [
    "Interval",
    "agresti_coull",
    "clopper_pearson",
    "cluster_bootstrap",
    "jeffreys",
    "mean_interval",
    "median_interval",
    "newcombe",
    "wald",
    "wilson",
]


@dataclass(frozen=True, slots=True)
class Interval:
    """A point with its interval.

    Attributes:
        value: the point estimate.
        low, high: the interval.
        n: observations. clusters: independent units behind them.
        method: in words.
    """

    value: float
    low: float
    high: float
    n: int
    clusters: int
    method: str


def _share(k: float, n: float) -> float:
    if not (n > 0 and 0 <= k <= n):
        raise ValueError(f"a share needs 0 <= k <= n and n > 0, got k={k}, n={n}")
    return k / n


def wilson(k: int, n: int, *, level: float = 0.95) -> Interval:
    """Wilson score interval of a share (Wilson 1927).

    Args:
        k: how many of them.
        n: of how many, at least 1.
        level: confidence level.
    """
    p, z = _share(k, n), special.ndtri((1 + level) / 2)
    middle, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low, high = (middle - half) / scale, (middle + half) / scale
    # At the ends the formula gives 0 and 1 up to rounding.
    return Interval(p, 0.0 if k == 0 else float(low), 1.0 if k == n else float(high), n, n, "Wilson")


def clopper_pearson(k: int, n: int, *, level: float = 0.95) -> Interval:
    """Exact interval of a share (Clopper and Pearson 1934): coverage never below ``level``."""
    p, tail = _share(k, n), (1 - level) / 2
    low = 0.0 if k == 0 else float(special.betaincinv(k, n - k + 1, tail))
    high = 1.0 if k == n else float(special.betaincinv(k + 1, n - k, 1 - tail))
    return Interval(p, low, high, n, n, "Clopper-Pearson")


def wald(k: int, n: int, *, level: float = 0.95) -> Interval:
    """Normal ("Wald") interval of a share, clipped to [0, 1]: for comparison with figures that others publish only.

    It covers too rarely for small ``n`` and has no width at 0 and ``n`` (Brown, Cai and DasGupta 2001).
    """
    p, z = _share(k, n), special.ndtri((1 + level) / 2)
    half = float(z * np.sqrt(p * (1 - p) / n))
    return Interval(p, max(0.0, p - half), min(1.0, p + half), n, n, "Wald")


def agresti_coull(k: int, n: int, *, level: float = 0.95) -> Interval:
    """Agresti-Coull interval of a share (1998), clipped to [0, 1]: Wald with z^2 / 2 more of each kind."""
    p, z = _share(k, n), float(special.ndtri((1 + level) / 2))
    size = n + z * z
    middle = (k + z * z / 2) / size
    half = z * (middle * (1 - middle) / size) ** 0.5
    return Interval(p, max(0.0, middle - half), min(1.0, middle + half), n, n, "Agresti-Coull")


def jeffreys(k: int, n: int, *, level: float = 0.95) -> Interval:
    """Equal-tailed interval of a share under the Jeffreys prior, from 0 at k = 0 and to 1 at k = n.

    The two ends are those of Brown, Cai and DasGupta (2001): without them the observed share would lie
    outside its own interval.
    """
    p, tail = _share(k, n), (1 - level) / 2
    low = 0.0 if k == 0 else float(special.betaincinv(k + 0.5, n - k + 0.5, tail))
    high = 1.0 if k == n else float(special.betaincinv(k + 0.5, n - k + 0.5, 1 - tail))
    return Interval(p, low, high, n, n, "Jeffreys")


def newcombe(k1: int, n1: int, k2: int, n2: int, *, level: float = 0.95) -> Interval:
    """Difference of two independent shares, first minus second, from Wilson intervals (Newcombe 1998, method 10)."""
    a, b = wilson(k1, n1, level=level), wilson(k2, n2, level=level)
    d = a.value - b.value
    low = d - float(np.hypot(a.value - a.low, b.high - b.value))
    high = d + float(np.hypot(a.high - a.value, b.value - b.low))
    return Interval(d, low, high, n1 + n2, n1 + n2, "Newcombe")


def mean_interval(
    values: NDArray[np.float64], clusters: NDArray[Any] | None = None, *, level: float = 0.95
) -> Interval | None:
    """Mean with a t interval; with clusters, the cluster-robust variance with G - 1 degrees of freedom.

    The variance is that of Liang and Zeger (1986) for a mean, with the factor G / (G - 1) for few clusters.

    Args:
        values: observations, shape (n,), finite.
        clusters: label of the cluster of each observation, shape (n,); None where rows are independent.
        level: confidence level.

    Returns:
        The interval, None with fewer than two independent units.
    """
    n = len(values)
    labels = np.arange(n) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    units = int(labels.max()) + 1 if n else 0
    if units < 2:
        return None
    mean = float(np.mean(values))
    residual = np.bincount(labels, weights=values - mean, minlength=units)
    variance = units / (units - 1) * float(residual @ residual) / n**2
    half = float(special.stdtrit(units - 1, (1 + level) / 2)) * variance**0.5
    method = "t" if clusters is None else f"cluster-robust t over {units} clusters"
    return Interval(mean, mean - half, mean + half, n, units, method)


def cluster_bootstrap(
    values: NDArray[np.float64],
    clusters: NDArray[Any] | None = None,
    *,
    level: float = 0.95,
    seed: int = 0,
    reps: int = 4000,
) -> Interval | None:
    """Mean with the percentile interval of a bootstrap over clusters (Davison and Hinkley 1997, sec. 3.8).

    Args:
        values: observations, shape (n,), finite.
        clusters: label of the cluster of each observation, shape (n,); None where rows are independent.
        level: confidence level.
        seed: same seed, same numbers.
        reps: bootstrap samples.

    Returns:
        The interval, None with fewer than two independent units.
    """
    n = len(values)
    labels = np.arange(n) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    units = int(labels.max()) + 1 if n else 0
    if units < 2:
        return None
    sums, sizes = np.bincount(labels, weights=values), np.bincount(labels)
    drawn = np.random.default_rng(seed).multinomial(units, np.full(units, 1 / units), size=reps)
    means = (drawn @ sums) / (drawn @ sizes)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(np.mean(values)), float(low), float(high), n, units, f"bootstrap over {units} clusters")


def median_interval(values: NDArray[np.float64], *, level: float = 0.95) -> Interval | None:
    """Median with its distribution-free interval between two order statistics (Thompson 1936).

    Args:
        values: independent observations, shape (n,), finite.
        level: confidence level.

    Returns:
        The interval, None where even the range of the sample covers less than ``level`` (fewer than 6 values at 0.95).
    """
    n = len(values)
    rank = int(stats.binom.ppf((1 - level) / 2, n, 0.5)) if n else 0  # smallest r with P(B <= r) >= tail
    if rank == 0:
        return None
    ordered = np.sort(values)
    low, high = float(ordered[rank - 1]), float(ordered[n - rank])
    return Interval(float(np.median(ordered)), low, high, n, n, "order statistics")
