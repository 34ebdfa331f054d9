# SPDX-License-Identifier: Apache-2.0
"""Strength of the periodic patterns that transposed convolutions leave."""

from __future__ import annotations

from typing import Final

from audit.metrics.quality._score import mean_of
from audit.types import MetricSpec

__all__ = ["METRIC"]

#: Overall and by axis: mean over images of the pattern's root mean square in levels (0 to 255).
METRIC: Final = mean_of(
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
    ),
    told=False,
)
