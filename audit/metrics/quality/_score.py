# SPDX-License-Identifier: Apache-2.0
"""Metrics that are the mean over images of one column, overall and by axis."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from audit.metrics._base import FunctionMetric, ImageScores, images, mean_estimate, missing_column, slices
from audit.types import Estimate, MetricSpec, View

__all__ = ["mean_of"]

Array = NDArray[np.float64]


def mean_of(
    spec: MetricSpec, change: Callable[[Array], Array] = lambda values: values, *, told: bool = True
) -> FunctionMetric:
    """The mean of the column that ``spec`` needs, its interval robust to luck shared within prompts.

    Args:
        spec: of the metric; ``needs`` names one column.
        change: the column to the score of each image, shape (n,) to (n,), NaN to NaN.
        told: whether the scores of single images are worth showing.
    """
    (column,) = spec.needs

    def values(view: View) -> Array:
        return change(np.asarray(view.columns[column], dtype=np.float64))

    def compute(view: View, spec: MetricSpec) -> Iterator[Estimate]:
        absent = missing_column(view, spec)
        if absent is not None:
            yield absent
            return
        for where, part in slices(view):
            yield mean_estimate(part, spec, where, values(part))

    def by_image(view: View, spec: MetricSpec) -> Iterator[ImageScores]:
        if missing_column(view, spec) is None:
            yield ImageScores({}, np.where(images(view), values(view), np.nan))

    return FunctionMetric(spec, compute, by_image if told else None)
