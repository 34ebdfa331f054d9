# SPDX-License-Identifier: Apache-2.0
"""What survives of an image's provenance: edits by layers, each cell kept, broken or gone, with exact intervals."""

from __future__ import annotations

from audit.provenance.survive._journal import Journal
from audit.provenance.survive.edits import EDITS, Edit, Family, select_edits
from audit.provenance.survive.layers import LAYERS, Layer, Marks, Outcome, Reader
from audit.provenance.survive.matrix import Cell, Cost, Finding, Row, Spread, Survival
from audit.provenance.survive.measure import Plan, measure, survive
from audit.provenance.survive.quality import psnr, ssim
from audit.provenance.survive.results import Sample, draw, find_images, home, run

__all__ = [
    "EDITS",
    "LAYERS",
    "Cell",
    "Cost",
    "Edit",
    "Family",
    "Finding",
    "Journal",
    "Layer",
    "Marks",
    "Outcome",
    "Plan",
    "Reader",
    "Row",
    "Sample",
    "Spread",
    "Survival",
    "draw",
    "find_images",
    "home",
    "measure",
    "psnr",
    "run",
    "select_edits",
    "ssim",
    "survive",
]
