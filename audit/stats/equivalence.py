# SPDX-License-Identifier: Apache-2.0
"""Evidence that a share lies within limits, or outside them: the absence of a difference is never assumed.

"Not significantly different" is what too few images always give. Equivalence is shown the other way round: the
interval has to lie inside the limits (two one-sided tests, Schuirmann 1987).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

__all__ = ["Tost", "p_from_curve", "tost", "tost_from_interval", "tost_share"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tost:
    """Two one-sided tests.

    Attributes:
        p: the larger of the two: evidence that the value lies within both limits.
        p_low: against "at or below the lower limit"; 0 where there is none.
        p_high: against "at or above the upper limit"; 0 where there is none.
    """

    p: float
    p_low: float
    p_high: float


def tost(value: float, error: float, limits: tuple[float, float], *, freedom: float = np.inf) -> Tost:
    """Two one-sided tests of an estimate with a standard error.

    At level alpha they agree with asking whether the interval of level 1 - 2 alpha lies inside the limits.

    Args:
        value: the estimate.
        error: its standard error, above 0.
        limits: lower and upper, either may be infinite.
        freedom: degrees of freedom of the error, infinite for the normal distribution.

    Raises:
        ValueError: limits the wrong way round, or an error that is not above 0.
    """
    _check(limits)
    if not error > 0:
        raise ValueError(f"the standard error must be above 0, got {error}")
    low, high = limits
    below, above = _tail((value - low) / error, freedom), _tail((high - value) / error, freedom)
    return Tost(max(below, above), below, above)


def tost_share(k: int, n: int, limits: tuple[float, float]) -> Tost:
    """Exact two one-sided tests of a counted share: the tails of the Clopper-Pearson interval.

    Args:
        k: how many of them.
        n: of how many, at least 1.
        limits: lower and upper; at or beyond 0 and 1 there is nothing to show on that side.

    Raises:
        ValueError: limits the wrong way round, or a count outside its sample.
    """
    _check(limits)
    if not (n > 0 and 0 <= k <= n):
        raise ValueError(f"a share needs 0 <= k <= n and n > 0, got k={k}, n={n}")
    low, high = limits
    below = 0.0 if low <= 0 else 1.0 if k == 0 or low >= 1 else float(special.betainc(k, n - k + 1, low))
    above = 0.0 if high >= 1 else 1.0 if k == n or high <= 0 else float(special.betaincc(k + 1, n - k, high))
    return Tost(max(below, above), below, above)


def tost_from_interval(
    value: float, low: float, high: float, limits: tuple[float, float], *, level: float = 0.95
) -> Tost:
    """Two one-sided tests from a published estimate and interval, each side with its own normal standard error.

    Args:
        value: the estimate.
        low: lower end of its interval.
        high: upper end of its interval.
        limits: lower and upper, either may be infinite.
        level: confidence level of the interval.

    Raises:
        ValueError: limits the wrong way round, or an interval without width on a side that is tested.
    """
    _check(limits)
    z = float(special.ndtri((1 + level) / 2))
    tails = []
    for away, width in ((value - limits[0], value - low), (limits[1] - value, high - value)):
        # A value beyond a limit is judged by the end of the interval that points back at the limit.
        side = width if away >= 0 else (high - low) - width
        if np.isfinite(away) and not side > 0:
            raise ValueError(f"the interval {low} to {high} around {value} has no width")
        tails.append(float(special.ndtr(-z * away / side)) if np.isfinite(away) else 0.0)
    return Tost(max(tails), tails[0], tails[1])


def p_from_curve(
    alphas: ArrayLike, lows: ArrayLike, highs: ArrayLike, limits: tuple[float, float]
) -> tuple[float, float]:
    """Evidence for a gap and for equivalence from intervals of one quantity at several levels.

    Both are the smallest alpha whose interval of level 1 - alpha lies wholly on its side of the limits, found between
    two given levels by linear interpolation on the scale of the normal quantile of alpha / 2. Beyond the finest given
    level its alpha is returned, an upper bound. Intervals that shrink where the level rises, as simulated ones may,
    are widened first. The two one-sided tests of equivalence have half of the second figure.

    Args:
        alphas: one minus the levels, shape (g,), in (0, 1), in any order, all different.
        lows: lower ends, shape (g,).
        highs: upper ends, shape (g,).
        limits: lower and upper, equal for a test of one value; either may be infinite.

    Returns:
        p of "the value is within the limits" (small: a gap) and p of "it is not" (small: equivalent); 1 where not even
        the shortest interval lies on that side.

    Raises:
        ValueError: limits the wrong way round, no level, a level twice or outside (0, 1), or an end that is NaN.
    """
    _check(limits)
    grid, low, high = (np.asarray(x, dtype=np.float64) for x in (alphas, lows, highs))
    if not grid.size or ((grid <= 0) | (grid >= 1)).any() or len(np.unique(grid)) != grid.size:
        raise ValueError(f"needs different alphas in (0, 1), got {grid.tolist()}")
    if np.isnan(low).any() or np.isnan(high).any() or low.shape != grid.shape or high.shape != grid.shape:
        raise ValueError("needs a lower and an upper end at each alpha, none of them NaN")
    order = np.argsort(-grid)
    grid = grid[order]
    low, high = np.minimum.accumulate(low[order]), np.maximum.accumulate(high[order])
    outside = min(_reached(grid, low - limits[1], strict=True), _reached(grid, limits[0] - high, strict=True))
    inside = max(_reached(grid, low - limits[0], strict=False), _reached(grid, limits[1] - high, strict=False))
    return outside, inside


def _reached(grid: Array, margin: Array, *, strict: bool) -> float:
    """Smallest alpha, from a falling grid, at which a falling margin is still there."""
    there = margin > 0 if strict else margin >= 0
    kept = int(there.sum())
    if kept in {0, len(grid)}:
        return 1.0 if kept == 0 else float(grid[-1])
    last, lost = float(margin[kept - 1]), float(margin[kept])
    if not (np.isfinite(last) and np.isfinite(lost)):
        return float(grid[kept - 1])
    z = -special.ndtri(grid[kept - 1 : kept + 1] / 2)
    crossing = float(z[0] + (z[1] - z[0]) * last / (last - lost))
    return float(2 * special.ndtr(-crossing))


def _check(limits: tuple[float, float]) -> None:
    if not limits[0] <= limits[1]:
        raise ValueError(f"limits need lower <= upper, got {limits[0]} and {limits[1]}")


def _tail(statistic: float, freedom: float) -> float:
    return float(special.ndtr(-statistic) if np.isinf(freedom) else special.stdtr(freedom, -statistic))
