# SPDX-License-Identifier: Apache-2.0
"""Our measures as ``torchmetrics.Metric``, for training loops: each number with its error.

>>> import torch
>>> from audit.torchmetrics import FrechetDistance
>>> metric, rng = FrechetDistance(), torch.Generator().manual_seed(0)
>>> metric.update(torch.randn(400, 8, generator=rng), real=True)
>>> metric.update(torch.randn(400, 8, generator=rng) + 0.5, real=False)
>>> {name: round(float(value), 2) for name, value in metric.compute().items()}
{'value': 1.87, 'low': 1.48, 'high': 2.26, 'standard_error': 0.2, 'raw': 2.0, 'n': 400.0, 'm': 400.0}
"""

from audit.torchmetrics._clip_score import CLIPScore
from audit.torchmetrics._distances import CMMD, FrechetDistance, KernelDistance, NeighbourMetrics
from audit.torchmetrics._samples import InceptionScore, MiFID, VendiScore

__all__ = [
    "CMMD",
    "CLIPScore",
    "FrechetDistance",
    "InceptionScore",
    "KernelDistance",
    "MiFID",
    "NeighbourMetrics",
    "VendiScore",
]
