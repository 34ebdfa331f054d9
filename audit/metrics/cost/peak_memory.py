# SPDX-License-Identifier: Apache-2.0
"""Most memory that drawing takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from audit.metrics._base import estimate, metric
from audit.metrics.cost._measured import numbers, unmeasured, words
from audit.stats.intervals import Interval
from audit.types import Estimate, MetricSpec, Scalar, View

__all__ = ["METRIC"]


@metric(
    MetricSpec(
        id="cost.peak_memory",
        version="1",
        title="Peak memory",
        unit="bytes",
        direction="lower",
        bounds=(0.0, None),
        purposes=frozenset(),
        needs=("memory", "batch"),
        min_n=1,
        cluster="batch",
        citation="VmHWM, proc(5); torch.cuda.max_memory_allocated",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """Of the accelerator where one draws, else of the process: the largest peak of any batch.

    Another batch may take more and none of these took more, so there is a lower end and no upper one: a limit on it can
    be failed, and never be shown to hold.
    """
    device, process = numbers(view, "device_memory"), numbers(view, "memory")
    peaks = device if np.isfinite(device).any() else process
    known = np.isfinite(peaks)
    if not known.any():
        yield unmeasured(view, spec, "")
        return
    what = "tensors on the accelerator" if peaks is device else words(view, "memory_by")
    batches = len(set(view.columns["batch"][known].tolist()))
    extra: dict[str, Scalar] = {"process": float(np.nanmax(process))}
    if peaks is device:
        extra["reserved"] = float(np.nanmax(numbers(view, "device_reserved")))
    most = float(np.nanmax(peaks))
    top = Interval(most, most, np.inf, int(known.sum()), batches, f"maximum of {batches} batches: {what}; no interval")
    found = estimate(view, spec, {}, top, missing=len(view) - int(known.sum()), extra=extra)
    yield replace(found, high=None)
