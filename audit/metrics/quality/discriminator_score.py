# SPDX-License-Identifier: Apache-2.0
"""How real the images look to the discriminator that one GAN was trained against."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from audit.metrics._base import mean_estimate, metric, missing_column, slices
from audit.types import Estimate, MetricSpec, View

__all__ = ["METRIC"]


@metric(
    MetricSpec(
        id="quality.discriminator_score",
        version="1",
        title="Discriminator score",
        unit="score",
        direction="higher",
        bounds=(None, None),
        purposes=frozenset({"quality"}),
        needs=("discriminator.score",),
        min_n=2,
        cluster="prompt_id",
        citation="Goodfellow et al. 2014; hinge scores as in Miyato and Koyama 2018",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """Overall and by axis: mean score. It compares generators; it is blind to faults that its adversary never made."""
    absent = missing_column(view, spec)
    if absent is not None:
        yield absent
        return
    for where, part in slices(view):
        yield mean_estimate(part, spec, where, np.asarray(part.columns["discriminator.score"], dtype=np.float64))
