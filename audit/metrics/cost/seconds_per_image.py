# SPDX-License-Identifier: Apache-2.0
"""Median wall time of an image."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from audit.metrics._base import estimate, images, insufficient, metric, missing_column
from audit.stats.intervals import median_interval
from audit.types import Estimate, MetricSpec, View

__all__ = ["METRIC"]


@metric(
    MetricSpec(
        id="cost.seconds_per_image",
        version="1",
        title="Seconds per image",
        unit="seconds",
        direction="lower",
        bounds=(0.0, None),
        purposes=frozenset(),
        needs=("seconds",),
        min_n=6,
        cluster=None,
        citation="order-statistic interval, Thompson 1936",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """One estimate over all images whose time is known. Images of one batch share its time equally."""
    absent = missing_column(view, spec)
    if absent is not None:
        yield absent
        return
    seconds = np.asarray(view.columns["seconds"], dtype=np.float64)
    seconds = seconds[images(view) & np.isfinite(seconds)]
    interval = median_interval(seconds, level=view.level)
    if interval is None or len(seconds) < spec.min_n:
        yield insufficient(view, spec, {}, n=len(seconds), why=f"{len(seconds)} timed images are too few")
        return
    yield estimate(view, spec, {}, interval, missing=len(view) - len(seconds), extra={"total": float(seconds.sum())})
