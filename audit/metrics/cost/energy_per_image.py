# SPDX-License-Identifier: Apache-2.0
"""Mean energy of an image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from audit.metrics._base import metric
from audit.metrics.cost._measured import numbers, timed_estimate, unmeasured, words
from audit.types import Estimate, MetricSpec, View

__all__ = ["METRIC"]


@metric(
    MetricSpec(
        id="cost.energy_per_image",
        version="1",
        title="Energy per image",
        unit="joules",
        direction="lower",
        bounds=(0.0, None),
        purposes=frozenset(),
        needs=("energy", "batch"),
        min_n=2,
        cluster="batch",
        citation="counters of the machine: RAPL (Intel SDM 3B, 16.10), NVML nvmlDeviceGetTotalEnergyConsumption",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """Joules that the counters of the machine moved while a batch was drawn, over its images.

    Counters are of the whole machine: whatever else ran is in the number, and nothing is subtracted.
    """
    joules = numbers(view, "energy")
    if not np.isfinite(joules).any():
        yield unmeasured(view, spec, "energy_by")
        return
    found = timed_estimate(view, spec, joules)
    shared = np.nanmax(numbers(view, "drawers"))
    among = f", shared equally among {shared:.0f} drawing processes" if shared > 1 else ""
    yield replace(found, method=f"{found.method}; {words(view, 'energy_by')}{among}, nothing subtracted")
