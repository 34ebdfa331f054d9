# SPDX-License-Identifier: Apache-2.0
"""The plug-in Frechet distance, to the last digits also where covariances are singular.

tr (A B)^(1/2) is the nuclear norm of G'H for any A = G G' and B = H H' (one side: Mathiasen and Hvilshoj 2020). That
form has no square root of a product that is not symmetric, and no rounding noise from directions without variance.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.linalg import blas, lapack

from audit.stats._blas import gram, times
from audit.stats.moments import Features, Moments, blocks, checked

__all__ = ["Array", "contrasts", "frechet_from_features", "frechet_from_moments", "root_of", "sandwich"]

Array = NDArray[np.float64]
_EPS = float(np.finfo(np.float64).eps)
_NOISE = 1e-10  # share of the traces that rounding of the eigenvalues may add before singular values are taken


def frechet_from_moments(a: Moments, b: Moments) -> float:
    """Frechet distance from moments of equal D, n at least 2 (or unknown).

    With b.covariance = L L', the eigenvalues of the product of covariances are those of the symmetric L' A L, so no
    non-symmetric eigenproblem and no matrix square root is needed; for a singular covariance L is its symmetric root.

    Raises:
        ValueError: where the widths differ, n is 1, or a value is not finite.
    """
    if a.mean.shape != b.mean.shape:
        raise ValueError(f"moments of widths {len(a.mean)} and {len(b.mean)} do not compare")
    if min(2 if m.n is None else m.n for m in (a, b)) < 2:
        raise ValueError("a covariance needs 2 feature vectors")
    # The scatters are not divided by their degrees of freedom before the end: that would make two more matrices.
    first, second, degrees = a.scatter, b.scatter, [1 if m.n is None else m.n - 1 for m in (a, b)]
    traces = float(np.trace(first) / degrees[0] + np.trace(second) / degrees[1])
    step, scale = a.mean - b.mean, (degrees[0] * degrees[1]) ** 0.5
    if not np.isfinite(traces + step @ step):
        raise ValueError("moments hold values that are not finite")
    root, triangular = root_of(second)
    total, noise = _root_sum(_congruent(first, root) if triangular else sandwich(first, root, triangular=False)[0])
    if noise / scale > _NOISE * traces:
        total = _singular_sum(times(root_of(first)[0].T, root))
    return float(step @ step + traces - 2 * total / scale)


def frechet_from_features(x: Features, y: Features) -> float:
    """Frechet distance between feature sets (n, D) and (m, D), n and m at least 2.

    Where a side has no more vectors than dimensions, the problem shrinks to its number of vectors: faster, and
    without the noise that a singular product adds.

    Raises:
        ValueError: for shapes that do not go together, too few rows, or values that are not finite.
    """
    x, y = checked(x, "x", least=2), checked(y, "y", least=2)
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"features of widths {x.shape[1]} and {y.shape[1]} do not compare")
    small, large = (x, y) if len(x) <= len(y) else (y, x)
    if len(small) > small.shape[1]:
        return frechet_from_moments(Moments.of(x), Moments.of(y))
    means = [side.mean(axis=0, dtype=np.float64) for side in (small, large)]
    inner, square = contrasts(small, means[0]), 0.0
    if len(large) <= large.shape[1]:
        other = contrasts(large, means[1])
        cross, square = times(inner, other.T), float(np.einsum("ij,ij->", other, other))
    else:
        cross = np.empty((len(inner), len(large)))
        for rows, block in blocks(large, means[1]):
            cross[:, rows] = times(inner, block.T)
            square += float(np.einsum("ij,ij->", block, block)) / (len(large) - 1)
        cross /= (len(large) - 1) ** 0.5
    step, traces = means[0] - means[1], float(np.einsum("ij,ij->", inner, inner)) + square
    total, noise = _root_sum(gram(cross if cross.shape[0] <= cross.shape[1] else cross.T))
    if noise > _NOISE / 10 * traces:
        total = _singular_sum(cross)
    return float(step @ step + traces - 2 * total)


def contrasts(x: Features, mean: Array) -> Array:
    """Rows R, one fewer, with R'R the sample covariance: the direction that centring empties is reflected away."""
    centred: Array = x - mean
    rows = centred[1:]
    rows += centred[0] / (len(x) ** 0.5 - 1.0)
    rows /= (len(x) - 1) ** 0.5
    return rows


def root_of(covariance: Array) -> tuple[Array, bool]:
    """G with G G' = covariance, shape (D, r), and whether it is lower triangular (r = D) or spans r < D directions."""
    try:
        root = linalg.cholesky(covariance, lower=True, check_finite=False)
    except linalg.LinAlgError:
        pass
    else:
        pivots = root.diagonal() ** 2
        if pivots.min() > 4 * _EPS * len(root) * pivots.max():  # a smaller one is rounding, of a singular covariance
            return root, True
    values, vectors = linalg.eigh(covariance, check_finite=False)
    kept = values > 4 * _EPS * len(values) * max(float(values[-1]), 0.0)
    return np.asarray(vectors[:, kept] * np.sqrt(values[kept])), False


def sandwich(covariance: Array, root: Array, *, triangular: bool) -> tuple[Array, Array]:
    """G'CG and CG; triangular products take half the work."""
    if not triangular:
        right = times(covariance, root)
        return times(root.T, right), right
    right = blas.dtrmm(1.0, root, covariance.T, side=1, lower=1)  # the transpose is a view in Fortran order
    return blas.dtrmm(1.0, root, right, side=0, lower=1, trans_a=1), right


def _congruent(covariance: Array, root: Array) -> Array:
    """Lower triangle of L'CL, L lower triangular: three quarters of the work of two triangular products."""
    product, info = lapack.dsygst(covariance.T, root, itype=2, lower=1)  # the transpose is a view in Fortran order
    assert info == 0, info  # no argument of it can be wrong
    return np.asarray(product)


def _root_sum(product: Array) -> tuple[float, float]:
    """Sum of the roots of the eigenvalues of a symmetric matrix, lower triangle, overwritten; bound on its rounding."""
    if not product.size:
        return 0.0, 0.0
    values = linalg.eigvalsh(product, check_finite=False, overwrite_a=True)
    top = max(float(values[-1]), 0.0)
    floor = np.maximum(values, _EPS * top)
    noise = 0.5 * _EPS * top * float((1 / np.sqrt(floor)).sum()) if top else 0.0
    return float(np.sqrt(np.maximum(values, 0.0)).sum()), noise


def _singular_sum(cross: Array) -> float:
    """Nuclear norm; the error of every singular value is rounding of the largest one, not its square root."""
    return float(linalg.svdvals(cross, check_finite=False).sum())
