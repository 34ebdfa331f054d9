# SPDX-License-Identifier: Apache-2.0
"""Paired differences: two images that share everything but one word of the prompt."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

__all__ = ["Paired", "SignFlips", "mcnemar", "paired_mean", "sign_flips"]

#: Up to so many units all sign patterns are counted, above it they are sampled.
MAX_EXACT = 20
_REPS, _BLOCK = 4999, 1000

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Paired:
    """Mean of paired differences.

    Attributes:
        value: the mean.
        centre: middle of its intervals; between the mean and 0 where pseudo-pairs were added.
        error: standard error.
        df: degrees of freedom of t.
        pairs: how many.
        units: independent units behind them.
        bound: largest possible absolute value, None without one.
    """

    value: float
    centre: float
    error: float
    df: int
    pairs: int
    units: int
    bound: float | None

    def interval(self, level: float) -> tuple[float, float]:
        """Interval at a level, the mean always within it."""
        half = float(special.stdtrit(self.df, (1 + level) / 2)) * self.error
        low, high = min(self.centre - half, self.value), max(self.centre + half, self.value)
        return (low, high) if self.bound is None else (max(low, -self.bound), min(high, self.bound))


@dataclass(frozen=True, slots=True)
class SignFlips:
    """Mean differences of a generator that the exchanged word makes no difference to.

    Attributes:
        p: probability of an absolute mean at least as large as the one observed.
        floor: mean absolute mean.
        exact: whether all sign patterns were counted.
    """

    p: float
    floor: float
    exact: bool


def mcnemar(up: int, down: int) -> float:
    """Exact two-sided p-value of as many changes one way as the other (McNemar 1947; binomial, doubled tail).

    Args:
        up: pairs in which only the second has the property.
        down: pairs in which only the first has it.
    """
    return float(min(1.0, 2 * stats.binom.cdf(min(up, down), up + down, 0.5)))


def paired_mean(
    differences: Array, units: NDArray[np.int64] | None = None, *, variance: float = 0.0, shares: bool = False
) -> Paired:
    """Mean difference with what its intervals need.

    The variance is the cluster-robust one (Liang and Zeger 1986) with the factor G / (G - 1). For shares one pair that
    changes each way is added (Bonett and Price 2012, the adjusted Wald interval): without it a sample in which no pair,
    or every pair, changes would be called certain.

    Args:
        differences: second minus first, one a pair, shape (n,), n at least 2.
        units: label 0 .. G - 1 of the unit of each pair, G at least 2; None where pairs are independent.
        variance: of the mean by other sources, such as the instrument's confusion counts.
        shares: whether the differences are those of indicators, or of scores that estimate them.
    """
    n = len(differences)
    labels = np.arange(n) if units is None else units
    g = int(labels.max()) + 1
    total, added = float(differences.sum()), 2 if shares else 0
    centre = total / (n + added)
    residual = np.bincount(labels, weights=differences - centre, minlength=g)
    squares = g / (g - 1) * float(residual @ residual) + added * (1 + centre**2)
    error = (squares / (n + added) ** 2 + variance) ** 0.5
    value = total / n
    if shares:
        value = min(1.0, max(-1.0, value))
    return Paired(value, centre, error, g - 1, n, g, 1.0 if shares else None)


def sign_flips(differences: Array, units: NDArray[np.int64] | None = None, *, seed: int = 0) -> SignFlips:
    """Sign-flip permutation of paired differences, whole units at a time (Fisher 1935, sec. 21).

    Under the hypothesis that the exchanged word makes no difference the two members of a pair could as well have been
    exchanged, which turns the sign. Up to 20 units all patterns are counted, otherwise 4,999 are drawn, and the
    observed one counts among them (Phipson and Smyth 2010).

    Args:
        differences: one a pair, shape (n,).
        units: label 0 .. G - 1 of the unit of each pair; None where pairs are independent.
        seed: same seed, same numbers.
    """
    sums = differences if units is None else np.bincount(units, weights=differences)
    sums, observed = sums[sums != 0], abs(float(sums.sum()))  # a unit without a difference has no sign to turn
    drawn = np.abs(_all_signs(sums) if len(sums) <= MAX_EXACT else _some_signs(sums, seed))
    reached = int((drawn >= observed - 1e-9 * max(1.0, observed)).sum())
    floor = float(drawn.mean()) / len(differences)
    if len(sums) <= MAX_EXACT:
        return SignFlips(reached / len(drawn), floor, exact=True)
    return SignFlips((reached + 1) / (len(drawn) + 1), floor, exact=False)


def _all_signs(sums: Array) -> Array:
    """Totals under all sign patterns, one of each two that mirror each other."""
    totals = sums[:1] if len(sums) else np.zeros(1)
    for value in sums[1:]:
        totals = np.concatenate([totals + value, totals - value])
    return totals


def _some_signs(sums: Array, seed: int) -> Array:
    totals = np.zeros(_REPS)
    for start in range(0, len(sums), _BLOCK):
        block = sums[start : start + _BLOCK]
        totals += _signs(seed, start // _BLOCK)[:, : len(block)].astype(np.float64) @ block
    return totals


@lru_cache(maxsize=8)
def _signs(seed: int, block: int) -> NDArray[np.int8]:
    """Signs of a thousand units in every repetition; a run asks for the same ones in every slice."""
    return 2 * np.random.default_rng([seed, block]).integers(0, 2, size=(_REPS, _BLOCK), dtype=np.int8) - 1
