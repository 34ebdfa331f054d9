# SPDX-License-Identifier: Apache-2.0
"""Floating-point operations of an image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from audit.metrics._base import estimate, metric
from audit.metrics.cost._measured import mean_of, numbers, unmeasured, words
from audit.stats.intervals import Interval
from audit.types import Estimate, MetricSpec, View

__all__ = ["METRIC"]


@metric(
    MetricSpec(
        id="cost.flops_per_image",
        version="1",
        title="Operations per image",
        unit="FLOP",
        direction="lower",
        bounds=(0.0, None),
        purposes=frozenset(),
        needs=("flops", "batch"),
        min_n=1,
        cluster="batch",
        citation="two operations a multiply-add, formulae of torch.utils.flop_counter",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """Operations of matrix products, convolutions, attention and recurrent layers, elementwise ones left out.

    They depend on shapes only, so one batch is counted. Counts that agree are exact and have an interval without width;
    counts of several processes that differ (batches of other sizes, texts of other lengths) are averaged.
    """
    counts = numbers(view, "flops")
    known = counts[np.isfinite(counts)]
    if not len(known):
        yield unmeasured(view, spec, "flops_by")
        return
    how, batches = words(view, "flops_by"), len(set(view.columns["batch"][np.isfinite(counts)].tolist()))
    if known.min() == known.max():
        value = float(known[0])
        yield estimate(view, spec, {}, Interval(value, value, value, len(known), batches, how))
        return
    found = mean_of(view, spec, counts)
    yield replace(found, method=f"{found.method}; {how}")
