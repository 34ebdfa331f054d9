# SPDX-License-Identifier: Apache-2.0
"""How well images match their prompt text, by the cosine of the CLIP embeddings."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from audit.metrics._base import mean_estimate, metric, missing_column, slices
from audit.types import Estimate, MetricSpec, View

__all__ = ["METRIC"]


@metric(
    MetricSpec(
        id="quality.clip_score",
        version="1",
        title="CLIP score",
        unit="score",
        direction="higher",
        bounds=(0.0, 100.0),
        purposes=frozenset({"quality"}),
        needs=("clip.similarity",),
        min_n=2,
        cluster="prompt_id",
        citation="Hessel et al. 2021, eq. 1, with factor 100 and each image clipped at 0",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """Overall and by axis: mean over images of 100 max(cosine, 0)."""
    absent = missing_column(view, spec)
    if absent is not None:
        yield absent
        return
    for where, part in slices(view):
        cosine = np.asarray(part.columns["clip.similarity"], dtype=np.float64)
        yield mean_estimate(part, spec, where, 100.0 * np.maximum(cosine, 0.0))
