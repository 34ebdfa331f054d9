# SPDX-License-Identifier: Apache-2.0
"""Balls around the rows of one set and the rows of another in them, also when groups of rows are left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit.stats._near import Codes, Nearest, Rows, lower_bounds, nearest
from audit.stats._products import Array, cuts, paired_squares

__all__ = ["Balls", "Leave", "fill"]

_PAIRS = 1 << 14  # taken in at a time

Flags = NDArray[np.bool_]
Counts = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Leave:
    """Share of rows in a ball, balls a row over k, share of balls with a row in them: with all rows, and variances.

    Attributes:
        whole: with all rows, (3,).
        centres: variance from the choice of centres, (3,).
        rows: variance from the choice of rows, (3,).
        groups: that were left out of either in turn.
    """

    whole: Array
    centres: Array
    rows: Array
    groups: int


@dataclass(frozen=True, slots=True, eq=False)
class Balls:
    """Balls around p centres, and what is known of q rows in them; row r is of group r modulo groups.

    Attributes:
        radius: squared, (p,).
        reach: squared radius with each group of centres left out, (p, groups), to within rounding.
        holds: rows in each ball by group of the row, (p, groups).
        holders: balls around each row by group of the centre, (q, groups).
        more_holds: whether a ball grown for each group left out holds more rows, (p, groups).
        more_holders: balls grown for each group left out that come to hold a row, (q, groups).
        k: neighbours.
    """

    radius: Array
    reach: Array
    holds: Counts
    holders: Counts
    more_holds: Flags
    more_holders: Counts
    k: int

    @classmethod
    def around(cls, centres: Rows, rows: int, *, k: int, groups: int) -> Balls:
        """Balls to the k-th nearest other centre, empty so far."""
        near = nearest(centres, k)
        p = len(centres.x)
        counts = np.zeros((p, groups), np.int32), np.zeros((rows, groups), np.int32)
        more = np.zeros((p, groups), np.bool_), np.zeros((rows, groups), np.int32)
        return cls(near.radius, _reach(near, k, groups), *counts, *more, k)

    @property
    def held(self) -> Flags:
        """Whether each row is in some ball, (q,)."""
        return np.asarray(self.holders.any(axis=1))

    @property
    def holding(self) -> Flags:
        """Whether each ball holds some row, (p,)."""
        return np.asarray(self.holds.any(axis=1))

    def put(self, centre: Codes, row: Codes, inside: Flags, squares: Array) -> None:
        """Take in pairs of a centre and a row: whether the ball holds the row, and their squared distance."""
        groups = self.reach.shape[1]
        i, j = centre[inside], row[inside]
        np.add.at(self.holds, (i, j % groups), 1)
        np.add.at(self.holders, (j, i % groups), 1)
        centre, row, squares = centre[~inside], row[~inside], squares[~inside]
        for cut in cuts(len(centre), _PAIRS):
            i, j, apart = centre[cut], row[cut], squares[cut]
            pair, group = np.nonzero((apart[:, None] < self.reach[i]) & (np.arange(groups) != i[:, None] % groups))
            self.more_holds[i[pair], group] = True
            np.add.at(self.more_holders, (j[pair], group), 1)

    def leave(self) -> Leave:
        """The three shares, and what leaving out each group does to them."""
        groups, (p, q) = self.reach.shape[1], (len(self.holds), len(self.holders))
        around, inside = self.holders.sum(axis=1), self.holds.sum(axis=1)
        centres, rows = [[_Side.of(groups, size) for size in (q, q, p)] for _ in range(2)]
        for g in range(groups):
            left = around - self.holders[:, g] + self.more_holders[:, g]
            every, ours, theirs = np.full(q, True), np.arange(p) % groups != g, np.arange(q) % groups != g
            centres[0].take(g, around > 0, left > 0, every)
            centres[1].take(g, around / self.k, left / self.k, every)
            centres[2].take(g, inside > 0, (inside > 0) | self.more_holds[:, g], ours)
            rows[0].take(g, around > 0, around > 0, theirs)
            rows[1].take(g, around / self.k, around / self.k, theirs)
            rows[2].take(g, inside > 0, inside > self.holds[:, g], np.full(p, True))
        whole = np.array([self.held.mean(), around.mean() / self.k, self.holding.mean()])
        first, second = (np.array([one.variance() for one in side]) for side in (centres, rows))
        return Leave(whole, first, second, groups)


@dataclass(frozen=True, slots=True, eq=False)
class _Side:
    """A mean over units with each group left out, and by how much that changes the units.

    The changes differ from unit to unit, so their mean would vary even if all groups were worth the same. The units
    bring that variation in themselves already, so it is taken off here: counted twice, it would double the variance
    (the interaction of two crossed factors, Owen 2007, section 4).
    """

    means: Array
    change: Array
    noise: Array

    @classmethod
    def of(cls, groups: int, units: int) -> _Side:
        return cls(np.empty(groups), np.zeros(units), np.empty(groups))

    def take(self, g: int, units: Flags | Array, without: Flags | Array, kept: Flags) -> None:
        """What the units come to without group g, of those that are not of the group themselves."""
        after = without.astype(np.float64)
        self.means[g] = after[kept].mean()
        after -= units.astype(np.float64)
        after[~kept] = 0.0
        self.change[:] += after
        self.noise[g] = np.var(after)

    def variance(self) -> float:
        groups, units = len(self.means), len(self.change)
        noise = (float(self.noise.sum()) - float(np.var(self.change)) / groups) / units
        return (groups - 1) * max(float(np.var(self.means)) - noise / groups, 0.0)


def fill(left: Rows, right: Rows, around_left: Balls, around_right: Balls) -> None:
    """Tell the balls around both sets of the rows of the other, in one pass over all pairs."""
    for rows, columns, bounds in lower_bounds(left, right):
        for balls, own in ((around_left, rows), (around_right, columns)):
            limit = np.maximum(balls.radius[own], balls.reach[own].max(axis=1)).astype(bounds.dtype)
            limit = np.nextafter(limit, np.inf, dtype=bounds.dtype)
            i, j = np.nonzero(bounds < (limit[:, None] if own is rows else limit))
            low = bounds[i, j].astype(np.float64)
            i, j = i + rows.start, j + columns.start
            radius = balls.radius[i if own is rows else j]
            inside, squares = _compare(left, right, (i, j), low, radius)
            balls.put(*((i, j) if own is rows else (j, i)), inside, squares)


def _compare(left: Rows, right: Rows, pairs: tuple[Codes, Codes], low: Array, radius: Array) -> tuple[Flags, Array]:
    """Whether squared distances with lower bounds ``low`` are below ``radius``, and about what they are."""
    i, j = pairs
    slack = left.slack * (left.squares[i] + right.squares[j])
    squares, inside = low + slack, low + 2 * slack < radius
    unsure = np.flatnonzero(~inside & (low < radius))
    squares[unsure] = paired_squares(left.x, right.x, i[unsure], j[unsure])
    inside[unsure] = squares[unsure] < radius[unsure]
    return inside, squares


def _reach(near: Nearest, k: int, groups: int) -> Array:
    """Squared distance to the k-th nearest without each group; to the furthest known one where too few are left."""
    out = np.empty((len(near.radius), groups))
    for g in range(groups):
        found = np.cumsum(near.who % groups != g, axis=1) >= k
        at = np.where(found[:, -1], found.argmax(axis=1), found.shape[1] - 1)
        out[:, g] = np.take_along_axis(near.near, at[:, None], 1)[:, 0]
    return np.maximum(out, near.radius[:, None])
