# SPDX-License-Identifier: Apache-2.0
"""How real the images look to the discriminator that one GAN was trained against."""

from __future__ import annotations

from typing import Final

from audit.metrics.quality._score import mean_of
from audit.types import MetricSpec

__all__ = ["METRIC"]

#: Overall and by axis: mean score. It compares generators; it is blind to faults that its adversary never made.
METRIC: Final = mean_of(
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
    ),
)
