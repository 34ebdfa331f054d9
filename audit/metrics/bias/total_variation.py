# SPDX-License-Identifier: Apache-2.0
"""Total variation distance between corrected shares and the reference: half the sum of absolute gaps."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from audit.metrics._base import metric
from audit.metrics.bias._distance import distance_estimate, plug_in
from audit.metrics.bias._shares import Shares, attribute_slices
from audit.stats.floor import correction_floor, total_variation_radius
from audit.stats.intervals import Interval
from audit.types import Estimate, MetricSpec, View

__all__ = ["METRIC"]


@metric(
    MetricSpec(
        id="bias.total_variation",
        version="2",
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
    """One estimate per slice and attribute; none of attributes that prompts ask for."""
    for shares in attribute_slices(view, spec, robust=True):
        if isinstance(shares, Estimate):
            yield shares
            continue
        floor = correction_floor(shares.n, shares.reference, shares.operating.counts, seed=view.seed).tv
        yield distance_estimate(shares, spec, _interval(shares), floor=floor)


def _interval(shares: Shares) -> Interval:
    reference = np.asarray(shares.reference)
    if len(reference) == 2:  # the distance is the absolute gap of either group
        return plug_in(shares, lambda p: np.abs(p - reference).sum(axis=-1) / 2, between=shares.reference[:1])
    value = float(np.abs(shares.estimate.shares - reference).sum() / 2)
    answers = tuple(int(count) for count in shares.answers)
    radius = total_variation_radius(answers, shares.operating.counts, level=shares.view.level, seed=shares.view.seed)
    radius *= (shares.n / shares.effective_n) ** 0.5
    method = "bootstrap of answers and confusion counts, triangle inequality"
    return Interval(
        value, max(0.0, value - radius), min(1.0, value + radius), shares.n, shares.estimate.clusters, method
    )
