# SPDX-License-Identifier: Apache-2.0
"""Frechet distance between Gaussians fitted to features, with its bias corrected and its standard error.

FD(x, y) = |mean(x) - mean(y)|^2 + tr(X + Y - 2 (X Y)^(1/2)) with covariances X, Y (Dowson and Landau 1982; as a score
of generators: Heusel et al. 2017, eq. 6). The plug-in value is too large by about b / n, many times its standard error,
so the values of two generators with different n do not compare. Random-matrix theory and the sample's own fourth
moments tell by how much; the delta method tells the standard error; both come from one eigendecomposition.

What the correction may leave is measured by simulation (``python -m benchmarks.frechet_bias``): with n of 2 D and more,
light or heavy tails, flat or steep spectra, less than a tenth of the bias of the plug-in value; the intervals, which an
allowance for it widens, hold their level. Below 1.25 D nothing can be promised, and no interval is given.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from audit.stats._frechet_bias import Terms, terms
from audit.stats._frechet_spectrum import Side, spectrum
from audit.stats._frechet_values import Array, frechet_from_features, frechet_from_moments
from audit.stats.moments import Features, Moments

__all__ = [
    "Corrected",
    "FrechetEstimate",
    "Moments",
    "corrected",
    "frechet",
    "frechet_from_features",
    "frechet_from_moments",
    "frechet_to_fixed",
    "least_rows",
]

#: What may be left of a correction, as a share of it: 2 / D, at most 0.01, and a fifth of its ratio's distance from 1.
#: Set by benchmarks/frechet_bias, larger than what is left there.
_LEFT = 2.0, 0.01, 0.2
_METHOD = "bias corrected by random-matrix theory and fourth moments, delta-method standard error"


@dataclass(frozen=True, slots=True)
class FrechetEstimate:
    """A Frechet distance that can be compared across n.

    Attributes:
        value: bias-corrected estimate; may be slightly below 0 where the sets do not differ.
        low, high: normal interval, widened by ``bias``.
        standard_error: of the value; without the reference's own error where the reference is fixed.
        bias: how much may be left of the bias, taken as an allowance.
        raw: plug-in value.
        n, m: feature vectors on the two sides; m is 0 where the reference is fixed and tells no number.
        dimension: of them.
        method: how, and whether the reference was taken as fixed.
    """

    value: float
    low: float
    high: float
    standard_error: float
    bias: float
    raw: float
    n: int
    m: int
    dimension: int
    method: str = _METHOD


@dataclass(frozen=True, slots=True, eq=False)
class Corrected:
    """A corrected distance with the influence of every vector on it, before it becomes an interval.

    Attributes:
        value, raw: corrected and plug-in distance.
        bias: allowance for what is left.
        first, second: centred influences of the two sides' vectors, None for a fixed side.
    """

    value: float
    raw: float
    bias: float
    first: Array | None
    second: Array | None

    @property
    def standard_error(self) -> float:
        """Of the value; the two samples are independent."""
        parts = [part for part in (self.first, self.second) if part is not None]
        variance = sum(float(part @ part) / (len(part) * (len(part) - 1)) for part in parts)
        return float(variance**0.5)


def frechet(x: Features, y: Features, *, level: float = 0.95) -> FrechetEstimate:
    """Bias-corrected Frechet distance with its interval. Both sides are samples, each with a bias and an error.

    Args:
        x: features, shape (n, D), n at least ``least_rows(x)``.
        y: features to compare with, shape (m, D), likewise.
        level: confidence level.

    Raises:
        ValueError: for shapes that do not go together, too few rows, or values that are not finite.
    """
    return _estimate(_sample(x, "x"), _sample(y, "y"), level, _METHOD)


def frechet_to_fixed(x: Features, reference: Moments, *, level: float = 0.95) -> FrechetEstimate:
    """Bias-corrected Frechet distance to published statistics, which are taken as they are: a fixed target.

    The target's own sampling error and bias are part of the number then, the same for all that is compared with it.

    Args:
        x: features, shape (n, D), n at least ``least_rows(x)``.
        reference: mean and covariance to compare with (``Moments.load``).
        level: confidence level.

    Raises:
        ValueError: as for ``frechet``.
    """
    return _estimate(_sample(x, "x"), Side(reference), level, f"{_METHOD}; reference statistics taken as fixed")


def least_rows(varying: int) -> int:
    """Fewest vectors with which a bias can be corrected: 50, and 1.25 for each dimension that varies."""
    return max(50, -(-5 * varying // 4))


def corrected(first: Side, second: Side) -> Corrected:
    """The corrected distance of two sides and the influences behind its standard error.

    Raises:
        ValueError: for widths that differ, or a sample with fewer than ``least_rows`` rows.
    """
    if first.moments.mean.shape != second.moments.mean.shape:
        widths = len(first.moments.mean), len(second.moments.mean)
        raise ValueError(f"features of widths {widths[0]} and {widths[1]} do not compare")
    for side in (first, second):
        if side.rows is not None and len(side.rows) < least_rows(side.varying):
            need = least_rows(side.varying)
            raise ValueError(f"needs {need} rows for {side.varying} dimensions that vary, got {len(side.rows)}")
    found = terms(first, second, spectrum(first, second))
    value, raw = _assemble(first, second, found)
    by_width = min(_LEFT[0] / max(first.varying, 1), _LEFT[1])
    bias = 2 * abs(found.correction) * (by_width + _LEFT[2] * abs(found.ratio - 1))
    return Corrected(value, raw, bias, *found.influence)


def _assemble(first: Side, second: Side, found: Terms) -> tuple[float, float]:
    """Corrected and plug-in value: the squared mean difference is too large by the variance of the two means."""
    step = first.moments.mean - second.moments.mean
    traces = [float(np.trace(side.moments.covariance)) for side in (first, second)]
    raw = float(step @ step) + sum(traces) - 2 * found.root_trace
    means = sum(t / len(side.rows) for t, side in zip(traces, (first, second), strict=True) if side.rows is not None)
    return raw - means - 2 * found.correction, raw


def _sample(features: Features, name: str) -> Side:
    return Side.of(features, name, least=least_rows(0))


def _estimate(first: Side, second: Side, level: float, method: str) -> FrechetEstimate:
    found = corrected(first, second)
    error = found.standard_error
    half = found.bias + float(special.ndtri((1 + level) / 2)) * error
    n, m = len(first.rows if first.rows is not None else ()), second.moments.n or 0
    return FrechetEstimate(
        value=found.value,
        low=found.value - half,
        high=found.value + half,
        standard_error=error,
        bias=found.bias,
        raw=found.raw,
        n=n,
        m=m,
        dimension=len(first.moments.mean),
        method=method,
    )
