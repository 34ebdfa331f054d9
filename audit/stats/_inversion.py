# SPDX-License-Identifier: Apache-2.0
"""Intervals of corrected shares by inverting a mid-p test, for whole batches of audits and levels at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from audit.stats._alike import Alike, alike
from audit.stats._instrument import Array, Instrument, project_to_simplex

__all__ = ["Bounds", "invert"]

_STEPS = 22  # halvings: limits to 3e-7


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """Corrected shares and their intervals at L levels.

    Attributes:
        raw: (..., k) linear estimate, shares: (..., k) its projection onto the simplex.
        low, high: (..., L, k).
        effective: (..., k) independent images that the answers are worth.
    """

    raw: Array
    shares: Array
    low: Array
    high: Array
    effective: Array


@dataclass(frozen=True, slots=True, eq=False)
class _Spread:
    """Variance of the estimate as a function of the tested share; arrays are (..., 1, k), the levels between.

    Groups other than the tested one keep their ratios.
    """

    raw: Array
    own: Array  # second moment of the score among members of the group
    others: Array  # the same among the rest
    n: Array
    row: Array  # variance from the counts of the group's own row, and how it changes with the row's mean score
    row_tilt: Array
    rows: Array  # the same of the other rows
    rows_tilt: Array
    between: Array  # of clusters, see `Alike`
    most: Array
    heavier: Array  # (..., L, k) square of t over z

    def sampling(self, tested: Array) -> Array:
        """From independent images."""
        mean_square = (1 - tested) * self.others + tested * self.own
        variance: Array = np.maximum(mean_square - tested**2, 0.0) / self.n
        return variance

    def counting(self, tested: Array) -> Array:
        """From the confusion counts."""
        variance: Array = tested**2 * self.row + (1 - tested) ** 2 * self.rows
        return variance

    def at(self, tested: Array) -> Array:
        """All together.

        Where the tested share is not the estimate the counts have probably erred too, each row by its part of the
        distance; its variance is taken there, as a score test does (one step, and never below half).
        """
        alone, counts, one = self.sampling(tested), self.counting(tested), tested * (1 - tested)
        images = alone + self.between * one
        tilt = (self.raw - tested) * (tested**3 * self.row_tilt + (1 - tested) ** 3 * self.rows_tilt)
        counts = np.maximum(counts + tilt / np.maximum(images + counts, 1e-12), counts / 2)
        variance: Array = np.minimum((images + counts) * self.heavier, alone + self.most * one + counts)
        return variance


def invert(instrument: Instrument, answers: Array, *, levels: Array, clusters: Array | None = None) -> Bounds:
    """Corrected shares with mid-p intervals.

    Each limit is the share at which the observed estimate has mid-p tail probability (1 - level) / 2 (Lancaster 1961)
    for a binomial on the scale of the estimate, whose size need not be whole and is such that its variance is that of
    the estimate at the tested share. With clusters the size is divided by the square of t over z as well (Korn and
    Graubard 1998), but is never less than where all images of a cluster are of one group.

    Args:
        instrument: k groups, r answers; leading dimensions broadcast with those of ``answers``.
        answers: counts, (..., r), some of them heard.
        levels: confidence levels, (L,).
        clusters: counts by cluster, (..., G, r), which add up to ``answers``; None: images are independent.
    """
    raw = instrument.linear(answers)
    shares = project_to_simplex(raw)
    spread = _spread(instrument, raw, shares, n=instrument.heard(answers).sum(axis=-1)[..., None])
    if clusters is not None:
        heard = clusters * instrument.told[..., None, :]
        spread = _clustered(spread, alike(instrument, heard, raw, shares), shares, levels)
    # At the edge itself a classifier without a counted error leaves nothing to chance, and whatever was answered
    # would be accepted: look from just inside, by the half pseudo-count that every row has.
    inwards = (0.5 / (instrument.rows.min(axis=-1) + 1.0))[..., None, None]
    start = np.broadcast_to(shares[..., None, :], (*shares.shape[:-1], len(levels), shares.shape[-1]))
    limits = []
    for edge in (0.0, 1.0):
        accepted = _test(instrument, spread, levels, upper=edge > 0)
        inside, outside = start, np.full_like(start, edge)
        reached = accepted(np.abs(outside - inwards))
        for _ in range(_STEPS):
            middle = (inside + outside) / 2
            good = accepted(middle)
            inside, outside = np.where(good, middle, inside), np.where(good, outside, middle)
        limits.append(np.where(reached, edge, (inside + outside) / 2))
    return Bounds(raw, shares, np.minimum(limits[0], start), np.maximum(limits[1], start), _effective(spread, shares))


def _test(
    instrument: Instrument, spread: _Spread, levels: Array, *, upper: bool
) -> Callable[[Array], NDArray[np.bool_]]:
    """Whether shares (..., L, k) are not refuted from one side."""
    lowest = instrument.scores.min(axis=-2)[..., None, :]
    span = instrument.scores.max(axis=-2)[..., None, :] - lowest
    seen, tail = np.clip((spread.raw - lowest) / span, 0.0, 1.0), (1 - levels)[:, None] / 2

    def accepted(tested: Array) -> NDArray[np.bool_]:
        mean = np.clip((tested - lowest) / span, 1e-12, 1 - 1e-12)
        size = mean * (1 - mean) / np.maximum(spread.at(tested) / span**2, 1e-15)
        kept: NDArray[np.bool_] = _tail(seen * size, size, mean, upper=upper) >= tail
        return kept

    return accepted


def _spread(instrument: Instrument, raw: Array, shares: Array, *, n: Array) -> _Spread:
    """Of independent images."""
    rest = _ratios(shares)
    own = np.diagonal(instrument.second, axis1=-2, axis2=-1)
    others = np.einsum("...ji,...ij->...j", rest, instrument.second)
    row = np.diagonal(instrument.variance, axis1=-2, axis2=-1)
    row_tilt = np.diagonal(instrument.third, axis1=-2, axis2=-1)
    rows = np.einsum("...ji,...ij->...j", rest**2, instrument.variance)
    rows_tilt = np.einsum("...ji,...ij->...j", rest**3, instrument.third)
    # An estimate beyond [0, 1] counts up to one standard error: further out every share would be refuted.
    below, above = np.sqrt(others / n + rows), np.sqrt(np.maximum(own - 1, 0.0) / n + row)
    seen, none = np.clip(raw, -below, 1 + above), np.zeros(1)
    parts = (seen, own, others, n, row, row_tilt, rows, rows_tilt, none, none, none + 1)
    return _Spread(*(part[..., None, :] for part in parts))


def _clustered(spread: _Spread, found: Alike, shares: Array, levels: Array) -> _Spread:
    """With t over z: only what is guessed from few clusters has few degrees of freedom (Satterthwaite 1946)."""
    every = found.sampling[..., None, :] + spread.counting(shares[..., None, :])
    part = every / np.maximum(found.guessed, 1e-12)[..., None, :]
    degrees = found.degrees[..., None, :] * np.maximum(part, 1.0) ** 2
    tail = (1 - levels)[:, None] / 2
    ratio = special.stdtrit(np.minimum(degrees, 1e6), tail) / special.ndtri(tail)
    heavier = np.asarray(ratio**2, dtype=np.float64)
    return replace(spread, between=found.between[..., None, :], most=found.most[..., None, :], heavier=heavier)


def _ratios(shares: Array) -> Array:
    """Row j: the shares of the other groups, scaled to sum 1; equal ones where group j is all there is."""
    k = shares.shape[-1]
    others: Array = shares[..., None, :] * (1.0 - np.eye(k))
    total = others.sum(axis=-1, keepdims=True)
    ratios: Array = np.where(total > 1e-9, others / np.maximum(total, 1e-9), (1.0 - np.eye(k)) / (k - 1))
    return ratios


def _effective(spread: _Spread, shares: Array) -> Array:
    n = spread.n[..., 0, :]
    smooth = ((n * shares + 1) / (n + 2))[..., None, :]
    alone = np.maximum(spread.sampling(smooth), 1e-15)
    size: Array = (spread.n * alone / (alone + spread.between * smooth * (1 - smooth)))[..., 0, :]
    return size


def _tail(count: Array, size: Array, mean: Array, *, upper: bool) -> Array:
    """Mid-p of X <= count where ``upper``, else of X >= count, for X binomial with a size that need not be whole."""
    if upper:
        count, mean = size - count, 1 - mean
    left = np.maximum(size - count, 0.0)
    least = np.where(count <= 1e-9, 1.0, special.betainc(np.maximum(count, 1e-9), left + 1, mean))
    more = np.where(left <= 1e-9, 0.0, special.betainc(count + 1, np.maximum(left, 1e-9), mean))
    half: Array = (least + more) / 2
    return half
