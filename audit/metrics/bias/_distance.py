# SPDX-License-Identifier: Apache-2.0
"""Numbers about all groups of an attribute at once, and intervals that may reach the end of their scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from audit.metrics._base import estimate
from audit.metrics.bias._shares import Shares
from audit.stats.divergence import plug_in_interval
from audit.stats.intervals import Interval
from audit.types import Estimate, MetricSpec, Scalar

__all__ = ["distance_estimate", "plug_in"]

Array = NDArray[np.float64]
_BOOTSTRAP = "parametric bootstrap of answers and confusion counts, symmetric or percentile, whichever is wider"


def distance_estimate(
    shares: Shares, spec: MetricSpec, interval: Interval, *, floor: float, extra: dict[str, Scalar] | None = None
) -> Estimate:
    """The estimate of one slice, with what is in excess of the floor."""
    more: dict[str, Scalar] = {
        "excess": interval.value - floor,
        "could_not_tell": shares.could_not_tell,
        "measured_on": shares.operating.measured_on,
        **(extra or {}),
    }
    missing = len(shares.view) - shares.n
    return estimate(shares.view, spec, shares.where, interval, missing=missing, floor=floor, extra=more)


def plug_in(shares: Shares, of: Callable[[Array], Array], *, between: Sequence[float]) -> Interval:
    """A function of the shares with its interval.

    Args:
        shares: of the slice.
        of: shares (..., k) to numbers (...,) in [0, 1].
        between: first shares, of two groups, between which the function turns round: the interval of two groups is
            the range of the function over the interval of the share.
    """
    found, view = shares.estimate, shares.view
    value = float(of(found.shares))
    if len(found.shares) == 2:
        low, high = float(found.low[0]), float(found.high[0])
        points = np.array([low, high, *(p for p in between if low < p < high)])
        ends = of(np.stack([points, 1 - points], axis=-1))
        return Interval(value, float(ends.min()), float(ends.max()), shares.n, found.clusters, found.method)
    low, high = plug_in_interval(
        of,
        found.shares,
        shares.correction,
        n=shares.effective_n,
        limits=(found.low, found.high),
        level=view.level,
        seed=view.seed,
    )
    return Interval(value, min(low, value), max(high, value), shares.n, found.clusters, _BOOTSTRAP)
