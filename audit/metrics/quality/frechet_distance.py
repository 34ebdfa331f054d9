# SPDX-License-Identifier: Apache-2.0
"""Frechet distance of image features to those of reference images, with its bias removed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from audit.metrics._base import estimate, images, insufficient, metric, missing_column
from audit.stats.frechet import frechet
from audit.stats.intervals import Interval
from audit.types import Estimate, MetricSpec, Status, View

__all__ = ["METRIC"]

_COLUMN = "clip.features"


@metric(
    MetricSpec(
        id="quality.frechet_distance",
        version="1",
        title="Frechet distance",
        unit="distance",
        direction="lower",
        bounds=(None, None),  # not below 0 itself, but its bias-corrected estimate may be
        purposes=frozenset({"quality"}),
        needs=(_COLUMN,),
        min_n=50,
        cluster=None,
        citation="Heusel et al. 2017, eq. 6; delete-group jackknife on both sides",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """One estimate over all images.

    Needs 50 images and 1.25 times as many images as feature dimensions, on either side: below that, the sets that the
    jackknife leaves behind span less than the feature space, and no interval can be given.
    """
    absent = missing_column(view, spec)
    if absent is not None:
        yield absent
        return
    reference = view.references.get("features")
    if reference is None:
        yield insufficient(view, spec, {}, why="no reference features", status=Status.UNAVAILABLE)
        return
    features = np.asarray(view.columns[_COLUMN], dtype=np.float64)
    if features.ndim != 2 or features.shape[1] != reference.shape[1]:
        why = f"features {features.shape} and reference {reference.shape} differ in dimension"
        yield insufficient(view, spec, {}, why=why, status=Status.UNAVAILABLE)
        return
    features = features[images(view) & np.isfinite(features).all(axis=1)]
    n, least = len(features), max(spec.min_n, -(-5 * features.shape[1] // 4))
    if min(n, len(reference)) < least:
        why = f"{n} images and {len(reference)} reference images, needs {least} of each"
        yield insufficient(view, spec, {}, n=n, why=why)
        return
    found = frechet(features, np.asarray(reference), level=view.level)
    interval = Interval(
        found.value, found.low, found.high, n, n, "first- and second-order jackknife over 10 groups a side, t"
    )
    extra = {
        "raw": found.raw,
        "standard_error": found.standard_error,
        "bias_left": found.bias,
        "dimension": found.dimension,
        "reference_n": found.m,
    }
    yield estimate(view, spec, {}, interval, missing=len(view) - n, extra=extra)
