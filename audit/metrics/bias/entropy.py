# SPDX-License-Identifier: Apache-2.0
"""Normalised entropy of corrected shares: 1 where all declared groups are drawn equally often, 0 where one is."""

from __future__ import annotations

from collections.abc import Iterator

from audit.metrics._base import metric
from audit.metrics.bias._distance import distance_estimate, plug_in
from audit.metrics.bias._shares import attribute_slices
from audit.stats.divergence import entropy_floor, normalised_entropy
from audit.types import Estimate, MetricSpec, View

__all__ = ["METRIC"]


@metric(
    MetricSpec(
        id="bias.entropy",
        version="1",
        title="Evenness of shares",
        unit="normalised entropy",
        direction="higher",
        bounds=(0.0, 1.0),
        purposes=frozenset({"bias"}),
        needs=(),
        min_n=10,
        cluster=None,
        citation="Shannon 1948; Pielou 1966; Rogan and Gladen 1978, eq. 1",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """One estimate per slice and attribute, against equal shares whatever the reference is."""
    for shares in attribute_slices(view, spec, robust=True):
        if isinstance(shares, Estimate):
            yield shares
            continue
        interval = plug_in(shares, normalised_entropy, between=(0.5,))
        floor = entropy_floor(shares.n, shares.operating.counts, seed=view.seed)
        yield distance_estimate(shares, spec, interval, floor=floor)
