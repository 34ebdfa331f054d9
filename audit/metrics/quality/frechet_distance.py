# SPDX-License-Identifier: Apache-2.0
"""Frechet distance of image features to those of reference images, with its bias removed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from audit.metrics._base import estimate, insufficient, metric
from audit.metrics.quality._spaces import SPACES, Space, no_space, spaces
from audit.stats.frechet import frechet
from audit.stats.intervals import Interval
from audit.types import Estimate, MetricSpec, Status, View

__all__ = ["METRIC"]


@metric(
    MetricSpec(
        id="quality.frechet_distance",
        version="2",
        title="Frechet distance",
        unit="distance",
        direction="lower",
        bounds=(None, None),  # not below 0 itself, but its bias-corrected estimate may be
        purposes=frozenset({"quality"}),
        needs=(),
        reads=SPACES,
        min_n=50,
        cluster=None,
        citation="Heusel et al. 2017, eq. 6; delete-group jackknife on both sides",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """One estimate a feature space, over all images.

    Needs 50 images and 1.25 times as many images as feature dimensions, on either side: below that, the sets that the
    jackknife leaves behind span less than the feature space, and no interval can be given.
    """
    found = [_distance(view, spec, space) for space in spaces(view)]
    yield from found or [no_space(view, spec)]


def _distance(view: View, spec: MetricSpec, space: Space) -> Estimate:
    reference, n = space.reference, len(space.features)
    if reference is None:
        return insufficient(view, spec, space.slice, n=n, why="no reference features", status=Status.UNAVAILABLE)
    if space.features.shape[1] != reference.shape[1]:
        why = f"features {space.features.shape} and reference {reference.shape} differ in dimension"
        return insufficient(view, spec, space.slice, why=why, status=Status.UNAVAILABLE)
    least = max(spec.min_n, -(-5 * reference.shape[1] // 4))
    if min(n, len(reference)) < least:
        why = f"{n} images and {len(reference)} reference images, needs {least} of each"
        return insufficient(view, spec, space.slice, n=n, why=why)
    found = frechet(space.features, np.asarray(reference), level=view.level)
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
    return estimate(view, spec, space.slice, interval, missing=len(view) - n, extra=extra)
