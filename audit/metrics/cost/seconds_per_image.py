# SPDX-License-Identifier: Apache-2.0
"""Mean wall time of an image."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from audit.metrics._base import images, insufficient, mean_estimate, metric, missing_column
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
        needs=("seconds", "batch"),
        min_n=2,
        cluster="batch",
        citation="cluster-robust interval, Liang and Zeger 1986",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """One estimate over all images whose time is known.

    Images of one batch share its time equally, so batches are the units: a single one says nothing about the spread.
    """
    absent = missing_column(view, spec)
    if absent is not None:
        yield absent
        return
    seconds = np.asarray(view.columns["seconds"], dtype=np.float64)
    timed = images(view) & np.isfinite(seconds)
    batches = len(set(view.columns["batch"][timed].tolist()))
    if batches < 2:
        yield insufficient(
            view, spec, {}, n=int(timed.sum()), clusters=batches, why=f"{batches} timed batches, needs 2"
        )
        return
    yield mean_estimate(view, spec, {}, seconds)
