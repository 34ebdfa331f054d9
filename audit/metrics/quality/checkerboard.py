# SPDX-License-Identifier: Apache-2.0
"""Strength of the periodic patterns that transposed convolutions leave."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from audit.metrics._base import mean_estimate, metric, missing_column, slices
from audit.types import Estimate, MetricSpec, View

__all__ = ["METRIC"]


@metric(
    MetricSpec(
        id="quality.checkerboard",
        version="1",
        title="Checkerboard pattern",
        unit="levels",
        direction="lower",
        bounds=(0.0, 255.0),
        purposes=frozenset({"quality"}),
        needs=("faults.checkerboard",),
        min_n=2,
        cluster="prompt_id",
        citation="Odena, Dumoulin and Olah 2016; peaks at multiples of a quarter cycle a pixel",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """Overall and by axis: mean over images of the pattern's root mean square in levels (0 to 255)."""
    absent = missing_column(view, spec)
    if absent is not None:
        yield absent
        return
    for where, part in slices(view):
        yield mean_estimate(part, spec, where, np.asarray(part.columns["faults.checkerboard"], dtype=np.float64))
