# SPDX-License-Identifier: Apache-2.0
"""Frechet distance (FID) of image features to those of reference images, with its bias corrected."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from audit.metrics._base import ImageScores, estimate, insufficient, metric
from audit.metrics.quality._spaces import SPACES, Place, against, no_space, places, spaces
from audit.stats.frechet import FrechetEstimate, frechet, frechet_to_fixed
from audit.stats.frechet_influence import influence
from audit.stats.intervals import Interval
from audit.stats.moments import Moments
from audit.types import Estimate, MetricSpec, Scalar, View

__all__ = ["METRIC"]

_LEAST = 50


def _influence(view: View, spec: MetricSpec) -> Iterator[ImageScores]:
    """By how much the distance of the whole view would fall without each image."""
    for space in spaces(view):
        if against(Place(space.slice, view, space), spec, least=_LEAST, moments=True) is None:
            values = np.full(len(view), np.nan)
            values[space.kept] = influence(space.features, space.reference)
            yield ImageScores(space.slice, values)


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
        min_n=_LEAST,
        cluster=None,
        citation="Heusel et al. 2017, eq. 6; bias by random-matrix theory, standard error by the delta method",
    ),
    by_image=_influence,
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """Each feature space over all images, and slices by axis that hold 50 images or more.

    Needs 1.25 images for each dimension that varies, on either side: below that no interval can be promised. Published
    statistics in place of reference images are taken as they are.
    """
    found = [_distance(place, spec) for place in places(view) if place.where == place.space.slice or place.n >= _LEAST]
    yield from found or [no_space(view, spec)]


def _distance(place: Place, spec: MetricSpec) -> Estimate:
    lacking = against(place, spec, least=spec.min_n, moments=True)
    if lacking is not None:
        return lacking
    try:
        found = _between(place)
    except ValueError as error:  # too few rows for the dimensions that vary, which only the statistics can count
        return insufficient(place.view, spec, place.where, n=place.n, why=str(error))
    extra: dict[str, Scalar] = {
        "raw": found.raw,
        "standard_error": found.standard_error,
        "bias_left": found.bias,
        "dimension": found.dimension,
        "reference_n": found.m or None,
    }
    interval = Interval(found.value, found.low, found.high, found.n, found.n, found.method)
    return estimate(place.view, spec, place.where, interval, missing=place.missing, extra=extra)


def _between(place: Place) -> FrechetEstimate:
    features, reference, level = place.space.features, place.space.reference, place.view.level
    if isinstance(reference, Moments):
        return frechet_to_fixed(features, reference, level=level)
    return frechet(features, np.asarray(reference), level=level)
