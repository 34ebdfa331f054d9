# SPDX-License-Identifier: Apache-2.0
"""Mean processor time of an image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from audit.metrics._base import metric
from audit.metrics.cost._measured import numbers, timed_estimate, unmeasured
from audit.types import Estimate, MetricSpec, View

__all__ = ["METRIC"]


@metric(
    MetricSpec(
        id="cost.cpu_seconds_per_image",
        version="1",
        title="Processor seconds per image",
        unit="seconds",
        direction="lower",
        bounds=(0.0, None),
        purposes=frozenset(),
        needs=("cpu_seconds", "batch"),
        min_n=2,
        cluster="batch",
        citation="user and system time, getrusage(2); cluster-robust interval, Liang and Zeger 1986",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """User and system time of the process that draws, all its threads together."""
    seconds = numbers(view, "cpu_seconds")
    if not np.isfinite(seconds).any():
        yield unmeasured(view, spec, "")
        return
    found = timed_estimate(view, spec, seconds)
    yield replace(found, method=f"{found.method}; user and system time of the process that draws")
