# SPDX-License-Identifier: Apache-2.0
"""A metric: mean time to an image, written with the helpers that the built-in ones use."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from audit.metrics import mean_estimate, metric
from audit.types import Estimate, MetricSpec, View

SPEC = MetricSpec(
    id="quality.answer_time",
    version="1",
    title="Answer time",
    unit="seconds",
    direction="lower",
    bounds=(0.0, None),
    purposes=frozenset(),
    needs=("seconds",),
    min_n=2,
    cluster="prompt_id",
    citation="none",
)


@metric(SPEC)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:
    """Mean seconds, clusters are prompts."""
    yield mean_estimate(view, spec, {}, np.asarray(view.columns["seconds"], dtype=np.float64))
