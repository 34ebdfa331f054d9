# SPDX-License-Identifier: Apache-2.0
"""CMMD of image embeddings to those of reference images."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from audit.metrics._base import estimate, insufficient, metric
from audit.metrics.quality._spaces import SPACES, Place, against, no_space, places
from audit.stats.cmmd import cmmd
from audit.stats.intervals import Interval
from audit.types import Estimate, MetricSpec, Status, View

__all__ = ["METRIC"]


@metric(
    MetricSpec(
        id="quality.cmmd",
        version="1",
        title="CMMD",
        unit="distance",
        direction="lower",
        bounds=(None, None),  # not below 0 itself, but its estimate without pairs of an image with itself may be
        purposes=frozenset({"quality"}),
        needs=(),
        reads=SPACES,
        min_n=20,
        cluster=None,
        citation="Jayasumana et al. 2024, sec. 4; series to order 2 with its remainder",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """Each feature space, overall and by axis; the value leaves out pairs of an image with itself.

    ``extra.published`` is the figure with these pairs, as the paper has it: too large by about one over the number of
    images. Figures of other papers are of CLIP ViT-L/14 at 336 pixels.
    """
    found = [_estimate(place, spec) for place in places(view)]
    yield from found or [no_space(view, spec)]


def _estimate(place: Place, spec: MetricSpec) -> Estimate:
    lacking = against(place, spec, least=spec.min_n)
    if lacking is not None:
        return lacking
    features, reference = place.space.features, place.space.reference
    if not (np.abs(features).sum(axis=1).all() and np.abs(reference).sum(axis=1).all()):
        why = "an embedding of zeros has no direction"
        return insufficient(place.view, spec, place.where, n=place.n, why=why, status=Status.UNAVAILABLE)
    found = cmmd(features, reference, level=place.view.level)
    extra = {
        "published": found.value,
        "remainder": found.remainder,
        "standard_error": found.standard_error,
        "dimension": found.dimension,
        "reference_n": found.m,
    }
    interval = Interval(found.corrected, found.low, found.high, found.n, found.n, found.method)
    return estimate(place.view, spec, place.where, interval, missing=place.missing, extra=extra)
