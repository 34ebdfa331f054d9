# SPDX-License-Identifier: Apache-2.0
"""Image metrics of torchmetrics by name, ``torchmetrics:<class>``: the mean over pictures of the score of each."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from audit.metrics._base import FunctionMetric, ImageScores, images, mean_estimate, missing_column, slices
from audit.types import Estimate, MetricSpec, Status, View

__all__ = ["named"]


def named(name: str) -> FunctionMetric:
    """The metric ``torchmetrics:<name>``.

    Args:
        name: a class of ``torchmetrics.image``.

    Raises:
        PluginError: there is no such class, or it cannot be used.
    """
    import torchmetrics

    from audit.borrowed import borrow

    found = borrow(name)
    spec = MetricSpec(
        id=f"torchmetrics:{name}",
        version="1",
        title=_title(name),
        unit="score",
        direction=found.direction,
        bounds=found.bounds,
        purposes=frozenset({"bias", "quality", "likeness"}),  # all there are, one probe set at a time
        needs=(f"torchmetrics.{name}", f"torchmetrics.{name}_why"),
        min_n=2,
        cluster="prompt_id",
        citation=f"{name} of torchmetrics {torchmetrics.__version__}, the mean over pictures of the score of each",
    )
    return FunctionMetric(spec, _means, _by_image)


def _title(name: str) -> str:
    """A class name in words.

    >>> _title("PeakSignalNoiseRatio")
    'Peak signal noise ratio'
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).capitalize()


def _means(view: View, spec: MetricSpec) -> Iterator[Estimate]:
    """Overall and by axis: mean over pictures; where there is no number, what most pictures lack it for."""
    absent = missing_column(view, spec)
    if absent is not None:
        yield absent
        return
    for where, part in slices(view):
        found = mean_estimate(part, spec, where, _values(part, spec))
        reasons = Counter(why for why in part.columns[spec.needs[1]][images(part)] if isinstance(why, str))
        if found.status is not Status.OK and reasons:
            why, n = reasons.most_common(1)[0]
            found = replace(found, why=f"{found.why}; {n} pictures: {why}")
        yield found


def _by_image(view: View, spec: MetricSpec) -> Iterator[ImageScores]:
    if missing_column(view, spec) is None:
        yield ImageScores({}, _values(view, spec))


def _values(view: View, spec: MetricSpec) -> NDArray[np.float64]:
    return np.asarray(view.columns[spec.needs[0]], dtype=np.float64)
