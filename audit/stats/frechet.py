# SPDX-License-Identifier: Apache-2.0
"""Frechet distance between Gaussians fitted to features, with its bias removed and its standard error.

FD(x, y) = |mean(x) - mean(y)|^2 + tr(X + Y - 2 (X Y)^(1/2)) with covariances X, Y (Dowson and Landau 1982; as a score
of generators: Heusel et al. 2017, eq. 6). The plug-in value is too large by about b / n, many times its standard error,
so the values of two generators with different n do not compare. A delete-group jackknife on both sides removes that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, special

__all__ = ["FrechetEstimate", "Moments", "frechet", "frechet_from_features", "frechet_from_moments"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Mergeable sufficient statistics of n feature vectors.

    Attributes:
        n: how many.
        mean: shape (D,).
        scatter: sum of (x - mean)(x - mean)', shape (D, D).
    """

    n: int
    mean: Array
    scatter: Array

    @classmethod
    def of(cls, features: NDArray[np.floating]) -> Moments:
        """Moments of features, shape (n, D)."""
        x = np.asarray(features, dtype=np.float64)
        mean = x.mean(axis=0)
        return cls(len(x), mean, (x - mean).T @ (x - mean))

    def merge(self, other: Moments) -> Moments:
        """Moments of both sets together (Chan, Golub and LeVeque 1979, eq. 1.5)."""
        n, step = self.n + other.n, other.mean - self.mean
        scatter = self.scatter + other.scatter + np.outer(step, step) * (self.n * other.n / n)
        return Moments(n, self.mean + step * (other.n / n), scatter)

    @property
    def covariance(self) -> Array:
        """Sample covariance, divisor n - 1."""
        return self.scatter / (self.n - 1)


@dataclass(frozen=True, slots=True)
class FrechetEstimate:
    """A Frechet distance that can be compared across n.

    Attributes:
        value: jackknife-corrected; may be slightly below 0 where the sets do not differ.
        low, high: t interval over the jackknife groups.
        standard_error: of ``value``.
        raw: plug-in value.
        n, m: feature vectors on the two sides. dimension: of them.
    """

    value: float
    low: float
    high: float
    standard_error: float
    raw: float
    n: int
    m: int
    dimension: int


def frechet_from_moments(a: Moments, b: Moments) -> float:
    """Frechet distance from moments, both with n >= 2 and equal D.

    With a.covariance = L L', the eigenvalues of the product of covariances are those of the symmetric L' B L, so no
    non-symmetric eigenproblem and no matrix square root is needed; for a singular covariance L is its symmetric root.
    """
    first, second = (a.covariance, b.covariance) if a.n >= b.n else (b.covariance, a.covariance)
    try:
        root = linalg.cholesky(first, lower=True, check_finite=False)
    except linalg.LinAlgError:
        values, vectors = linalg.eigh(first, check_finite=False)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
    return _assemble(a.mean - b.mean, np.trace(first) + np.trace(second), root.T @ second @ root)


def frechet_from_features(x: NDArray[np.floating], y: NDArray[np.floating]) -> float:
    """Frechet distance between feature sets (n, D) and (m, D), n and m at least 2.

    Where a side has no more vectors than dimensions, the eigenproblem shrinks to its number of vectors
    (Mathiasen and Hvilshoj 2020): faster, and without the noise that a singular product adds.
    """
    small, large = (x, y) if len(x) <= len(y) else (y, x)
    if len(small) > small.shape[1]:
        return frechet_from_moments(Moments.of(x), Moments.of(y))
    s, other = np.asarray(small, dtype=np.float64), np.asarray(large, dtype=np.float64)
    mean_s, mean_o = s.mean(axis=0), other.mean(axis=0)
    sc, oc = (s - mean_s) / (len(s) - 1) ** 0.5, (other - mean_o) / (len(other) - 1) ** 0.5
    cross = sc @ oc.T if len(other) <= other.shape[1] else (sc @ (oc.T @ oc)) @ sc.T
    gram = cross @ cross.T if len(other) <= other.shape[1] else cross
    return _assemble(mean_s - mean_o, float((sc**2).sum() + (oc**2).sum()), gram)


def frechet(
    x: NDArray[np.floating], y: NDArray[np.floating], *, groups: int = 10, level: float = 0.95
) -> FrechetEstimate:
    """Bias-corrected Frechet distance with its interval.

    Both sides are samples, so both are jackknifed: the correction and the variance of the two sides add up. Groups are
    every ``groups``-th row, a function of row order only.

    Args:
        x: features, shape (n, D), n at least 2 * groups.
        y: features to compare with, shape (m, D), m at least 2 * groups.
        groups: how many groups are left out in turn.
        level: confidence level.

    Raises:
        ValueError: for shapes that do not go together or too few rows.
    """
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(f"features must be (n, D) and (m, D), got {x.shape} and {y.shape}")
    if min(len(x), len(y)) < 2 * groups:
        raise ValueError(f"needs {2 * groups} rows on each side, got {len(x)} and {len(y)}")
    dimension = x.shape[1]
    if len(x) <= 1.2 * dimension:  # some side without a group is singular or nearly so
        raw = frechet_from_features(x, y)
        kept = [np.arange(len(x)) % groups != g for g in range(groups)]
        left_x = [frechet_from_features(x[rows], y) for rows in kept]
        kept = [np.arange(len(y)) % groups != g for g in range(groups)]
        left_y = [frechet_from_features(x, y[rows]) for rows in kept]
    else:
        parts_x = [Moments.of(x[g::groups]) for g in range(groups)]
        parts_y = [Moments.of(y[g::groups]) for g in range(groups)]
        all_x, all_y = _merged(parts_x), _merged(parts_y)
        raw = frechet_from_moments(all_x, all_y)
        left_x = [frechet_from_moments(_merged(parts_x, without=g), all_y) for g in range(groups)]
        left_y = [frechet_from_moments(all_x, _merged(parts_y, without=g)) for g in range(groups)]
    value, variance = raw, 0.0
    for left in (left_x, left_y):
        value += (groups - 1) * (raw - float(np.mean(left)))
        variance += (groups - 1) * float(np.var(left))
    half = float(special.stdtrit(groups - 1, (1 + level) / 2)) * variance**0.5
    return FrechetEstimate(value, value - half, value + half, variance**0.5, raw, len(x), len(y), dimension)


def _merged(parts: Sequence[Moments], *, without: int = -1) -> Moments:
    kept = [part for i, part in enumerate(parts) if i != without]
    total = kept[0]
    for part in kept[1:]:
        total = total.merge(part)
    return total


def _assemble(step: Array, traces: float, product: Array) -> float:
    """Distance from the mean difference, the sum of traces, and a symmetric matrix similar to the product."""
    roots = np.sqrt(np.maximum(linalg.eigvalsh(product, check_finite=False), 0.0))
    return float(step @ step + traces - 2 * roots.sum())
