# SPDX-License-Identifier: Apache-2.0
"""Maximum mean discrepancy of two feature sets over all pairs, with its standard error; the kernel distance KID.

MMD^2 = E k(x, x') + E k(y, y') - 2 E k(x, y) (Gretton et al. 2012, Lemma 6), estimated by the U-statistic over all
pairs of different rows, whose expectation does not depend on n: it may come out below 0 where the sets do not differ.
The kernel distance takes k(x, y) = (x'y / D + 1)^3 (Binkowski et al. 2018, section 4).

Its variance follows from the Hoeffding decomposition k = mean + row effect + column effect + rest, each part estimated
from the row sums and the sum of squares of the same pairs. The rest is what is left where both sets follow one law
and the row effects cancel, so the standard error holds there too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

from audit.stats._products import Array, Features, centred, checked_pair, cuts, middle
from audit.stats._remember import remembered

__all__ = ["KernelEstimate", "Subsets", "kernel_distance", "kernel_distance_subsets", "mmd"]

#: From so many rows on both sides on, inner products are rounded to float32: what that adds averages out over a
#: million pairs and more. Sums are in float64 throughout.
_MANY = 1000
_STRIP = 128

#: Turns inner products into values of the kernel, in place; a constant may be left off, it cancels.
Kernel = Callable[[Array], Array]


@dataclass(frozen=True, slots=True, eq=False)
class KernelEstimate:
    """A squared maximum mean discrepancy that can be compared across n.

    Attributes:
        value: U-statistic; may be below 0 where the sets do not differ.
        low, high: score interval: the distances whose own standard error would leave ``value`` possible.
        standard_error: of ``value``, from its Hoeffding decomposition.
        raw: V-statistic, pairs of a row with itself included: too large by about (E k(x, x) - E k(x, x')) / n a side.
        n, m: rows on the two sides. dimension: of them.
        influence: by how much each row of the first set raises ``value``, (n,).
        method: in words.
    """

    value: float
    low: float
    high: float
    standard_error: float
    raw: float
    n: int
    m: int
    dimension: int
    influence: Array
    method: str


@dataclass(frozen=True, slots=True, eq=False)
class Subsets:
    """Kernel distance the way it is commonly printed: over random subsets.

    Attributes:
        mean: of the subsets' values.
        spread: standard deviation of them (divisor: number of subsets). It describes subsets of ``size`` rows and is
            no standard error of ``mean``.
        values: one each subset.
        size: rows a subset.
        seed: same seed, same subsets.
    """

    mean: float
    spread: float
    values: Array
    size: int
    seed: int


def kernel_distance(x: Features, y: Features, *, level: float = 0.95) -> KernelEstimate:
    """Kernel distance (KID) of feature sets (n, D) and (m, D), n and m at least 5, over all pairs.

    Args:
        x: features to judge; ``influence`` is theirs.
        y: features to compare with.
        level: confidence level.

    Raises:
        ValueError: for shapes that do not go together, too few rows, or numbers that are not finite.
    """
    return mmd(x, y, _cubic(x.shape[-1]), level=level)


def kernel_distance_subsets(
    x: Features, y: Features, *, subsets: int = 100, size: int = 1000, seed: int = 0
) -> Subsets:
    """Kernel distance over random subsets of both sets, to set beside figures that were computed so.

    All subsets come out of one pass over all pairs where that is less work than a pass over each.

    Args:
        x: features, (n, D).
        y: features, (m, D).
        subsets: how many.
        size: rows a subset from each side, without replacement; fewer where a side has fewer.
        seed: of the subsets.

    Raises:
        ValueError: for shapes that do not go together, too few rows, or numbers that are not finite.
    """
    checked_pair(x, y, least=5)
    rng, size = np.random.default_rng(seed), min(size, len(x), len(y))
    drawn = [(_draw(rng, len(x), size), _draw(rng, len(y), size)) for _ in range(subsets)]
    kernel = _cubic(x.shape[1])
    if len(x) ** 2 + len(y) ** 2 + 2 * len(x) * len(y) <= 4 * subsets * size**2:
        ones = _indicator([i for i, _ in drawn], len(x)), _indicator([j for _, j in drawn], len(y))
        values = _sums(x, y, kernel, *ones).distances(*ones, size)
    else:
        one = np.ones((size, 1))
        values = np.array([_sums(x[i], y[j], kernel, one, one).distances(one, one, size)[0] for i, j in drawn])
    return Subsets(float(values.mean()), float(values.std()), values, size, seed)


def mmd(x: Features, y: Features, kernel: Kernel, *, level: float = 0.95) -> KernelEstimate:
    """Squared maximum mean discrepancy of feature sets (n, D) and (m, D), n and m at least 5, over all pairs.

    Args:
        x: features to judge.
        y: features to compare with.
        kernel: turns an array of inner products into kernel values, in place, up to a constant.
        level: confidence level.

    Raises:
        ValueError: for shapes that do not go together, too few rows, or numbers that are not finite.
    """
    checked_pair(x, y, least=5)
    n, m = len(x), len(y)
    own, other = (_within(part, kernel=kernel, dtype=_dtype(len(part))) for part in (x, y))
    a, b = own.sums, other.sums
    product = _Products(middle(x, y), _dtype(min(n, m)), kernel)
    across, back, square = product.across(x, y, np.ones((n, 1)), np.ones((m, 1)))
    c, d = across[:, 0], back[:, 0]
    value = a.sum() / (n * (n - 1)) + b.sum() / (m * (m - 1)) - 2 * c.sum() / (n * m)
    raw = (a.sum() + own.diagonal) / n**2 + (b.sum() + other.diagonal) / m**2 - 2 * c.sum() / (n * m)
    without = (a.sum() - 2 * a) / ((n - 1) * (n - 2)) + b.sum() / (m * (m - 1)) - 2 * (c.sum() - c) / ((n - 1) * m)
    variance = _variance((a, b, c, d), (own.square, other.square, square))
    low, high = variance.interval(float(value), float(special.stdtrit(min(n, m) - 1, (1 + level) / 2)))
    return KernelEstimate(
        value=float(value),
        low=low,
        high=high,
        standard_error=(variance.first + variance.second) ** 0.5,
        raw=float(raw),
        n=n,
        m=m,
        dimension=x.shape[1],
        influence=value - without,
        method="U-statistic over all pairs; score interval, variance by Hoeffding decomposition",
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Within:
    """Kernel values within one set.

    Attributes:
        sums: of each row over all others, (n,).
        square: sum of squares over ordered pairs.
        diagonal: sum of k(x_i, x_i).
    """

    sums: Array
    square: float
    diagonal: float


@remembered
def _within(x: Features, *, kernel: Kernel, dtype: type[np.floating]) -> _Within:
    """Of one set by itself: slices of a set that are compared with one reference compute its part once."""
    product = _Products(middle(x, x), dtype, kernel)
    sums, square = product.within(x, np.ones((len(x), 1)))
    return _Within(sums[:, 0], square, float(_own(x, kernel).sum()))


def _dtype(n: int) -> type[np.floating]:
    """Of the inner products of n rows and more."""
    return np.float32 if n >= _MANY else np.float64


def _own(x: Features, kernel: Kernel) -> Array:
    """k(x_i, x_i), (n,)."""
    return kernel(np.einsum("nd,nd->n", x, x, dtype=np.float64))


@cache
def _cubic(dimension: int) -> Kernel:
    """(s / D + 1)^3 - 1 of inner products s."""

    def kernel(inner: Array) -> Array:
        inner /= dimension
        more = inner + 3.0
        more *= inner
        more += 3.0
        inner *= more
        return inner

    return kernel


def _draw(rng: np.random.Generator, n: int, size: int) -> NDArray[np.int64]:
    return rng.permutation(n)[:size]


def _indicator(drawn: list[NDArray[np.int64]], n: int) -> Array:
    """Which rows each subset holds, (n, subsets)."""
    out = np.zeros((n, len(drawn)))
    for column, rows in enumerate(drawn):
        out[rows, column] = 1.0
    return out


@dataclass(frozen=True, slots=True)
class _Variance:
    """Variance of the U-statistic (Serfling 1980, section 5.2, for two samples).

    Attributes:
        first: of the row effects. It is 0 where both sets follow one law and grows in proportion to the distance.
        second: of what is left.
        steepest: most that ``first`` can grow with the distance: a witness function of squared norm MMD^2 varies by
            at most MMD^2 times the largest eigenvalue of the kernel, which is at most the root of their sum of squares.
    """

    first: float
    second: float
    steepest: float

    def interval(self, value: float, t: float) -> tuple[float, float]:
        """Distances d with (value - d)^2 <= t^2 (second + slope d), d below 0 taken to vary like 0.

        Where the value does not stand out from the noise the slope cannot be told from it, and is the steepest.
        """
        noise = self.second**0.5
        if noise == 0.0 and value <= 0.0:
            return value, value
        slope = (self.first + self.steepest * noise) / (max(value, 0.0) + noise)
        middle, inside = value + t * t * slope / 2, self.second + slope * value + (t * slope / 2) ** 2
        half = t * max(inside, 0.0) ** 0.5
        low, high = value - t * noise, value + t * noise
        return (low if low < 0 else middle - half), (high if high < 0 else middle + half)


def _variance(rows: tuple[Array, Array, Array, Array], squares: tuple[float, float, float]) -> _Variance:
    """Parts of the variance.

    Args:
        rows: sums over pairs of each row: within x, within y, of x with all of y, of y with all of x.
        squares: sums of squared kernel values within x, within y and across, each ordered pair counted.
    """
    a, b, c, d = rows
    n, m = len(a), len(b)
    mean = float(c.sum()) / (n * m)
    p, q = c / m - mean, d / n - mean
    left = squares[2] - n * m * mean**2 - m * float(p @ p) - n * float(q @ q)
    cross = max(left, 0.0) / ((n - 1) * (m - 1))
    first, second, steepest = 0.0, 4 * cross / (n * m), 0.0
    for sums, square, other, size, facing in ((a, squares[0], p, n, m), (b, squares[1], q, m, n)):
        effect, rest = _effects(sums, square)
        first += 4 / size * max(float(np.var(effect - other, ddof=1)) - rest / (size - 2) - cross / facing, 0.0)
        second += 2 * rest / (size * (size - 1))
        steepest += 4 / size * rest**0.5
    return _Variance(first, second, steepest)


def _effects(sums: Array, square: float) -> tuple[Array, float]:
    """Row effects of a symmetric matrix without its diagonal by least squares, and the variance of what is left."""
    n = len(sums)
    mean = float(sums.sum()) / (n * (n - 1))
    effect = (sums - (n - 1) * mean) / (n - 2)
    left = square / 2 - n * (n - 1) / 2 * mean**2 - (n - 2) * float(effect @ effect)
    return effect, max(left, 0.0) / (n * (n - 3) / 2)


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """Weighted sums of a kernel over pairs.

    Attributes:
        xx: sum over j != i of k(x_i, x_j) w_j, (n, s). yy: likewise, (m, s).
        xy: sum over j of k(x_i, y_j) v_j, (n, s).
    """

    xx: Array
    yy: Array
    xy: Array

    def distances(self, w: Array, v: Array, size: int) -> Array:
        """U-statistics of subsets of ``size`` rows given by indicators, (s,)."""
        within = (w * self.xx).sum(axis=0) + (v * self.yy).sum(axis=0)
        return np.asarray(within / (size * (size - 1)) - 2 * (w * self.xy).sum(axis=0) / size**2)


def _sums(x: Features, y: Features, kernel: Kernel, w: Array, v: Array) -> _Sums:
    centre = middle(x, y)
    product = _Products(centre, _dtype(min(len(x), len(y))), kernel)
    return _Sums(product.within(x, w)[0], product.within(y, v)[0], product.across(x, y, w, v)[0])


@dataclass(frozen=True, slots=True, eq=False)
class _Products:
    """Kernel values block by block.

    x'y = (x - c)'(y - c) + (x - c)'c + c'(y - c) + c'c: only the first term, small where features share a large mean,
    is rounded to ``dtype``.
    """

    centre: Array
    dtype: type[np.floating]
    kernel: Kernel

    def offsets(self, x: Features) -> Array:
        """(x - c)'c, (n,)."""
        return np.concatenate([centred(x, rows, self.centre, np.float64) @ self.centre for rows in cuts(len(x))])

    def within(self, x: Features, weights: Array) -> tuple[Array, float]:
        out, square, u = np.zeros((len(x), weights.shape[1])), 0.0, self.offsets(x)
        for rows in cuts(len(x)):
            left = centred(x, rows, self.centre, self.dtype)
            for columns in cuts(len(x)):
                if columns.start < rows.start:
                    continue
                right = left if columns == rows else centred(x, columns, self.centre, self.dtype)
                for part, k in self.strips(left, right, u[rows], u[columns]):
                    at = slice(rows.start + part.start, rows.start + part.stop)
                    if columns == rows:
                        k[np.arange(len(k)), np.arange(part.start, part.stop)] = 0.0
                        square += float(np.vdot(k, k))
                    else:
                        out[columns] += k.T @ weights[at]
                        square += 2 * float(np.vdot(k, k))
                    out[at] += k @ weights[columns]
        return out, square

    def across(self, x: Features, y: Features, w: Array, v: Array) -> tuple[Array, Array, float]:
        rows_out, columns_out, square = np.zeros((len(x), v.shape[1])), np.zeros((len(y), w.shape[1])), 0.0
        u_x, u_y = self.offsets(x), self.offsets(y)
        for rows in cuts(len(x)):
            left = centred(x, rows, self.centre, self.dtype)
            for columns in cuts(len(y)):
                right = centred(y, columns, self.centre, self.dtype)
                for part, k in self.strips(left, right, u_x[rows], u_y[columns]):
                    at = slice(rows.start + part.start, rows.start + part.stop)
                    rows_out[at] += k @ v[columns]
                    columns_out[columns] += k.T @ w[at]
                    square += float(np.vdot(k, k))
        return rows_out, columns_out, square

    def strips(self, left: Features, right: Features, u: Array, v: Array) -> Iterator[tuple[slice, Array]]:
        """Kernel values of some rows of ``left`` with all of ``right``: few enough to stay in the cache."""
        inner, u = left @ right.T, u + self.centre @ self.centre
        for part in cuts(len(left), _STRIP):
            k = inner[part] + u[part, None]
            k += v
            yield part, self.kernel(k)
