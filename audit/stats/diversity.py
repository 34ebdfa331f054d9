# SPDX-License-Identifier: Apache-2.0
"""How different the images of one prompt are from each other: the Vendi score at a fixed number of images.

The Vendi score of n images is the exponential of the entropy of the eigenvalues of K / n, with K their matrix of
cosines (Friedman and Dieng 2023, eq. 3): 1 for n copies of one image, n for images at right angles to each other. It
grows with n, so scores at different n do not compare. `diversity` is the mean over subsets of `SIZE` images: a
U-statistic, whose expectation does not depend on n. `vendi_score` is that of all images, with an interval of its
expectation at this n, and of any order q: the Renyi entropy of order q weighs common kinds more the larger q is
(Pasarkar and Dieng 2024, eq. 3).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

__all__ = [
    "SIZE",
    "Diversity",
    "Mean",
    "VendiScore",
    "copies_limit",
    "diversity",
    "mean_over_prompts",
    "pairwise_distance",
    "vendi",
    "vendi_score",
]

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


@dataclass(frozen=True, slots=True)
class VendiScore:
    """Vendi score of all images of a set.

    Attributes:
        value: between 1 and n.
        low, high: interval of its expectation at this n: t interval on the logarithm by the delete-group jackknife,
            which errs to the safe side (Efron and Stein 1981).
        standard_error: of ``value``.
        n: images. dimension: of their features. order: q of the entropy.
        method: in words.
    """

    value: float
    low: float
    high: float
    standard_error: float
    n: int
    dimension: int
    order: float
    method: str


def vendi(unit: NDArray[np.floating], *, order: float = 1.0) -> Array:
    """Vendi score of each set of vectors of unit length; (..., n, D) to (...).

    K / n and the second moment of the vectors have the same eigenvalues but for zeros; the smaller one is taken.

    Args:
        unit: features of unit length.
        order: q of the entropy, from 0 (number of directions) to infinity (share of the commonest one).
    """
    across, along = unit, np.swapaxes(unit, -1, -2)
    kernel = across @ along if unit.shape[-2] <= unit.shape[-1] else along @ across
    return _of_kernel(kernel / unit.shape[-2], order)


def vendi_score(
    features: NDArray[np.floating], *, order: float = 1.0, groups: int = 10, level: float = 0.95
) -> VendiScore:
    """Vendi score of all images, with its interval.

    Args:
        features: shape (n, D), any length but 0; n at least 2 * groups.
        order: q of the entropy, from 0 to infinity.
        groups: every ``groups``-th row is left out in turn.
        level: confidence level.

    Raises:
        ValueError: for another shape, too few rows, an order below 0, or features without a direction.
    """
    if features.ndim != 2 or len(features) < 2 * groups:
        raise ValueError(f"features must be (n, D) with n at least {2 * groups}, got {features.shape}")
    x = np.asarray(features, dtype=np.float64)
    length = np.linalg.norm(x, axis=1, keepdims=True)
    if not (np.isfinite(length).all() and (length > 0).all()):
        raise ValueError("features must be finite and have a direction")
    x = x / length
    n, dimension = x.shape
    parts = _left_out(x, groups)
    value = float(_of_kernel(next(parts), order))
    logs = np.log([float(_of_kernel(kernel, order)) for kernel in parts])
    error = ((groups - 1) * float(np.var(logs))) ** 0.5
    wide = float(np.exp(special.stdtrit(groups - 1, (1 + level) / 2) * error))
    return VendiScore(
        value=value,
        low=max(1.0, value / wide),
        high=min(float(n), value * wide),
        standard_error=value * error,
        n=n,
        dimension=dimension,
        order=float(order),
        method=f"order {order:g}, expectation at n = {n}; delete-group jackknife t interval on the logarithm",
    )


def _left_out(unit: Array, groups: int) -> Iterator[Array]:
    """Kernel over n of all rows, then without each group; the smaller of the two kinds."""
    n, dimension = unit.shape
    group = np.arange(n) % groups
    whole = unit @ unit.T if n <= dimension else unit.T @ unit
    yield whole / n
    for g in range(groups):
        kept = group != g
        if n <= dimension:
            yield whole[np.ix_(kept, kept)] / kept.sum()
        else:
            part = unit[~kept]
            yield (whole - part.T @ part) / kept.sum()


def _of_kernel(kernel: Array, order: float) -> Array:
    """Exponential of the Renyi entropy of eigenvalues that sum up to 1; (..., k, k) to (...)."""
    if not order >= 0:
        raise ValueError(f"order must be at least 0, got {order}")
    if order == 2:
        return np.asarray(1.0 / np.square(kernel).sum(axis=(-1, -2)))
    values = np.maximum(np.linalg.eigvalsh(kernel), 0.0)
    if order == 1:
        return np.asarray(np.exp(special.entr(values).sum(axis=-1)))
    if np.isinf(order):
        return np.asarray(1.0 / values.max(axis=-1))
    # Below: eigenvalues that are 0 but for rounding, which small orders would count as kinds of their own.
    values[values < values.max(axis=-1, keepdims=True) * kernel.shape[-1] * np.finfo(kernel.dtype).eps] = 0.0
    powers = np.where(values > 0, np.power(values, order, where=values > 0, out=np.zeros_like(values)), 0.0)
    return np.asarray(powers.sum(axis=-1) ** (1.0 / (1.0 - order)))


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
