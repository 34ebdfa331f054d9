# SPDX-License-Identifier: Apache-2.0
"""CLIPScore as its paper defines it, kept apart from the 100 cos that most tools call by the same name."""

from __future__ import annotations

from typing import Final

import numpy as np

from audit.metrics.quality._score import mean_of
from audit.types import MetricSpec

__all__ = ["METRIC"]

#: Overall and by axis: mean over images of 2.5 max(cos, 0). The paper's figures are by CLIP ViT-B/32. Scores of single
#: images are left to the CLIP score, which puts them in the same order.
METRIC: Final = mean_of(
    MetricSpec(
        id="quality.clip_s",
        version="1",
        title="CLIP-S",
        unit="score",
        direction="higher",
        bounds=(0.0, 2.5),
        purposes=frozenset({"quality"}),
        needs=("clip.similarity",),
        min_n=2,
        cluster="prompt_id",
        citation="Hessel et al. 2021, eq. 1",
    ),
    lambda cosine: 2.5 * np.maximum(cosine, 0.0),
    told=False,
)
