# SPDX-License-Identifier: Apache-2.0
"""Which of two generators is nearer to a reference, when both answered the same requests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit.stats._frechet_spectrum import Side, influences, spectrum
from audit.stats._frechet_values import Array
from audit.stats.frechet import Corrected, corrected, least_rows
from audit.stats.moments import Features, Moments
from audit.stats.pairs import Paired, SignFlips, paired_mean, sign_flips

__all__ = ["FrechetDifference", "frechet_difference", "swap_test"]


@dataclass(frozen=True, slots=True)
class FrechetDifference:
    """FD(x, reference) - FD(y, reference); negative where x is nearer.

    Attributes:
        value: difference of the two bias-corrected estimates.
        low, high: t interval over the clusters, widened by ``bias``.
        standard_error: of the value; covariances between x, y and the reference accounted for.
        bias: how much may be left of the bias, taken as an allowance.
        p_value: of exchangeable pairs, see ``swap_test``.
        first, second: corrected distances of x and of y.
        n: pairs.
        clusters: independent units among them.
        method: how, and whether the reference was taken as fixed.
    """

    value: float
    low: float
    high: float
    standard_error: float
    bias: float
    p_value: float
    first: float
    second: float
    n: int
    clusters: int
    method: str


def frechet_difference(
    x: Features,
    y: Features,
    reference: Features | Moments,
    *,
    clusters: NDArray[np.generic] | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> FrechetDifference:
    """Difference of two corrected Frechet distances to one reference, with interval and permutation test.

    Row i of x and of y answer the same request with the same seed, so what the two share cancels: the interval is the
    delta method on the differences of influences, by clusters where they are given, plus the difference of the
    reference's own influences on the two distances.

    Args:
        x: features of the one generator, shape (n, D), n at least ``least_rows``.
        y: features of the other, same shape.
        reference: features of reference images, shape (m, D), or fixed moments.
        clusters: label of each row's cluster, such as its prompt, shape (n,); None where rows are independent.
        level: confidence level.
        seed: of the permutation test; same seed, same numbers.

    Raises:
        ValueError: for shapes that do not go together, too few rows or clusters, or values that are not finite.
    """
    first, second, target = _sides(x, y, reference, least=least_rows(0))
    units = _units(clusters, len(x))
    one, two = corrected(first, target), corrected(second, target)
    spread = _paired(one, two, units)
    value, bias = one.value - two.value, abs(one.bias - two.bias)
    low, high = spread.interval(level)
    flips = _flips(first, second, target, units, seed)
    fixed = "; reference statistics taken as fixed" if target.rows is None else ""
    return FrechetDifference(
        value=value,
        low=value + low - spread.value - bias,
        high=value + high - spread.value + bias,
        standard_error=spread.error,
        bias=bias,
        p_value=flips.p,
        first=one.value,
        second=two.value,
        n=spread.pairs,
        clusters=spread.units,
        method=f"paired delta method over {spread.units} clusters, swap test{fixed}",
    )


def swap_test(
    x: Features,
    y: Features,
    reference: Features | Moments,
    *,
    clusters: NDArray[np.generic] | None = None,
    seed: int = 0,
) -> SignFlips:
    """Permutation test that the members of a pair could as well have been exchanged; any n of at least 2.

    The distance is linearised where swaps cannot move it, at x and y put together: FD(x) - FD(y) is then the mean
    difference of the two members' influences, up to a third-order term, as with any central difference. Since the
    influences do not change by swapping, the test is exact however few the pairs, also below D, and a draw costs one
    sum of signs: all patterns up to 20 clusters, else 4,999 draws.

    Args:
        x: features, shape (n, D).
        y: features of the same requests, same shape.
        reference: features, shape (m, D), or fixed moments.
        clusters: whole clusters are swapped; label of each row's cluster, shape (n,).
        seed: same seed, same numbers.

    Raises:
        ValueError: for shapes that do not go together, too few rows or clusters, or values that are not finite.
    """
    return _flips(*_sides(x, y, reference, least=2), _units(clusters, len(x)), seed)


def _sides(x: Features, y: Features, reference: Features | Moments, *, least: int) -> tuple[Side, Side, Side]:
    first, second = Side.of(x, "x", least=least), Side.of(y, "y", least=least)
    target = Side(reference) if isinstance(reference, Moments) else Side.of(reference, "reference")
    if first.rows is None or second.rows is None or first.rows.shape != second.rows.shape:
        raise ValueError(f"pairs need x and y of one shape, got {np.shape(x)} and {np.shape(y)}")
    if first.moments.mean.shape != target.moments.mean.shape:
        widths = len(first.moments.mean), len(target.moments.mean)
        raise ValueError(f"features of widths {widths[0]} and {widths[1]} do not compare")
    return first, second, target


def _units(clusters: NDArray[np.generic] | None, n: int) -> NDArray[np.int64] | None:
    if clusters is None:
        return None
    if np.shape(clusters) != (n,):
        raise ValueError(f"clusters must be of shape ({n},), got {np.shape(clusters)}")
    labels, units = np.unique(clusters, return_inverse=True)
    if len(labels) < 2:
        raise ValueError("needs 2 clusters, got 1")
    return np.asarray(units, dtype=np.int64)


def _paired(one: Corrected, two: Corrected, units: NDArray[np.int64] | None) -> Paired:
    assert one.first is not None and two.first is not None  # noqa: PT018
    shared = 0.0
    if one.second is not None and two.second is not None:
        apart = one.second - two.second
        shared = float(apart @ apart) / (len(apart) * (len(apart) - 1))
    return paired_mean(one.first - two.first, units, variance=shared)


def _flips(first: Side, second: Side, target: Side, units: NDArray[np.int64] | None, seed: int) -> SignFlips:
    """Sign flips of influences at the pooled sample, in units of their own size."""
    assert first.rows is not None and second.rows is not None  # noqa: PT018
    pooled = Side(first.moments.merge(second.moments), np.concatenate([first.rows, second.rows]))
    found = spectrum(pooled, target)
    weights = 0.5 / found.roots
    parts = [
        influences(pooled, target, found, side=0, weights=weights, rows=rows) for rows in (first.rows, second.rows)
    ]
    apart: Array = parts[0] - parts[1]
    scale = float(np.abs(apart).max())
    return sign_flips(apart / scale if scale else apart, units, seed=seed)
