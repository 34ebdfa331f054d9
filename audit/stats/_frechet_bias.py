# SPDX-License-Identifier: Apache-2.0
"""What finite samples add to the Frechet distance, and each vector's part in it, from one spectrum.

The traces and the mean have exact corrections. What is left is f = tr (A B)^(1/2), concave in both covariances, which
sample covariances make too small. Two things are known about that:

* With many dimensions, the number of vectors a dimension fixed and at least 1, the eigenvalues of the product of two
  sample covariances are those of the true product, spread in a known way (free multiplicative convolution with the
  Marchenko and Pastur law, once a side). Undoing the spread under the trace of the root gives f itself, to all orders
  in 1/n (Tiomoko and Couillet 2019, theorem 1; here with the contour taken round the negative half axis, where the
  integrand is smooth and positive, which makes one formula of their cases).
* With any distribution, the first order in 1/n is half the variance of f's second derivative, which the fourth
  moments of the vectors in the common coordinates tell. That holds for heavy tails and few dimensions too.

The estimate is the first, times the ratio of the second for the sample at hand to the second for a Gaussian one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audit.stats._blas import times
from audit.stats._frechet_spectrum import Side, Spectrum
from audit.stats._frechet_values import Array
from audit.stats.moments import blocks

__all__ = ["Terms", "exponentials", "left_out", "spread", "terms"]

_STEP = 0.25  # of the trapezoid rule in log t: the integrand is analytic in a strip of width pi, error below 1e-14
_STEP_SUM = 0.6  # of the sum of exponentials that stands for 1 / (l + l'): error below 1e-6, of a correction


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """The trace of the root with its bias corrected, and what the sides' vectors do to it.

    Attributes:
        root_trace: sum of l, too small by about ``correction``.
        correction: to add to it.
        ratio: of first-order terms, sample to Gaussian: 1 for light tails and many dimensions.
        influence: of the vectors of a side on the corrected distance, centred, shape (n,); None for a fixed side.
    """

    root_trace: float
    correction: float
    ratio: float
    influence: tuple[Array | None, Array | None]


def terms(first: Side, second: Side, found: Spectrum) -> Terms:
    """Correction and influences for two sides, of which at least one is a sample with n > D."""
    sides = (first, second)
    roots = found.roots
    degrees = [side.degrees for side in sides if side.rows is not None]
    gain, slope = spread(roots**2, degrees)
    passes = [_through(sides, found, side, slope) if sides[side].rows is not None else None for side in (0, 1)]
    done = [p for p in passes if p is not None]
    gaussian = sum(p.gaussian for p in done)
    ratio = max(sum(p.sample for p in done) / gaussian, 0.0) if gaussian > 0 else 1.0
    plain = [None if p is None else p.plain - 2 * ratio * p.sloped for p in passes]
    first_part, second_part = (None if p is None else p - p.mean() for p in plain)
    return Terms(float(roots.sum()), gain * ratio, ratio, (first_part, second_part))


def spread(values: Array, degrees: list[int]) -> tuple[float, Array]:
    """By how much the sum of roots of eigenvalues of a product of sample covariances is too small, and its gradient.

    The estimate is 2/pi times the integral over t > 0 of t^(1/2) q(t) prod_k (1 - s(t)/k)^(-1/2), k the degrees of
    freedom of each sample, s the sum of v / (t + v), q the sum of v / (t + v)^2 over the eigenvalues v. Without the
    product the integral is the plain sum of roots, which is taken off under the integral sign.

    Args:
        values: positive eigenvalues, shape (r,), r less than every number of degrees.
        degrees: of freedom of the one or two covariances that are samples.
    """
    if not values.size:
        return 0.0, np.empty(0)
    reach = np.log(values.min()) - 24, np.log(values.max()) + 24
    t = np.exp(np.arange(*reach, _STEP))[:, None]
    inverse = 1 / (t + values)
    share = values * inverse
    s, q, t = share.sum(axis=1), (share * inverse).sum(axis=1), t[:, 0]
    weight = 2 / np.pi * _STEP * t**1.5
    lost = sum(np.log1p(-s / k) for k in degrees)
    excess = np.expm1(-0.5 * lost)
    pull = sum(0.5 / (k - s) for k in degrees) * (1 + excess)
    by_s = (weight * q * pull * t) @ inverse**2
    by_q = (weight * excess) @ (inverse**2 * (1 - 2 * share))
    return float((weight * q * excess).sum()), by_s + by_q


@dataclass(frozen=True, slots=True, eq=False)
class _Pass:
    """One side's rows gone through once: plug-in influences, what the slope adds, first-order terms."""

    plain: Array
    sloped: Array
    sample: float
    gaussian: float


def _through(sides: tuple[Side, Side], found: Spectrum, side: int, slope: Array) -> _Pass:
    """The sums over i, j of z_i^2 z_j^2 / (l_i l_j (l_i + l_j)) factorise once 1 / (l + l') is a sum of exponentials.

    A vector's part is taken as leaving it out would change the root, not as the derivative at the full sample: a heavy
    vector has itself made room for itself. For equal l that is a function of its leverage.
    """
    own, other, roots = sides[side], sides[1 - side], found.roots
    assert own.rows is not None
    n, mean = len(own.rows), own.moments.mean
    step, factors = mean - other.moments.mean, exponentials(roots)
    plain, sloped, parts, leverage = (np.empty(n) for _ in range(4))
    for rows, v in blocks(own.rows, mean):
        squares = times(v, found.maps[side].T) ** 2
        plain[rows] = 2 * (v @ step) + np.einsum("ij,ij->i", v, v) - squares @ (1 / roots)
        sloped[rows] = squares @ slope
        parts[rows] = (times(squares, factors) ** 2).sum(axis=1)
        leverage[rows] = squares @ roots**-2 / own.degrees
    scale = left_out(leverage) / left_out(np.array([len(roots) / own.degrees]))
    sample = float((parts * scale).mean()) - float(roots.sum()) / 2
    gaussian = float(((roots**2 @ factors) ** 2).sum())
    return _Pass(plain, sloped, sample / (4 * own.degrees), gaussian / (4 * own.degrees))


def exponentials(roots: Array) -> Array:
    """E with sum_q E_iq E_jq = 1 / (l_i l_j (l_i + l_j)), shape (r, q): 1 / a is the integral of exp(-a s)."""
    if not roots.size:
        return np.empty((0, 0))
    s = np.exp(np.arange(-np.log(roots.max()) - 14, -np.log(roots.min()) + 3, _STEP_SUM))
    return np.asarray(np.exp(-roots[:, None] * s) / roots[:, None] * np.sqrt(_STEP_SUM * s))


def left_out(leverage: Array) -> Array:
    """(1 - sqrt(1 - h) - h / 2) / h^2, twice over: what leaving out a vector of leverage h does beyond first order."""
    return np.asarray((1 + np.sqrt(np.clip(1 - leverage, 0, 1))) ** -2.0)
