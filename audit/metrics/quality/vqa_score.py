# SPDX-License-Identifier: Apache-2.0
"""How probable it is, to a model that answers questions, that the images show what their prompts say."""

from __future__ import annotations

from typing import Final

from audit.metrics.quality._score import mean_of
from audit.types import MetricSpec

__all__ = ["METRIC"]

#: Overall and by axis: mean probability of "yes".
METRIC: Final = mean_of(
    MetricSpec(
        id="quality.vqa_score",
        version="1",
        title="VQA score",
        unit="probability",
        direction="higher",
        bounds=(0.0, 1.0),
        purposes=frozenset({"quality"}),
        needs=("vqa_score.score",),
        min_n=2,
        cluster="prompt_id",
        citation="Lin et al. 2024 (VQAScore)",
    )
)
