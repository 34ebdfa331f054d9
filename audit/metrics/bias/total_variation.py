# SPDX-License-Identifier: Apache-2.0
"""Total variation distance between corrected shares and the reference: half the sum of absolute gaps."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from audit.metrics._base import estimate, metric
from audit.metrics.bias._shares import Shares, attribute_slices
from audit.stats.floor import correction_floor, total_variation_radius
from audit.stats.intervals import Interval
from audit.types import Estimate, MetricSpec, View

__all__ = ["METRIC"]


@metric(
    MetricSpec(
        id="bias.total_variation",
        version="1",
        title="Total variation from the reference",
        unit="share",
        direction="lower",
        bounds=(0.0, 1.0),
        purposes=frozenset({"bias"}),
        needs=(),
        min_n=10,
        cluster=None,
        citation="Levin and Peres 2017, prop. 4.2; Rogan and Gladen 1978, eq. 1",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """One estimate per slice and attribute."""
    for shares in attribute_slices(view, spec):
        if isinstance(shares, Estimate):
            yield shares
            continue
        interval = _interval(shares)
        floor = correction_floor(shares.n, shares.reference, shares.operating.counts, seed=view.seed).tv
        yield estimate(
            shares.view,
            spec,
            shares.where,
            interval,
            missing=len(shares.view) - shares.n,
            floor=floor,
            extra={"excess": interval.value - floor, "measured_on": shares.operating.measured_on},
        )


def _interval(shares: Shares) -> Interval:
    reference = np.asarray(shares.reference)
    value = float(np.abs(shares.estimate.shares - reference).sum() / 2)
    if len(reference) == 2:  # the distance is the absolute gap of either group
        low, high = shares.estimate.low[0] - reference[0], shares.estimate.high[0] - reference[0]
        nearest = 0.0 if low <= 0.0 <= high else min(abs(low), abs(high))
        bounds = float(nearest), float(max(abs(low), abs(high)))
        return Interval(value, *bounds, shares.n, shares.n, "from the interval of the share")
    answers = tuple(int(count) for count in shares.answers)
    radius = total_variation_radius(answers, shares.operating.counts, level=shares.view.level, seed=shares.view.seed)
    method = "bootstrap of answers and confusion counts, triangle inequality"
    return Interval(value, max(0.0, value - radius), min(1.0, value + radius), shares.n, shares.n, method)
