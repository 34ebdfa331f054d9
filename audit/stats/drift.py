# SPDX-License-Identifier: Apache-2.0
"""Whether a judge still judges as it did: two judgements of the same images, and a judge held against people over time.

A benchmark is as good as its judge, and judges age: the one of GenEval was found up to 17.7 points away from people on
the pictures of later generators (arXiv:2512.16853), because it was checked once, on other pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from audit.stats.contrasts import group_means
from audit.stats.intervals import Interval, clopper_pearson
from audit.stats.pairs import mcnemar, paired_mean
from audit.stats.shares import clustered_share

__all__ = ["Drift", "TwoJudgements", "cohen_kappa", "drift", "two_judgements"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class TwoJudgements:
    """Two judgements of the same images, each right or wrong.

    Attributes:
        agreement: share of images judged alike.
        kappa: Cohen's kappa, None where both judgements are one and the same constant.
        change: share judged right the second time minus that the first time.
        up, down: images judged right only the second time, only the first time.
        p: exact McNemar p-value of as many changes one way as the other; images as units.
    """

    agreement: Interval
    kappa: Interval | None
    change: Interval
    up: int
    down: int
    p: float


@dataclass(frozen=True, slots=True)
class Drift:
    """A judge's error against people, early and late.

    Attributes:
        early, late: share that the judge calls right minus that people do, in either half of the images by time.
        change: late minus early.
        slope: of the same difference a day, None where all times are equal.
        cut: the last time that is early, seconds since 1970.
    """

    early: Interval
    late: Interval
    change: Interval
    slope: Interval | None
    cut: float


def two_judgements(
    first: Flags, second: Flags, clusters: NDArray[Any] | None = None, *, level: float = 0.95
) -> TwoJudgements:
    """Compare two judgements.

    Args:
        first: whether each image is judged right, shape (n,), n at least 2.
        second: the same by the second judge, or later.
        clusters: label of the cluster (prompt) of each image, shape (n,); None: independent images.
        level: confidence level.
    """
    up, down = int((second & ~first).sum()), int((first & ~second).sum())
    units = _units(clusters, len(first))
    paired = paired_mean(second.astype(np.float64) - first, units, shares=True)
    low, high = paired.interval(level)
    method = "t of paired differences, one pair added each way"
    change = Interval(paired.value, low, high, paired.pairs, paired.units, method)
    agreement = clustered_share(first == second, clusters, level=level)
    return TwoJudgements(
        agreement, cohen_kappa(first, second, clusters, level=level), change, up, down, mcnemar(up, down)
    )


def cohen_kappa(
    first: Flags, second: Flags, clusters: NDArray[Any] | None = None, *, level: float = 0.95
) -> Interval | None:
    """Cohen's kappa of two yes-or-no judgements: (p_o - p_e) / (1 - p_e) (Cohen 1960).

    The variance sums each image's influence within clusters; for independent images it is that of Fleiss, Cohen and
    Everitt (1969), eq. 13. Without a single disagreement it is 0, and the lower end then allows the disagreement that
    the exact limit on "none of n" does.

    Args:
        first: shape (n,), n at least 2.
        second: shape (n,).
        clusters: label of each image's cluster; None: independent images.
        level: confidence level.

    Returns:
        None where both are the same constant: then there is nothing to agree about.
    """
    n, units = len(first), _units(clusters, len(first))
    a, b, same = float(first.mean()), float(second.mean()), first == second
    observed, expected = float(same.mean()), a * b + (1 - a) * (1 - b)
    if expected == 1:
        return None
    value = (observed - expected) / (1 - expected)
    moved = (2 * b - 1) * (first - a) + (2 * a - 1) * (second - b)
    influence = ((same - observed) - (1 - observed) / (1 - expected) * moved) / (1 - expected)
    sums = influence if units is None else np.bincount(units, weights=influence)
    g = len(sums)
    half = float(special.stdtrit(g - 1, (1 + level) / 2)) * (g / (g - 1) * float(sums @ sums)) ** 0.5 / n
    low, high = max(-1.0, value - half), min(1.0, value + half)
    if observed == 1:
        low = 1 - clopper_pearson(0, g, level=level).high / (1 - expected)
    method = "t by influences" if units is None else f"cluster-robust t by influences over {g} clusters"
    return Interval(value, max(-1.0, low), high, n, g, method)


def drift(errors: Array, at: Array, clusters: NDArray[Any] | None = None, *, level: float = 0.95) -> Drift | None:
    """How a judge's error against people changes with the time of judging.

    The images are halved by time. What a prompt does to both halves alike cancels in their difference. To either half
    one pair is added that errs each way (Agresti and Caffo 2000 for differences of shares): without it two halves in
    which the judge never errs would be called certain.

    Args:
        errors: +1 where only the judge calls an image right, -1 where only people do, else 0; shape (n,).
        at: time of each judgement in seconds, shape (n,), finite.
        clusters: label of each image's cluster; None: independent images.
        level: confidence level.

    Returns:
        None where fewer than two judgements lie on either side of every point in time.
    """
    cut = _cut(at)
    if cut is None:
        return None
    late = at > cut
    labels = _units(clusters, len(errors))
    labels = np.arange(len(errors)) if labels is None else labels
    found = group_means(errors, late.astype(np.int64), labels)
    n = found.n
    shrunk, centres = n / (n + 2), found.means * n / (n + 2)
    added = 2 * (1 + centres**2) / (n + 2) ** 2
    covariance = found.covariance * np.outer(shrunk, shrunk) + np.diag(added)
    error = max(0.0, float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])) ** 0.5
    half = float(special.stdtrit(found.df[0, 1], (1 + level) / 2)) * error
    value, centre = float(found.means[1] - found.means[0]), float(centres[1] - centres[0])
    low, high = max(-2.0, min(value, centre - half)), min(2.0, max(value, centre + half))
    units = len(np.unique(labels))
    change = Interval(value, low, high, len(errors), units, f"cluster-robust t over {units} clusters, early and late")
    first, second = (_mean(errors[side], labels[side], level=level) for side in (~late, late))
    return Drift(first, second, change, _slope(errors, at, labels, level=level), cut)


def _cut(at: Array) -> float | None:
    """The time that halves the judgements best, those of one moment staying together."""
    times, counts = np.unique(at, return_counts=True)
    early = np.cumsum(counts)[:-1]
    usable = (early >= 2) & (len(at) - early >= 2)
    if not usable.any():
        return None
    uneven = np.where(usable, np.abs(2 * early - len(at)), len(at))
    return float(times[int(uneven.argmin())])


def _mean(errors: Array, labels: NDArray[np.int64], *, level: float) -> Interval:
    units = np.unique(labels, return_inverse=True)[1]
    paired = paired_mean(errors, units if int(units.max()) > 0 else None, shares=True)
    low, high = paired.interval(level)
    return Interval(paired.value, low, high, paired.pairs, paired.units, "t of paired differences")


def _slope(errors: Array, at: Array, labels: NDArray[np.int64], *, level: float) -> Interval | None:
    """Least squares slope a day with a cluster-robust t interval (Liang and Zeger 1986, factor G / (G - 1))."""
    days = (at - at.mean()) / 86_400
    spread, g = float(days @ days), int(labels.max()) + 1
    if spread == 0 or g < 3:
        return None
    value = float(days @ errors) / spread
    scores = np.bincount(labels, weights=days * (errors - errors.mean() - value * days))
    half = float(special.stdtrit(g - 2, (1 + level) / 2)) * (g / (g - 1) * float(scores @ scores)) ** 0.5 / spread
    return Interval(value, value - half, value + half, len(errors), g, f"cluster-robust t over {g} clusters")


def _units(clusters: NDArray[Any] | None, n: int) -> NDArray[np.int64] | None:
    """Numbers 0 .. G - 1 of the clusters; None where images are independent or a single cluster holds them all."""
    if clusters is None:
        return None
    labels: NDArray[np.int64] = np.unique(clusters, return_inverse=True)[1].astype(np.int64)
    if len(labels) != n:
        raise ValueError(f"{len(labels)} clusters for {n} images")
    return labels if int(labels.max()) > 0 else None
