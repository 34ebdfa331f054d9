# SPDX-License-Identifier: Apache-2.0
"""Squared distances in float32 with a bound on their rounding, and the nearest rows that follow from them exactly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from audit.stats._products import Array, Features, centred, cuts, middle, paired_squares

__all__ = ["Codes", "Nearest", "Rows", "distances", "lower_bounds", "nearest"]

#: Nearest rows that are kept beyond the k-th: to prove that it is the k-th, and to grow balls when others are left out.
_SPARE = 8
#: Rows that the first limit is taken from: few, as sorting costs, and enough to leave out most of the others.
_GUESS = 256

Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Vectors whose distances are asked for.

    Attributes:
        x: the vectors, (n, D).
        centre: subtracted before rounding, (D,).
        squares: squared lengths after that, (n,).
        dtype: of the products.
    """

    x: Features
    centre: Array
    squares: Array
    dtype: type[np.floating]

    @property
    def slack(self) -> float:
        """Rounding of |x - y|^2 computed from inner products, over |x|^2 + |y|^2, at most (Higham 2002, eq. 3.5)."""
        unit = float(np.finfo(self.dtype).eps) / 2
        steps = self.x.shape[1] * unit
        return float(steps / (1 - steps) + 16 * unit)

    def block(self, cut: slice) -> Features:
        """Centred rows in ``dtype``."""
        return centred(self.x, cut, self.centre, self.dtype)


@dataclass(frozen=True, slots=True, eq=False)
class Nearest:
    """Other rows of the same set near each row.

    Attributes:
        radius: squared distance to the k-th nearest, (n,), as a sum of squared differences in float64.
        near: squared distances to the nearest K >= k, rising, (n, K), to within rounding.
        who: which they are, (n, K).
    """

    radius: Array
    near: Array
    who: Codes


def distances(x: Features, y: Features) -> tuple[Rows, Rows]:
    """Two sets around a common centre; float32 unless that could not hold their squares."""
    centre = middle(x, y)
    squares = [_squares(part, centre) for part in (x, y)]
    largest = max(float(part.max()) for part in squares)
    dtype = np.float32 if 1e-20 < largest < 1e30 and x.shape[1] < 100_000 else np.float64
    return Rows(x, centre, squares[0], dtype), Rows(y, centre, squares[1], dtype)


def lower_bounds(left: Rows, right: Rows, *, triangle: bool = False) -> Iterator[tuple[slice, slice, Features]]:
    """Lower bounds of squared distances block by block: rows of ``left``, of ``right``, bounds.

    The distance is at most 2 * slack * (|x|^2 + |y|^2) above. With ``triangle`` only blocks on and above the diagonal.
    """
    small = 1 - left.slack
    add_left, add_right = ((small * part.squares).astype(left.dtype) for part in (left, right))
    for rows in cuts(len(left.x)):
        twice = left.block(rows)
        twice *= -2
        for columns in cuts(len(right.x)):
            if triangle and columns.start < rows.start:
                continue
            bounds = twice @ right.block(columns).T
            bounds += add_left[rows, None]
            bounds += add_right[columns]
            yield rows, columns, bounds


