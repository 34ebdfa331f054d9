# SPDX-License-Identifier: Apache-2.0
"""Bootstrap counts of slices x answers: rows are counted once per cluster, then only clusters are drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, special

from audit.stats._instrument import Array

__all__ = ["Counted", "count", "resample"]

#: Up to so many units each draw holds exactly as many as there are (multinomial); above, every unit has an independent
#: Poisson weight of mean 1 (Hanley and MacGibbon 2006): shares are ratios and do not see the total.
_EXACT = 256
_BLOCK = 1 << 22  # weights held at a time

Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """Rows counted by cluster, slice and answer; E entries in order of their cluster.

    Attributes:
        cluster: (E,) from 0 to G - 1, each with an entry.
        place: (E,) slice * r + answer.
        number: (E,) rows of the entry.
        shape: (S, r).
    """

    cluster: Codes
    place: Codes
    number: Array
    shape: tuple[int, int]

    @property
    def slices(self) -> Codes:
        """Slice of each entry, (E,)."""
        return self.place // self.shape[1]

    @property
    def starts(self) -> Codes:
        """First entry of each cluster, (G,)."""
        return np.flatnonzero(np.diff(self.cluster, prepend=-1))


def count(slices: Codes, answers: Codes, clusters: Codes | None, *, shape: tuple[int, int]) -> Counted:
    """Count rows; those with a negative code are left out.

    Args:
        slices: (n,) from 0 to S - 1.
        answers: (n,) from 0 to r - 1.
        clusters: (n,) any codes; None: rows of the same slice and answer are one entry, to be drawn row by row.
        shape: (S, r).
    """
    place = slices * shape[1] + answers
    kept = (slices >= 0) & (answers >= 0)
    if clusters is None:
        number = np.bincount(place[kept], minlength=shape[0] * shape[1])
        seen = np.flatnonzero(number)
        return Counted(seen, seen, number[seen].astype(np.float64), shape)
    kept &= clusters >= 0
    size = shape[0] * shape[1]
    key, number = np.unique(clusters[kept].astype(np.int64) * size + place[kept], return_counts=True)
    cluster = np.cumsum(np.diff(key // size, prepend=key[:1] // size) != 0)
    return Counted(cluster, key % size, number.astype(np.float64), shape)


def resample(counted: Counted, rng: np.random.Generator, *, draws: int, clustered: bool) -> Array:
    """Counts in bootstrap samples, (S, r, draws).

    Clusters are drawn within their slice. Where a cluster has rows in several slices it has one weight in all of them,
    so that differences between slices keep what they share.

    Args:
        counted: the rows.
        rng: of the draws.
        draws: bootstrap samples.
        clustered: whether clusters are drawn; otherwise rows within slices.
    """
    found = np.zeros((counted.shape[0] * counted.shape[1], draws))
    if not clustered:
        for held in _by_slice(counted):
            number = counted.number[held]
            total = int(number.sum())
            found[counted.place[held]] = rng.multinomial(total, number / total, size=draws).T
    elif (counted.slices == counted.slices[counted.starts][counted.cluster]).all():
        for held in _by_slice(counted):
            _add(found, counted, held, rng)
    else:
        _add(found, counted, np.arange(len(counted.place)), rng)
    return found.reshape(*counted.shape, draws)


def _by_slice(counted: Counted) -> list[Codes]:
    """Entries of each slice that has some, in order of their cluster."""
    order = np.argsort(counted.slices, kind="stable")
    cuts = np.flatnonzero(np.diff(counted.slices[order])) + 1
    return [part for part in np.split(order, cuts) if len(part)]


def _add(found: Array, counted: Counted, held: Codes, rng: np.random.Generator) -> None:
    """Draw the clusters of the entries ``held`` and add their counts to ``found``, (S * r, draws)."""
    cluster = np.cumsum(np.diff(counted.cluster[held], prepend=counted.cluster[held[:1]]) != 0)
    places, place = np.unique(counted.place[held], return_inverse=True)
    units, draws = int(cluster[-1]) + 1, found.shape[1]
    table = sparse.csc_array((counted.number[held], (place, cluster)), shape=(len(places), units))
    if units <= _EXACT:
        found[places] += table @ rng.multinomial(units, np.full(units, 1 / units), size=draws).T.astype(np.float64)
        return
    step = max(1, _BLOCK // draws)
    for start in range(0, units, step):
        part = table[:, start : start + step]
        weights = _poisson(rng, (part.shape[1], draws))
        # Dense products run at ten times the speed of sparse ones.
        dense = part.nnz > 0.1 * part.shape[0] * part.shape[1]
        found[places] += part.toarray() @ weights if dense else np.asarray(part.tocsr() @ weights)


def _poisson(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Poisson weights of mean 1, to 16 bits, by table: ten times as fast as an exact sampler."""
    weights: Array = _TABLE[rng.integers(0, len(_TABLE), size=shape, dtype=np.uint16)]
    return weights


def _table() -> Array:
    steps = np.round(special.pdtr(np.arange(12.0), 1.0) * (1 << 16)).astype(np.int64)
    return np.searchsorted(steps, np.arange(1 << 16), side="right").astype(np.float64)


_TABLE = _table()
