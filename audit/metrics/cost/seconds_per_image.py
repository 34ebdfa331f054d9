# SPDX-License-Identifier: Apache-2.0
"""Mean wall time of an image."""

from __future__ import annotations

from collections.abc import Iterator

from audit.metrics._base import metric, missing_column
from audit.metrics.cost._measured import numbers, timed_estimate
from audit.types import Estimate, MetricSpec, View

__all__ = ["METRIC"]


@metric(
    MetricSpec(
        id="cost.seconds_per_image",
        version="2",
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
    The batch in which operations are counted takes longer for that, and is left out where two others remain.
    """
    absent = missing_column(view, spec)
    if absent is not None:
        yield absent
        return
    yield timed_estimate(view, spec, numbers(view, "seconds"))
