# SPDX-License-Identifier: Apache-2.0
"""Metrics, one a file: a spec and a pure function of the columns of a view. No torch."""

from __future__ import annotations

from audit.metrics._base import (
    FunctionMetric,
    ImageScores,
    estimate,
    images,
    insufficient,
    mean_estimate,
    metric,
    slices,
)

__all__ = ["FunctionMetric", "ImageScores", "estimate", "images", "insufficient", "mean_estimate", "metric", "slices"]
