# SPDX-License-Identifier: Apache-2.0
"""Precision, recall, density and coverage: whether images look like the reference ones, and whether all of these occur.

All four depend on how many images there are on both sides: slices of different size do not compare, so there are none,
and generators compare where they were asked equally often.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from audit.metrics._base import FunctionMetric, estimate, metric
from audit.metrics.quality._spaces import SPACES, Place, against, no_space, places
from audit.stats._remember import remembered
from audit.stats.intervals import Interval
from audit.stats.neighbours import Measure, Neighbours, neighbours
from audit.types import Estimate, MetricSpec, View

__all__ = ["COVERAGE", "DENSITY", "PRECISION", "RECALL"]

_K = 5
_LEAST = 30
_neighbours = remembered(neighbours)


def _metric(name: str, *, bounds: tuple[float, float | None], citation: str) -> FunctionMetric:
    spec = MetricSpec(
        id=f"quality.{name}",
        version="1",
        title=name.capitalize(),
        unit="share" if bounds[1] == 1 else "score",
        direction="higher",
        bounds=bounds,
        purposes=frozenset({"quality"}),
        needs=(),
        reads=SPACES,
        min_n=_LEAST,
        cluster=None,
        citation=f"{citation}; {_K} neighbours, strictly inside",
    )
    return metric(spec)(_compute(lambda found: getattr(found, name)))


def _compute(pick: Callable[[Neighbours], Measure]) -> Callable[[View, MetricSpec], Iterator[Estimate]]:
    def compute(view: View, spec: MetricSpec) -> Iterator[Estimate]:
        whole = (place for place in places(view) if place.where == place.space.slice)
        found: Sequence[Estimate] = [_estimate(place, spec, pick) for place in whole]
        yield from found or [no_space(view, spec)]

    return compute


def _estimate(place: Place, spec: MetricSpec, pick: Callable[[Neighbours], Measure]) -> Estimate:
    lacking = against(place, spec, least=spec.min_n)
    if lacking is not None:
        return lacking
    found = _neighbours(place.space.features, place.space.reference, k=_K, level=place.view.level)
    one = pick(found)
    interval = Interval(one.value, one.low, one.high, found.n, found.n, found.method)
    extra = {"standard_error": one.standard_error, "k": found.k, "reference_n": found.m}
    return estimate(place.view, spec, place.where, interval, missing=place.missing, floor=one.alike, extra=extra)


_KYNKAANNIEMI, _NAEEM = "Kynkaanniemi et al. 2019", "Naeem et al. 2020"
PRECISION = _metric("precision", bounds=(0.0, 1.0), citation=f"{_KYNKAANNIEMI}, eq. 1")
RECALL = _metric("recall", bounds=(0.0, 1.0), citation=f"{_KYNKAANNIEMI}, eq. 2")
DENSITY = _metric("density", bounds=(0.0, None), citation=f"{_NAEEM}, eq. 3")
COVERAGE = _metric("coverage", bounds=(0.0, 1.0), citation=f"{_NAEEM}, eq. 4")
