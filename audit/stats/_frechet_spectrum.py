# SPDX-License-Identifier: Apache-2.0
"""One eigendecomposition that tells how the Frechet distance answers to every single vector of both sides.

With covariances A and B, and B = G G', G' A G = U diag(l^2) U'. In the coordinates z = U' G' (x - mean) of the first
side and w = diag(1/l) U' G' A (y - mean) of the second, both sides have the covariance diag(l^2), tr (A B)^(1/2) is
the sum of l, and its derivative along z z' (or w w') is the sum of z^2 / (2 l): no matrix inverse is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from audit.stats._blas import times
from audit.stats._frechet_values import Array, contrasts, root_of, sandwich
from audit.stats.moments import Features, Moments, blocks, checked

__all__ = ["Side", "Spectrum", "influences", "spectrum"]

_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One side of a comparison: a sample with its rows, or fixed moments without rows."""

    moments: Moments
    rows: Features | None = None

    @classmethod
    def of(cls, features: Features, name: str, *, least: int = 2) -> Side:
        """A sample, shape (n, D), n at least ``least``; ValueError with its name where it is none."""
        rows = checked(features, name, least=least)
        return cls(Moments.of(rows), rows)

    @property
    def degrees(self) -> int:
        """Of freedom of the covariance. 0 for a fixed side."""
        return 0 if self.rows is None else len(self.rows) - 1

    @property
    def varying(self) -> int:
        """Features that vary, by more than the rounding of their mean."""
        rounding = (4 * _EPS * self.moments.mean) ** 2 * (self.moments.n or 1)
        return int((np.diag(self.moments.scatter) > rounding).sum())


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """The common coordinates of two sides.

    Attributes:
        roots: l above, positive, shape (r,).
        maps: for either side the matrix that takes its centred vectors to the coordinates, shape (r, D).
    """

    roots: Array
    maps: tuple[Array, Array]


def spectrum(first: Side, second: Side) -> Spectrum:
    """Eigenvalues and coordinates; the problem has the size of the smaller of D and the two numbers of rows."""
    sizes = [side.degrees if side.rows is not None else len(side.moments.mean) for side in (first, second)]
    swap = sizes[0] < min(sizes[1], len(first.moments.mean))
    a, b = (second, first) if swap else (first, second)
    root, triangular = _root(b)
    product, right = sandwich(a.moments.covariance, root, triangular=triangular)
    if not product.size:
        empty = np.empty((0, len(a.moments.mean)))
        return Spectrum(np.empty(0), (empty, empty))
    values, vectors = linalg.eigh(product, check_finite=False, overwrite_a=True, driver="evd")
    kept = values > 16 * _EPS * len(values) * max(float(values[-1]), 0.0)
    roots, vectors = np.sqrt(values[kept]), vectors[:, kept]
    of_a, of_b = times(vectors.T, root.T), times(vectors.T, right.T) / roots[:, None]
    return Spectrum(roots, (of_b, of_a) if swap else (of_a, of_b))


def influences(first: Side, second: Side, found: Spectrum, *, side: int, weights: Array, rows: Array) -> Array:
    """Influence of ``rows``, shape (n, D), taken as members of one side, on the distance; not centred.

    2 (mean - other mean)'v + v'v - 2 sum(weights z^2) with v = row - mean: the delta method for the Frechet distance.

    Args:
        first: side.
        second: side.
        found: their spectrum.
        side: 0 or 1.
        weights: derivative of the trace by the squares of the roots, 1 / (2 l) for the plug-in distance; shape (r,).
        rows: vectors.
    """
    own, other = (first, second)[side], (first, second)[1 - side]
    step = own.moments.mean - other.moments.mean
    out = np.empty(len(rows))
    for part, v in blocks(rows, own.moments.mean):
        z = times(v, found.maps[side].T)
        out[part] = 2 * (v @ step) + np.einsum("ij,ij->i", v, v) - 2 * (z * z) @ weights
    return out


def _root(side: Side) -> tuple[Array, bool]:
    """From the rows where they are fewer than the dimensions, else from the covariance."""
    if side.rows is not None and side.degrees < side.rows.shape[1]:
        return contrasts(side.rows, side.moments.mean).T, False
    return root_of(side.moments.covariance)