def nearest(rows: Rows, k: int) -> Nearest:
    """The k nearest other rows of each row and some more; k below the number of rows."""
    kept = _Kept.empty(len(rows.x), min(k + _SPARE, len(rows.x) - 1), rows.dtype)
    for at, other, bounds in lower_bounds(rows, rows, triangle=True):
        if at == other:
            np.fill_diagonal(bounds, np.inf)
        else:
            kept.offer(other, at.start, bounds.T)
        kept.offer(at, other.start, bounds)
    radius, sure = _radius(rows, kept, np.arange(len(rows.x)), k)
    if not sure.all():
        _settle(rows, kept, radius, np.flatnonzero(~sure), k)
    near = kept.bounds + rows.slack * (rows.squares[:, None] + rows.squares[kept.who])
    order = np.argsort(near, axis=1, kind="stable")
    return Nearest(radius, np.take_along_axis(near, order, 1), np.take_along_axis(kept.who, order, 1))


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """Smallest bounds seen so far of each row, in no order, and which rows they are for."""

    bounds: Features
    who: Codes

    @classmethod
    def empty(cls, n: int, keep: int, dtype: type[np.floating]) -> _Kept:
        return cls(np.full((n, keep), np.inf, dtype), np.zeros((n, keep), np.int64))

    def offer(self, rows: slice, first: int, bounds: Features) -> None:
        """Take in bounds of ``rows`` with the rows from ``first`` on."""
        held, keep = self.bounds[rows], self.bounds.shape[1]
        worst = held.max(axis=1)
        if np.isinf(worst[0]) and bounds.shape[1] >= keep:
            some = bounds[:, : max(keep, _GUESS)]
            worst = np.nextafter(np.partition(some, keep - 1, axis=1)[:, keep - 1], np.inf, dtype=bounds.dtype)
        hits = np.flatnonzero(np.ascontiguousarray(bounds < worst[:, None]))
        if not len(hits):
            return
        r, c = np.divmod(hits, bounds.shape[1])
        count = np.bincount(r, minlength=len(held))
        slot = keep + np.arange(len(r)) - np.repeat(np.cumsum(count) - count, count)
        values = np.full((len(held), keep + int(count.max())), np.inf, held.dtype)
        names = np.zeros(values.shape, np.int64)
        values[:, :keep], names[:, :keep] = held, self.who[rows]
        values[r, slot], names[r, slot] = bounds[r, c], c + first
        best = np.argpartition(values, keep - 1, axis=1)[:, :keep]
        self.bounds[rows], self.who[rows] = (np.take_along_axis(part, best, 1) for part in (values, names))


def _radius(rows: Rows, kept: _Kept, at: Codes, k: int) -> tuple[Array, NDArray[np.bool_]]:
    """Squared distance of the rows ``at`` to their k-th nearest, and whether the bounds kept prove it.

    Only those are computed anew that may be the k-th: whose bounds reach over those of the k-th smallest.
    """
    low = kept.bounds.astype(np.float64)
    high = low + 2 * rows.slack * (rows.squares[at, None] + rows.squares[kept.who])
    smallest, largest = (np.partition(part, k - 1, axis=1)[:, k - 1, None] for part in (low, high))
    exact = np.where(high < smallest, -np.inf, np.inf)
    r, c = np.nonzero((high >= smallest) & (low <= largest))
    exact[r, c] = paired_squares(rows.x, rows.x, at[r], kept.who[r, c])
    radius = np.partition(exact, k - 1, axis=1)[:, k - 1]
    full = low.shape[1] == len(rows.x) - 1
    return radius, full | (low.max(axis=1) > largest[:, 0]) | (radius == 0)


def _settle(rows: Rows, kept: _Kept, radius: Array, at: Codes, k: int) -> None:
    """Rows whose neighbours are too close together for float32: products in float64, then differences."""
    exact = replace(rows, dtype=np.float64)
    for cut in cuts(len(at), 256):
        some = at[cut]
        part = Rows(rows.x[some], rows.centre, rows.squares[some], np.float64)
        found = _Kept.empty(len(some), kept.bounds.shape[1], np.float64)
        for mine, other, bounds in lower_bounds(part, exact):
            own = np.flatnonzero((some >= other.start) & (some < other.stop))
            bounds[own, some[own] - other.start] = np.inf
            found.offer(mine, other.start, bounds)
        radius[some], sure = _radius(exact, found, some, k)
        for row, index in zip(np.flatnonzero(~sure), some[~sure], strict=True):
            direct = paired_squares(rows.x, rows.x, np.full(len(rows.x), index), np.arange(len(rows.x)))
            direct[index] = np.inf
            found.who[row] = np.argpartition(direct, found.who.shape[1] - 1)[: found.who.shape[1]]
            found.bounds[row] = direct[found.who[row]]
            radius[index] = np.partition(direct, k - 1)[k - 1]
        sums = rows.squares[some, None] + rows.squares[found.who]
        kept.who[some] = found.who
        kept.bounds[some] = found.bounds + exact.slack * sums - rows.slack * sums


def _squares(x: Features, centre: Array) -> Array:
    blocks = (centred(x, cut, centre, np.float64) for cut in cuts(len(x)))
    return np.concatenate([np.einsum("nd,nd->n", block, block) for block in blocks])
