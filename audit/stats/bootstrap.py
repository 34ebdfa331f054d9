# SPDX-License-Identifier: Apache-2.0
"""Clustered bootstrap of shares by slice and group, linear in rows and quick enough for a million of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from audit.stats._instrument import Array, Instrument, project_to_simplex
from audit.stats._resample import Codes, Counted, count, resample
from audit.stats.annotator_error import Correction

__all__ = ["ShareDraws", "bootstrap_shares", "draw_instruments"]

Kind = Literal["bca", "percentile", "basic"]

#: Share of draws with a confusion matrix that can be undone, under which there is no interval.
_USABLE = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class ShareDraws:
    """Shares of k groups in S slices, and their bootstrap draws.

    Attributes:
        shares: (S, k), NaN in a slice without rows.
        draws: (S, k, D), NaN where a draw holds nothing of the slice.
        acceleration: (S, k) how the standard error changes with the share (Efron 1987).
        n: (S,) rows. clusters: (S,) independent units behind them.
    """

    shares: Array
    draws: Array
    acceleration: Array
    n: NDArray[np.int64]
    clusters: NDArray[np.int64]

    def intervals(self, *, level: float = 0.95, kind: Kind = "bca") -> tuple[Array, Array]:
        """Intervals of each share, clipped to [0, 1]; NaN in a slice of fewer than two clusters.

        Args:
            level: confidence level.
            kind: "percentile", "basic" (mirrored percentiles), or "bca": percentiles moved for median bias and for a
                standard error that depends on the share (Efron 1987).

        Returns:
            Lower and upper limits, each (S, k).
        """
        low, high = _limits(self.shares, self.draws, self.acceleration, level=level, kind=kind)
        few = (self.clusters < 2)[:, None]
        return np.where(few, np.nan, np.clip(low, 0.0, 1.0)), np.where(few, np.nan, np.clip(high, 0.0, 1.0))

    def difference(
        self, first: int, second: int, *, level: float = 0.95, kind: Literal["percentile", "basic"] = "percentile"
    ) -> tuple[Array, Array, Array]:
        """Shares of slice ``first`` minus those of ``second``: value, lower and upper limit, each (k,).

        Clusters with rows in both slices, and the confusion counts, weigh the same in both.
        """
        value = self.shares[first] - self.shares[second]
        away = self.draws[first] - self.draws[second]
        low, high = _limits(value, away, np.zeros_like(value), level=level, kind=kind)
        if min(self.clusters[first], self.clusters[second]) < 2:
            return value, np.full_like(low, np.nan), np.full_like(high, np.nan)
        return value, np.clip(low, -1.0, 1.0), np.clip(high, -1.0, 1.0)


def bootstrap_shares(
    slices: Codes,
    answers: Codes,
    clusters: Codes | None = None,
    *,
    shape: tuple[int, int],
    correction: Correction | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> ShareDraws:
    """Bootstrap clusters (Davison and Hinkley 1997, sec. 3.8) and, with a correction, the confusion counts row by row.

    Rows are counted once by cluster, slice and answer; after that time and memory depend on the number of clusters,
    slices and answers only. Clusters are drawn within their slice; where some have rows in several slices, each has one
    weight in all of them. Memory: about 8 bytes x draws x slices x (answers + groups), whatever the rows.

    Args:
        slices: slice of each row, (n,), 0 to S - 1; negative: left out.
        answers: answer of each row, (n,), 0 to r - 1; negative: left out.
        clusters: cluster of each row (seed, prompt), (n,); None: rows are independent.
        shape: (S, r).
        correction: of r answers; None: answers are the groups.
        draws: bootstrap samples.
        seed: same seed, same numbers.

    Raises:
        ValueError: an ill-conditioned confusion matrix, or more than 5 % of its draws that are.
    """
    rng = np.random.default_rng(seed)
    counted = count(slices, answers, clusters, shape=shape)
    if correction is None:
        instrument = Instrument.of(1e12 * np.eye(shape[1]))
        drawn = None
    else:
        instrument, drawn = correction.instrument, draw_instruments(correction, rng, draws=draws)
    found = resample(counted, rng, draws=draws, clustered=clusters is not None)
    total = np.zeros(shape[0] * shape[1])
    np.add.at(total, counted.place, counted.number)
    with np.errstate(invalid="ignore"):
        raw = instrument.linear(total.reshape(shape))
        moved = _linear(found, instrument, drawn)
    units = _units(counted, clustered=clusters is not None)
    acceleration = _acceleration(counted, instrument, raw, clustered=clusters is not None, counts=drawn is not None)
    n = instrument.heard(total.reshape(shape)).sum(axis=1).astype(np.int64)
    seen = n[:, None] > 0
    shares = np.where(seen, project_to_simplex(np.where(seen, raw, 1.0)), np.nan)
    return ShareDraws(shares, moved, acceleration, n, units)


def draw_instruments(correction: Correction, rng: np.random.Generator, *, draws: int) -> Instrument:
    """Confusion counts drawn again row by row, with one pseudo-count a row: "no error of 500" is not "no error ever".

    Raises:
        ValueError: an ill-conditioned confusion matrix, or more than 5 % of its draws that are.
    """
    counts, rows = correction.counts, correction.rows[:, None]
    smooth = (counts + 1.0 / counts.shape[1]) / (rows + 1.0)
    drawn = Instrument.of(
        rng.multinomial(np.maximum(rows[:, 0], 1).astype(np.int64), smooth, size=(draws, len(counts))).astype(float)
    )
    if not correction.identified or np.isfinite(drawn.scores[:, 0, 0]).mean() < _USABLE:
        raise ValueError("a confusion matrix that cannot be undone, or too few counts to say whether it can")
    return drawn


def _linear(found: Array, instrument: Instrument, drawn: Instrument | None) -> Array:
    """Linear estimates of the drawn counts, (S, r, D) to (S, k, D)."""
    told, scores = (instrument.told[None], instrument.scores[None]) if drawn is None else (drawn.told, drawn.scores)
    known = np.moveaxis(found, -1, 0) * told[:, None, :]
    shares: Array = np.moveaxis(known @ scores / known.sum(axis=-1, keepdims=True), 0, -1)
    return shares


def _units(counted: Counted, *, clustered: bool) -> NDArray[np.int64]:
    """Clusters, else rows, with something in each slice."""
    slices, size = counted.slices, counted.shape[0]
    if not clustered:
        return np.bincount(slices, weights=counted.number, minlength=size).astype(np.int64)
    pairs = np.unique(counted.cluster * size + slices)
    return np.bincount(pairs % size, minlength=size)


def _acceleration(counted: Counted, instrument: Instrument, raw: Array, *, clustered: bool, counts: bool) -> Array:
    """A sixth of the skewness of the empirical influence values of clusters and validation images, (S, k)."""
    size, r = counted.shape
    pairs = counted.cluster * size + counted.slices if clustered else np.arange(len(counted.place))
    cell, index = np.unique(pairs, return_inverse=True)
    table = np.zeros((len(cell), r))
    np.add.at(table, (index, counted.place % r), 1.0 if not clustered else counted.number)
    where = np.zeros(len(cell), dtype=np.int64)
    where[index] = counted.slices
    known = instrument.heard(table)
    total = np.zeros(size)
    np.add.at(total, counted.slices, counted.number * instrument.told[counted.place % r])
    weight = np.ones(len(cell)) if clustered else counted.number
    with np.errstate(invalid="ignore", divide="ignore"):
        away = (known @ instrument.scores - known.sum(axis=1, keepdims=True) * raw[where]) / total[where][:, None]
        second, third = np.zeros_like(raw), np.zeros_like(raw)
        np.add.at(second, where, weight[:, None] * away**2)
        np.add.at(third, where, weight[:, None] * away**3)
        if counts:
            second += raw**2 @ instrument.variance
            third -= raw**3 @ instrument.third
        return np.nan_to_num(third / (6 * second**1.5))


def _limits(value: Array, draws: Array, acceleration: Array, *, level: float, kind: Kind) -> tuple[Array, Array]:
    """Limits from draws (..., D) that may hold NaN."""
    ordered = np.sort(draws, axis=-1)
    valid = np.isfinite(ordered).sum(axis=-1)
    ends = [np.full(value.shape, p) for p in ((1 - level) / 2, (1 + level) / 2)]
    if kind == "bca":
        below = ((draws < value[..., None]).sum(axis=-1) + (draws == value[..., None]).sum(axis=-1) / 2 + 0.5) / (
            valid + 1
        )
        bias = special.ndtri(below)
        moved = [bias + special.ndtri(p) for p in ends]
        ends = [special.ndtr(bias + z / np.maximum(1 - acceleration * z, 0.1)) for z in moved]
    low, high = (_quantile(ordered, valid, p) for p in ends)
    return (2 * value - high, 2 * value - low) if kind == "basic" else (low, high)


def _quantile(ordered: Array, valid: NDArray[np.int64], p: Array) -> Array:
    """Quantile of the first ``valid`` of each row, between neighbours by interpolation; NaN of none."""
    place = np.clip(p, 0.0, 1.0) * np.maximum(valid - 1, 0)
    lower = np.floor(place).astype(np.int64)
    upper = np.minimum(lower + 1, np.maximum(valid - 1, 0))
    a, b = (np.take_along_axis(ordered, at[..., None], axis=-1)[..., 0] for at in (lower, upper))
    found: Array = a + (place - lower) * (b - a)
    return found
