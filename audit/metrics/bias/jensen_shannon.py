# SPDX-License-Identifier: Apache-2.0
"""Jensen-Shannon divergence, in bits, between corrected shares and the reference."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from audit.metrics._base import metric
from audit.metrics.bias._distance import distance_estimate, plug_in
from audit.metrics.bias._shares import attribute_slices
from audit.stats.divergence import divergence_floor, jensen_shannon
from audit.types import Estimate, MetricSpec, View

__all__ = ["METRIC"]


@metric(
    MetricSpec(
        id="bias.jensen_shannon",
        version="1",
        title="Jensen-Shannon divergence from the reference",
        unit="bits",
        direction="lower",
        bounds=(0.0, 1.0),
        purposes=frozenset({"bias"}),
        needs=(),
        min_n=10,
        cluster=None,
        citation="Lin 1991, eq. 4.1; Rogan and Gladen 1978, eq. 1",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """One estimate per slice and attribute; none of attributes that prompts ask for."""
    for shares in attribute_slices(view, spec, robust=True):
        if isinstance(shares, Estimate):
            yield shares
            continue
        of = partial(jensen_shannon, reference=np.asarray(shares.reference))
        interval = plug_in(shares, of, between=shares.reference[:1])
        floor = divergence_floor(shares.n, shares.reference, shares.operating.counts, seed=view.seed)
        yield distance_estimate(shares, spec, interval, floor=floor, extra={"base": 2})
