# SPDX-License-Identifier: Apache-2.0
"""Kernel distance (KID) of image features to those of reference images, over all pairs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from audit.metrics._base import ImageScores, estimate, metric
from audit.metrics.quality._spaces import SPACES, Place, against, no_space, places, spaces
from audit.stats._remember import remembered
from audit.stats.intervals import Interval
from audit.stats.kernel_distance import kernel_distance, kernel_distance_subsets
from audit.types import Estimate, MetricSpec, Scalar, View

__all__ = ["METRIC"]

_LEAST = 20
_distance = remembered(kernel_distance)
_subsets = remembered(kernel_distance_subsets)


def _influence(view: View, spec: MetricSpec) -> Iterator[ImageScores]:
    """By how much each image raises the distance of the whole view."""
    for space in spaces(view):
        if against(Place(space.slice, view, space), spec, least=_LEAST) is None:
            values = np.full(len(view), np.nan)
            values[space.kept] = _distance(space.features, space.reference, level=view.level).influence
            yield ImageScores(space.slice, values)


@metric(
    MetricSpec(
        id="quality.kernel_distance",
        version="1",
        title="Kernel distance (KID)",
        unit="distance",
        direction="lower",
        bounds=(None, None),  # not below 0 itself, but its estimate may be
        purposes=frozenset({"quality"}),
        needs=(),
        reads=SPACES,
        min_n=_LEAST,
        cluster=None,
        citation="Binkowski et al. 2018, sec. 4; U-statistic over all pairs with its Hoeffding variance",
    ),
    by_image=_influence,
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """Each feature space, overall and by axis. Its expectation does not depend on n: slices of any size compare.

    ``extra`` also holds the figure that is commonly printed, mean and spread over 100 random subsets of up to 1,000
    images, for the whole view.
    """
    found = [_estimate(place, spec) for place in places(view)]
    yield from found or [no_space(view, spec)]


def _estimate(place: Place, spec: MetricSpec) -> Estimate:
    lacking = against(place, spec, least=spec.min_n)
    if lacking is not None:
        return lacking
    features, reference, level = place.space.features, place.space.reference, place.view.level
    found = _distance(features, reference, level=level)
    extra: dict[str, Scalar] = {
        "raw": found.raw,
        "standard_error": found.standard_error,
        "dimension": found.dimension,
        "reference_n": found.m,
    }
    if place.where == place.space.slice:
        common = _subsets(features, reference, seed=place.view.seed)
        extra |= {"subsets_mean": common.mean, "subsets_spread": common.spread, "subsets_size": common.size}
    interval = Interval(found.value, found.low, found.high, found.n, found.n, found.method)
    return estimate(place.view, spec, place.where, interval, missing=place.missing, extra=extra)
