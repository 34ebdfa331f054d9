# SPDX-License-Identifier: Apache-2.0
"""How much raters of such pictures would like the look of the images; what they show plays no part."""

from __future__ import annotations

from typing import Final

from audit.metrics.quality._score import mean_of
from audit.types import MetricSpec

__all__ = ["METRIC"]

#: Overall and by axis: mean score, about 1 to 10.
METRIC: Final = mean_of(
    MetricSpec(
        id="quality.aesthetic",
        version="1",
        title="Aesthetic score",
        unit="score",
        direction="higher",
        bounds=(None, None),
        purposes=frozenset({"quality"}),
        needs=("aesthetic.score",),
        min_n=2,
        cluster="prompt_id",
        citation="Schuhmann 2022, improved aesthetic predictor, sac+logos+ava1-l14-linearMSE",
    )
)
