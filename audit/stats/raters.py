# SPDX-License-Identifier: Apache-2.0
"""How far people who label the same images agree, and what their disagreement costs.

Ratings are a matrix with a row a rater and a column a unit (an image); NaN where a rater did not label a unit, or
could not tell and that is not one of the values. Values are numbers; on the nominal scale only their equality counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from audit.stats.intervals import Interval, clopper_pearson, mean_interval, wilson

__all__ = [
    "PairAgreement",
    "Scale",
    "design_effect_of_disagreement",
    "krippendorff_alpha",
    "pairwise_agreement",
    "percent_agreement",
]

Array = NDArray[np.float64]
Scale = Literal["nominal", "ordinal", "interval"]


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """Two raters.

    Attributes:
        first, second: their rows.
        agreement: share of units with the same value among those that both rated; None where there are none.
        alpha: Krippendorff's alpha of the two, None where it is undefined.
    """

    first: int
    second: int
    agreement: Interval | None
    alpha: Interval | None


def krippendorff_alpha(
    ratings: Array, scale: Scale = "nominal", *, level: float = 0.95, seed: int = 0, reps: int = 2000
) -> Interval | None:
    """Krippendorff's alpha, 1 - observed over expected disagreement (Krippendorff 2011), by bootstrap over units.

    1 is agreement, 0 what chance gives. Resamples in which all values are equal have no alpha and are left out. Where
    nobody disagreed the bootstrap sees no variance: there the lower end allows, in as many units as the exact limit
    on "none of n", the largest disagreement that the values allow.

    Args:
        ratings: shape (raters, units), NaN where there is none.
        scale: differences count as equal or not, by ranks, or squared.
        level: confidence level.
        seed: same seed, same numbers.
        reps: bootstrap samples.

    Returns:
        The interval, n and clusters being the units with two ratings or more; None with fewer than two such units, or
        where all values are equal and there is nothing to agree about.
    """
    counts, values = _counts(ratings)
    units = len(counts)
    if units < 2 or len(values) < 2:
        return None
    # Units rated alike are drawn together: as many kinds of units as there are patterns, whatever their number.
    patterns, often = np.unique(counts, axis=0, return_counts=True)
    pairs = _coincidences(patterns)
    value = float(_alpha(np.tensordot(often, pairs, 1)[None], values, scale)[0])
    drawn = np.random.default_rng(seed).multinomial(units, often / units, size=reps)
    boot = _alpha(np.tensordot(drawn, pairs, 1), values, scale)
    low, high = np.nanquantile(boot, [(1 - level) / 2, (1 + level) / 2])
    if bool(((counts > 0).sum(axis=1) == 1).all()):
        worst = _relative_distance(counts.sum(axis=0), values, scale)
        low = 1.0 - clopper_pearson(0, units, level=level).high * worst
    return Interval(value, min(float(low), value), max(float(high), value), units, units, f"{scale} alpha, bootstrap")


def percent_agreement(ratings: Array, *, level: float = 0.95) -> Interval | None:
    """Share of pairs of raters that gave a unit the same value, mean over units with two ratings or more.

    Chance is not taken off: with two values of which one is rare, raters who toss coins agree often.

    Args:
        ratings: shape (raters, units), NaN where there is none.
        level: confidence level.

    Returns:
        The interval, None with fewer than two such units.
    """
    counts, _ = _counts(ratings)
    if len(counts) < 2:
        return None
    size = counts.sum(axis=1)
    agreed = (counts * (counts - 1)).sum(axis=1) / (size * (size - 1))
    if bool(np.isin(agreed, (0, 1)).all()):
        return wilson(int(agreed.sum()), len(agreed), level=level)
    found = mean_interval(agreed, level=level)
    assert found is not None  # two units or more
    return Interval(found.value, max(0.0, found.low), min(1.0, found.high), found.n, found.clusters, found.method)


def pairwise_agreement(
    ratings: Array, scale: Scale = "nominal", *, level: float = 0.95, seed: int = 0, reps: int = 500
) -> tuple[PairAgreement, ...]:
    """Agreement of each two raters, in order of their rows: who reads the scale differently.

    Args:
        ratings: shape (raters, units), NaN where there is none.
        scale: for alpha.
        level: confidence level.
        seed: same seed, same numbers.
        reps: bootstrap samples of each alpha.
    """
    found = []
    for first, second in combinations(range(len(ratings)), 2):
        pair = ratings[[first, second]]
        both = pair[:, ~np.isnan(pair).any(axis=0)]
        n = both.shape[1]
        same = wilson(int((both[0] == both[1]).sum()), n, level=level) if n else None
        alpha = krippendorff_alpha(pair, scale, level=level, seed=seed, reps=reps)
        found.append(PairAgreement(first, second, same, alpha))
    return tuple(found)


def design_effect_of_disagreement(alpha: float, labels: int = 1) -> float:
    """How much wider disagreement makes the variance of a share labelled by people.

    With a part alpha of the variance of a single label between images and the rest within them, the mean of m labels
    an image by raters drawn afresh has variance (1 + (m - 1) alpha) / (m alpha) times that of a panel so large that
    it always agrees with itself (Spearman 1910, Brown 1910; alpha of a two-way attribute is that intraclass
    correlation). A habit that all raters share, or one rater who labels everything, is not in it.

    Args:
        alpha: agreement, at most 1.
        labels: m, labels an image, at least 1.

    Returns:
        The factor, 1 for full agreement, infinite where alpha is not above 0.

    Raises:
        ValueError: alpha above 1, or no label.
    """
    if not alpha <= 1 or labels < 1:
        raise ValueError(f"needs an alpha of at most 1 and a label or more, got {alpha} and {labels}")
    return (1 + (labels - 1) * alpha) / (labels * alpha) if alpha > 0 else float("inf")


def _counts(ratings: Array) -> tuple[Array, Array]:
    """How often each unit with two ratings or more got each value, (units, values), and the values in order."""
    if ratings.ndim != 2:
        raise ValueError(f"ratings must be raters by units, got shape {ratings.shape}")
    paired = ratings[:, (~np.isnan(ratings)).sum(axis=0) >= 2]
    values = np.unique(paired[~np.isnan(paired)])
    counts: Array = (paired[:, :, None] == values).sum(axis=0).astype(np.float64)
    return counts, values


def _coincidences(counts: Array) -> Array:
    """Pairs of values within each unit, (units, v) to (units, v, v); a unit weighs as much as it has ratings."""
    pairs = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(counts.shape[1])
    weighed: Array = pairs / (counts.sum(axis=1) - 1)[:, None, None]
    return weighed


def _alpha(coincidences: Array, values: Array, scale: Scale) -> Array:
    """Alpha of each coincidence matrix, (b, v, v) to (b,); NaN where the expected disagreement is 0."""
    margins = coincidences.sum(axis=2)
    total = margins.sum(axis=1)
    distance = _distance(margins, values, scale)
    observed = (coincidences * distance).sum(axis=(1, 2)) / total
    expected = np.einsum("bc,bk,bck->b", margins, margins, distance) / (total * (total - 1))
    found: Array = np.where(expected > 0, 1 - observed / np.where(expected > 0, expected, 1.0), np.nan)
    return found


def _distance(margins: Array, values: Array, scale: Scale) -> Array:
    """Squared difference of each two values, (b, v) to (b or 1, v, v)."""
    if scale == "nominal":
        return (1.0 - np.eye(len(values)))[None]
    if scale == "interval":
        squared: Array = ((values[:, None] - values) ** 2)[None]
        return squared
    # Ranks: half of the two values' own ratings and all of those between them.
    middle = np.cumsum(margins, axis=1) - margins / 2
    ranks: Array = (middle[:, :, None] - middle[:, None, :]) ** 2
    return ranks


def _relative_distance(margins: Array, values: Array, scale: Scale) -> float:
    """Largest disagreement of one unit over the expected one."""
    distance = _distance(margins[None], values, scale)[0]
    total = float(margins.sum())
    return float(distance.max() / ((margins @ distance @ margins) / (total * (total - 1))))
