# SPDX-License-Identifier: Apache-2.0
"""How many pixels the detail of the images would need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from audit.metrics._base import images, mean_estimate, metric, missing_column, slices
from audit.types import Estimate, MetricSpec, View

__all__ = ["METRIC"]


@metric(
    MetricSpec(
        id="quality.effective_resolution",
        version="1",
        title="Effective resolution",
        unit="pixels",
        direction="higher",
        bounds=(0.0, None),
        purposes=frozenset({"quality"}),
        needs=("faults.effective_resolution", "faults.constant"),
        min_n=2,
        cluster="prompt_id",
        citation="fall of the radial power spectrum below f^-2.5 to f^-3; Field 1987",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """Overall and by axis: mean over images; ``extra.constant_share``: images of one colour, which have no detail."""
    absent = missing_column(view, spec)
    if absent is not None:
        yield absent
        return
    for where, part in slices(view):
        pixels = np.asarray(part.columns["faults.effective_resolution"], dtype=np.float64)
        told = part.columns["faults.constant"][images(part)]
        extra = {"constant_share": float((told == "yes").mean()) if len(told) else None}
        found = mean_estimate(part, spec, where, pixels)
        yield replace(found, extra={**found.extra, **extra})
