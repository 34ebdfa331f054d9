# SPDX-License-Identifier: Apache-2.0
"""Embedding association tests: whether two targets lie differently between two poles.

WEAT (Caliskan, Bryson and Narayanan 2017) and its form for images, iEAT (Steed and Caliskan 2021): for a target w and
poles A and B, s(w) = mean cosine to A - mean cosine to B; the effect size is the difference of the mean s of the
targets X and Y in standard deviations of s over both, with the divisor n - 1; the p-value counts the partitions of both
into sets of the same sizes whose difference is at least as large. Both the divisor and "at least" matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, combinations
from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy import special

__all__ = ["MAX_EXACT", "Association", "Permutation", "associations", "effect_interval", "effect_size", "permutation"]

#: Up to so many partitions all of them are counted, above it they are sampled.
MAX_EXACT = 200_000
_GROUPS = 50

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Permutation:
    """The difference of two means among all ways to part their values.

    Attributes:
        greater: share of partitions with a difference at least as large (one-sided, as published).
        either: share with an absolute difference at least as large.
        difference: mean absolute difference over the partitions.
        exact: whether all were counted.
    """

    greater: float
    either: float
    difference: float
    exact: bool


@dataclass(frozen=True, slots=True)
class Association:
    """Effect size with its t interval."""

    value: float
    low: float
    high: float
    units: int


def associations(targets: Array, a: Array, b: Array) -> Array:
    """Mean cosine to A minus mean cosine to B of each target; rows of unit length, (n, D), (p, D), (q, D) to (n,)."""
    found: Array = targets @ (a.mean(axis=0) - b.mean(axis=0))
    return found


def effect_size(x: Array, y: Array) -> float:
    """Difference of means in standard deviations of all values together (divisor n - 1); 0 where all are equal."""
    deviation = float(np.concatenate([x, y]).std(ddof=1))
    return (float(x.mean()) - float(y.mean())) / deviation if deviation > 0 else 0.0


def permutation(x: Array, y: Array, *, seed: int = 0, reps: int = 9999) -> Permutation:
    """All partitions up to `MAX_EXACT`, else a sample in which the observed one counts (Phipson and Smyth 2010).

    Args:
        x: values of the first set, at least one. y: values of the second set; sizes may differ.
        y: values of the second set.
        seed: same seed, same numbers.
        reps: partitions drawn where there are too many to count.
    """
    values, k = np.concatenate([x, y]), len(x)
    exact = comb(len(values), k) <= MAX_EXACT
    sums = _all_sums(values, k) if exact else _some_sums(values, k, seed, reps)
    differences = sums / k - (values.sum() - sums) / len(y)
    observed = float(x.mean() - y.mean())
    # Sums of the same numbers in another order differ in the last digits.
    slack = 1e-10 * float(np.abs(values).max(initial=0.0))
    greater, either = differences >= observed - slack, np.abs(differences) >= abs(observed) - slack
    added = 0 if exact else 1
    total = len(sums) + added
    one, two = ((int(hit.sum()) + added) / total for hit in (greater, either))
    return Permutation(one, two, float(np.abs(differences).mean()), exact)


def _all_sums(values: Array, k: int) -> Array:
    ways = comb(len(values), k)
    picked = np.fromiter(chain.from_iterable(combinations(range(len(values)), k)), np.int64, ways * k)
    sums: Array = values[picked.reshape(ways, k)].sum(axis=1)
    return sums


def _some_sums(values: Array, k: int, seed: int, reps: int) -> Array:
    rng, sums = np.random.default_rng(seed), []
    for start in range(0, reps, 500):  # in blocks: a table of all orders could be large
        drawn = rng.permuted(np.tile(values, (min(500, reps - start), 1)), axis=1)
        sums.append(drawn[:, :k].sum(axis=1))
    return np.concatenate(sums)


def effect_interval(
    sets: tuple[Array, Array, Array, Array], units: tuple[Codes, Codes, Codes, Codes], *, level: float = 0.95
) -> Association:
    """Effect size of X, Y between A, B, with a jackknife over the units of all four sets.

    Each set is a sample, so each is jackknifed and the variances add up (Arvesen 1969); degrees of freedom by Welch and
    Satterthwaite.

    Args:
        sets: X, Y, A, B, rows of unit length.
        units: label of the unit (prompt, or image) of each row of each set, at least two units a set. More than 50
            units are left out in 50 groups.
        level: confidence level.
    """
    x, y, a, b = sets
    both, split = np.concatenate([x, y]), len(x)
    s = associations(both, a, b)
    value = effect_size(s[:split], s[split:])
    labels = [np.unique(label, return_inverse=True)[1] % _GROUPS for label in units]
    left = [
        _without_targets(s[:split], s[split:], labels[0]),
        -_without_targets(s[split:], s[:split], labels[1]),
        _effects(_left_out(both, a, labels[2]) - (both @ b.mean(axis=0))[:, None], split),
        _effects((both @ a.mean(axis=0))[:, None] - _left_out(both, b, labels[3]), split),
    ]
    variances = np.array([(len(one) - 1) * float(np.var(one)) for one in left])
    df = np.array([len(one) - 1 for one in left])
    error = float(variances.sum()) ** 0.5
    freedom = float(variances.sum() ** 2 / (variances**2 / df).sum()) if error > 0 else float(df.sum())
    half = float(special.stdtrit(freedom, (1 + level) / 2)) * error
    # With the divisor n - 1 no sample reaches the 2 of targets that are wholly apart, with the divisor n it does.
    centre = value * (len(s) / (len(s) - 1)) ** 0.5
    low, high = min(value, centre - half), max(value, centre + half)
    return Association(value, max(-2.0, low), min(2.0, high), sum(len(np.unique(label)) for label in units))


def _without_targets(x: Array, y: Array, labels: Codes) -> Array:
    return np.array([effect_size(x[labels != g], y) for g in range(int(labels.max()) + 1)])


def _left_out(targets: Array, pole: Array, labels: Codes) -> Array:
    """Mean cosine of each target to the pole without each group of it, shape (n, g)."""
    size = np.bincount(labels)
    sums = np.zeros((len(size), pole.shape[1]))
    np.add.at(sums, labels, pole)
    means = (pole.sum(axis=0) - sums) / (len(pole) - size)[:, None]
    found: Array = targets @ means.T
    return found


def _effects(s: Array, split: int) -> Array:
    return np.array([effect_size(column[:split], column[split:]) for column in s.T])
