# SPDX-License-Identifier: Apache-2.0
"""CMMD: maximum mean discrepancy of image embeddings of unit length under a wide Gaussian kernel, times 1000.

k(x, y) = exp(-|x - y|^2 / (2 * 10^2)) = exp((x'y - 1) / 100) for unit vectors (Jayasumana et al. 2024, section 4). The
published figure is the V-statistic, with pairs of an embedding with itself.

As x'y / 100 is small, the exponential series converges fast: its term of order p adds
exp(-1/100) / (100^p p!) |E x^(p) - E y^(p)|^2, with x^(p) the p-fold outer product. None is negative. Orders 1 and 2
need mean and second moment alone, which merge over batches: O(n D^2) instead of O(n^2 D). The rest is bounded by
|E x^(p)|^2 = E (x'x')^p <= E (x'x')^2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from math import exp

import numpy as np
from scipy import special

from audit.stats._products import Array, Features, checked_pair, cuts
from audit.stats.kernel_distance import KernelEstimate, mmd

__all__ = ["CmmdEstimate", "UnitMoments", "cmmd", "cmmd_all_pairs", "cmmd_from_groups"]

_GAMMA = 0.01
_SCALE = 1000.0
_ORDERS = tuple(_SCALE * exp(-_GAMMA) * _GAMMA**p / (1, 1, 2)[p] for p in (1, 2))
_REST = _SCALE * exp(-_GAMMA) * (exp(_GAMMA) - 1 - _GAMMA - _GAMMA**2 / 2)


@dataclass(frozen=True, slots=True, eq=False)
class UnitMoments:
    """Mergeable moments of n embeddings scaled to unit length.

    Attributes:
        n: how many.
        mean: shape (D,).
        second: mean of x x', shape (D, D).
    """

    n: int
    mean: Array
    second: Array

    @classmethod
    def of(cls, embeddings: Features) -> UnitMoments:
        """Moments of embeddings, shape (n, D), any length but 0.

        Raises:
            ValueError: for an embedding without a direction.
        """
        x = _unit(embeddings)
        second = x.T @ x  # one array on both sides: half the work of a general product
        second /= len(x)
        return cls(len(x), x.mean(axis=0), second)

    def merge(self, other: UnitMoments) -> UnitMoments:
        """Moments of both sets together."""
        n = self.n + other.n
        mean, second = (
            (self.n / n) * one + (other.n / n) * two
            for one, two in ((self.mean, other.mean), (self.second, other.second))
        )
        return UnitMoments(n, mean, second)

    def without(self, part: UnitMoments) -> UnitMoments:
        """Moments of the set without a part of it."""
        n = self.n - part.n
        mean, second = (
            (self.n / n) * one - (part.n / n) * two for one, two in ((self.mean, part.mean), (self.second, part.second))
        )
        return UnitMoments(n, mean, second)

    @property
    def spread(self) -> float:
        """What pairs of a vector with itself add to the V-statistic: (k(x, x) - mean over other pairs) / n."""
        pairs = self.n - 1
        first, second = float(self.mean @ self.mean), float(np.vdot(self.second, self.second))
        return (_ORDERS[0] * (1 - first) + _ORDERS[1] * (1 - second)) / pairs

    def distance(self, other: UnitMoments) -> float:
        """CMMD as published, its series to order 2."""
        step, turn = self.mean - other.mean, self.second - other.second
        return _ORDERS[0] * float(step @ step) + _ORDERS[1] * float(np.vdot(turn, turn))

    def corrected(self, other: UnitMoments) -> float:
        """The same without pairs of an embedding with itself."""
        return self.distance(other) - self.spread - other.spread

    def remainder(self, other: UnitMoments) -> float:
        """Bound of the orders left out of ``distance``."""
        sizes = [float(np.vdot(one.second, one.second)) ** 0.5 for one in (self, other)]
        return float(_REST * (sizes[0] + sizes[1]) ** 2)


@dataclass(frozen=True, slots=True)
class CmmdEstimate:
    """A CMMD from moments.

    Attributes:
        value: V-statistic as published, series to order 2. The full one is between it and ``value + remainder``.
        remainder: bound of the orders left out.
        corrected: U-statistic, without pairs of an embedding with itself: comparable across n.
        low, high: t interval of ``corrected`` by the delete-group jackknife, widened by ``remainder``. It errs to the
            safe side (Efron and Stein 1981).
        standard_error: of either.
        n, m: embeddings on the two sides. dimension: of them.
        method: in words.
    """

    value: float
    remainder: float
    corrected: float
    low: float
    high: float
    standard_error: float
    n: int
    m: int
    dimension: int
    method: str


def cmmd_all_pairs(x: Features, y: Features, *, level: float = 0.95) -> KernelEstimate:
    """CMMD over all pairs, without series: ``raw`` is the published V-statistic, ``value`` the U-statistic.

    Args:
        x: embeddings to judge, (n, D), any length but 0, n at least 5. ``influence`` is theirs.
        y: embeddings to compare with, (m, D), m at least 5.
        level: confidence level.

    Raises:
        ValueError: for shapes that do not go together, too few rows, or embeddings without a direction.
    """
    checked_pair(x, y, least=5)
    return mmd(_unit(x), _unit(y), _gaussian, level=level)


def cmmd(x: Features, y: Features, *, groups: int = 10, level: float = 0.95) -> CmmdEstimate:
    """CMMD from moments, with its interval.

    Args:
        x: embeddings to judge, (n, D), any length but 0, n at least 2 * groups.
        y: embeddings to compare with, (m, D), likewise.
        groups: into how many groups of rows each side is split, to be left out in turn.
        level: confidence level.

    Raises:
        ValueError: for shapes that do not go together, too few rows, or embeddings without a direction.
    """
    checked_pair(x, y, least=2 * groups)
    return cmmd_from_groups(*([UnitMoments.of(side[g::groups]) for g in range(groups)] for side in (x, y)), level=level)


def cmmd_from_groups(x: Sequence[UnitMoments], y: Sequence[UnitMoments], *, level: float = 0.95) -> CmmdEstimate:
    """CMMD and its interval from the moments of groups of embeddings, such as batches of about one size.

    Args:
        x: at least 2, each of embeddings that tell nothing about those of another.
        y: likewise.
        level: confidence level.

    Raises:
        ValueError: for fewer groups.
    """
    if min(len(x), len(y)) < 2:
        raise ValueError(f"needs 2 groups on each side, got {len(x)} and {len(y)}")
    left, right = reduce(UnitMoments.merge, x), reduce(UnitMoments.merge, y)
    value, corrected, remainder = left.distance(right), left.corrected(right), left.remainder(right)
    variance = 0.0
    for parts, whole, other in ((x, left, right), (y, right, left)):
        without = [whole.without(part).corrected(other) for part in parts]
        variance += (len(parts) - 1) * float(np.var(without))
    error = variance**0.5
    half = float(special.stdtrit(min(len(x), len(y)) - 1, (1 + level) / 2)) * error
    return CmmdEstimate(
        value=value,
        remainder=remainder,
        corrected=corrected,
        low=corrected - half,
        high=corrected + half + remainder,
        standard_error=error,
        n=left.n,
        m=right.n,
        dimension=len(left.mean),
        method="series to order 2 from moments; delete-group jackknife t interval",
    )


def _unit(x: Features) -> Features:
    out = np.empty(x.shape)
    for cut in cuts(len(x)):
        np.copyto(out[cut], x[cut])
        length = np.sqrt(np.einsum("nd,nd->n", out[cut], out[cut]))
        if not (length > 0).all():
            raise ValueError("an embedding of length 0 has no direction")
        out[cut] /= length[:, None]
    return out


def _gaussian(inner: Array) -> Array:
    """1000 (k - exp(-1/100)) of inner products of unit vectors."""
    inner *= _GAMMA
    np.expm1(inner, out=inner)
    inner *= _SCALE * exp(-_GAMMA)
    return inner
