# SPDX-License-Identifier: Apache-2.0
"""How well people would like the images for their prompts, to a model of their choices."""

from __future__ import annotations

from typing import Final

from audit.metrics.quality._score import mean_of
from audit.types import MetricSpec

__all__ = ["METRIC"]

#: Overall and by axis: mean score. The difference of two generators is the mean log odds, to the model, of the one.
METRIC: Final = mean_of(
    MetricSpec(
        id="quality.preference",
        version="1",
        title="Preference score",
        unit="score",
        direction="higher",
        bounds=(None, None),
        purposes=frozenset({"quality"}),
        needs=("preference.score",),
        min_n=2,
        cluster="prompt_id",
        citation="Kirstain et al. 2023 (PickScore)",
    )
)
