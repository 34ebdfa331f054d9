# SPDX-License-Identifier: Apache-2.0
"""How different the images of one prompt are from each other: the Vendi score at a fixed number of images.

The Vendi score of n images is the exponential of the entropy of the eigenvalues of K / n, with K their matrix of
cosines (Friedman and Dieng 2023, eq. 3): 1 for n copies of one image, n for images at right angles to each other. It
grows with n, so scores at different n do not compare. Here it is the mean over subsets of `SIZE` images: a U-statistic,
whose expectation does not depend on n.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

__all__ = ["SIZE", "Diversity", "Mean", "copies_limit", "diversity", "mean_over_prompts", "pairwise_distance", "vendi"]

#: Images a subset.
SIZE = 8
_GROUPS, _SUBSETS = 50, 400

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Diversity:
    """A statistic of the images of one prompt.

    Attributes:
        value: the U-statistic.
        variance: of it, by the jackknife.
        n: images.
        df: jackknife groups minus one.
    """

    value: float
    variance: float
    n: int
    df: int


@dataclass(frozen=True, slots=True)
class Mean:
    """Unweighted mean over prompts, which are taken as fixed, with its t interval."""

    value: float
    low: float
    high: float
    n: int


def vendi(unit: NDArray[np.floating]) -> Array:
    """Vendi score of each set of vectors of unit length; (..., n, D) to (...)."""
    kernel = unit @ np.swapaxes(unit, -1, -2) / unit.shape[-2]
    values = np.maximum(np.linalg.eigvalsh(kernel), 0.0)
    score: Array = np.exp(special.entr(values).sum(axis=-1))
    return score


def diversity(unit: Array, *, size: int = SIZE, seed: int = 0) -> Diversity:
    """Mean Vendi score of subsets of ``size`` images.

    Subsets are cut from random orders of all images, so that every image is used about as often. The jackknife leaves
    out one image at a time, or one of 50 groups of images where there are more, and averages over the subsets that hold
    none of them. Its variance errs to the safe side (Efron and Stein 1981).

    Args:
        unit: features of unit length, shape (n, D), n above ``size``.
        size: images a subset.
        seed: same seed, same numbers.
    """
    n, groups = len(unit), min(len(unit), _GROUPS)
    rng, cut = np.random.default_rng(seed), n // size
    orders = rng.permuted(np.tile(np.arange(n), (-(-_SUBSETS // cut), 1)), axis=1)[:, : cut * size]
    subsets = orders.reshape(-1, size)
    scores = np.concatenate([vendi(unit[block]) for block in np.array_split(subsets, -(-len(subsets) // 400))])
    inside = np.zeros((len(subsets), groups))
    inside[np.arange(len(subsets))[:, None], subsets % groups] = 1.0
    without = (scores @ (1 - inside)) / (1 - inside).sum(axis=0)
    return Diversity(float(scores.mean()), (groups - 1) * float(np.var(without)), n, groups - 1)


def pairwise_distance(unit: Array) -> Diversity:
    """Mean of 1 - cosine over all pairs of images; features of unit length, shape (n, D), n at least 3."""
    n = len(unit)
    shared = unit @ unit.sum(axis=0) - 1.0
    total = float(shared.sum())
    without = (total - 2 * shared) / ((n - 1) * (n - 2))
    return Diversity(1.0 - total / (n * (n - 1)), (n - 1) * float(np.var(without)), n, n - 1)


def mean_over_prompts(found: Sequence[Diversity], *, level: float = 0.95) -> Mean:
    """Mean of independent prompts, at least one; degrees of freedom by Welch and Satterthwaite."""
    variances = np.array([one.variance for one in found])
    df = np.array([one.df for one in found])
    value, error = float(np.mean([one.value for one in found])), float(variances.sum()) ** 0.5 / len(found)
    freedom = float(variances.sum() ** 2 / (variances**2 / df).sum()) if error > 0 else float(df.sum())
    half = float(special.stdtrit(freedom, (1 + level) / 2)) * error
    return Mean(value, value - half, value + half, sum(one.n for one in found))


def copies_limit(n: int, *, size: int = SIZE, level: float = 0.95) -> float:
    """Largest mean Vendi score that n copies of one image leave open.

    Images unlike all others can come as often as the Clopper-Pearson limit of none in n; each at right angles to the
    rest, which is as far as can be.
    """
    share = 1 - ((1 - level) / 2) ** (1 / n)
    odd = np.arange(size + 1)
    alike = (size - odd) / size
    entropy = special.entr(alike) + odd * float(special.entr(1 / size))
    return float(stats.binom.pmf(odd, size, share) @ np.exp(entropy))
