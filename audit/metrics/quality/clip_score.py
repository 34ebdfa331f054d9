# SPDX-License-Identifier: Apache-2.0
"""How well images match their prompt text, by the cosine of the CLIP embeddings."""

from __future__ import annotations

from typing import Final

from audit.metrics.quality._score import mean_of
from audit.types import MetricSpec

__all__ = ["METRIC"]

#: Overall and by axis: mean over images of 100 cos, negative cosines as they are: cut at 0, a mean would say less of
#: the worst images than of the others. What torchmetrics prints is this mean, cut at 0 as a whole.
METRIC: Final = mean_of(
    MetricSpec(
        id="quality.clip_score",
        version="2",
        title="CLIP score",
        unit="score",
        direction="higher",
        bounds=(-100.0, 100.0),
        purposes=frozenset({"quality"}),
        needs=("clip.similarity",),
        min_n=2,
        cluster="prompt_id",
        citation="Radford et al. 2021; 100 cos, without the factor and the cut of Hessel et al. 2021",
    ),
    lambda cosine: 100.0 * cosine,
)
