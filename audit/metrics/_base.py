# SPDX-License-Identifier: Apache-2.0
"""What metrics share: the decorator, slices of a view, and estimates with and without a number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.stats.intervals import Interval, mean_interval
from audit.types import Estimate, MetricSpec, Outcome, Scalar, Status, View

__all__ = [
    "FunctionMetric",
    "ImageScores",
    "estimate",
    "images",
    "insufficient",
    "mean_estimate",
    "metric",
    "missing_column",
    "slices",
]


@dataclass(frozen=True, slots=True, eq=False)
class ImageScores:
    """What single images do to a number, so that a reader sees why it is as it is.

    Attributes:
        slice: as of the estimate that the scores belong to.
        values: one a row of the view, in the metric's unit; the metric's direction says which end is bad; NaN: none.
    """

    slice: Mapping[str, str]
    values: NDArray[np.float64]


Compute = Callable[[View, MetricSpec], Iterable[Estimate]]
ByImage = Callable[[View, MetricSpec], Iterable[ImageScores]]


@dataclass(frozen=True, slots=True)
class FunctionMetric:
    """A spec and the function that computes it.

    Attributes:
        spec: what the metric is.
        compute: (view, spec) to estimates.
        by_image: (view, spec) to what single images do to the number, where the metric can tell.
    """

    spec: MetricSpec
    compute: Compute
    by_image: ByImage | None = None

    def __call__(self, view: View, /) -> Sequence[Estimate]:
        """Estimates of ``view``, one per slice."""
        return tuple(self.compute(view, self.spec))

    def scores(self, view: View, /) -> Sequence[ImageScores]:
        """What the images of ``view`` do to the number; empty where the metric cannot tell."""
        return tuple(self.by_image(view, self.spec)) if self.by_image else ()


def metric(spec: MetricSpec, *, by_image: ByImage | None = None) -> Callable[[Compute], FunctionMetric]:
    """Make a metric of a function of (view, spec)."""
    return lambda compute: FunctionMetric(spec, compute, by_image)


def images(view: View) -> NDArray[np.bool_]:
    """Rows that ended in an image; shape (n,)."""
    mask: NDArray[np.bool_] = np.asarray(view.columns["outcome"] == Outcome.IMAGE.value, dtype=bool)
    return mask


def slices(view: View) -> Iterator[tuple[dict[str, str], View]]:
    """The whole view under ``{}``, then each value of each axis in ``view.by``, in order of the value's name."""
    yield {}, view
    for axis in view.by:
        column = view.columns.get(f"axis.{axis}")
        if column is None:
            continue
        for value in sorted({str(v) for v in column if _known(v)}):
            yield {axis: value}, view.take(np.array([_known(v) and str(v) == value for v in column], dtype=bool))


def _known(value: Any) -> bool:
    return value is not None and value == value and value != ""  # noqa: PLR0124  NaN differs from itself


def estimate(
    view: View,
    spec: MetricSpec,
    where: Mapping[str, str],
    interval: Interval,
    *,
    missing: int = 0,
    floor: float | None = None,
    extra: Mapping[str, Scalar] | None = None,
) -> Estimate:
    """An estimate with a number; ``extra`` also counts the requests of ``view`` without an image, by outcome."""
    return Estimate(
        metric=spec.id,
        version=spec.version,
        unit=spec.unit,
        generator=view.generator,
        slice=dict(where),
        value=float(interval.value),
        low=float(interval.low),
        high=float(interval.high),
        level=view.level,
        n=interval.n,
        clusters=interval.clusters,
        missing=missing,
        status=Status.OK,
        method=interval.method,
        floor=floor,
        extra={**(extra or {}), **(_without_image(view) if missing else {})},
    )


def insufficient(  # noqa: PLR0913  all but three by name
    view: View,
    spec: MetricSpec,
    where: Mapping[str, str],
    *,
    why: str,
    n: int = 0,
    clusters: int = 0,
    missing: int | None = None,
    status: Status = Status.INSUFFICIENT,
    extra: Mapping[str, Scalar] | None = None,
) -> Estimate:
    """An estimate without a number, and why; by default every row of the view that is not in ``n`` is missing."""
    missing = len(view) - n if missing is None else missing
    return Estimate(
        metric=spec.id,
        version=spec.version,
        unit=spec.unit,
        generator=view.generator,
        slice=dict(where),
        value=None,
        low=None,
        high=None,
        level=view.level,
        n=n,
        clusters=clusters,
        missing=missing,
        status=status,
        method="none",
        why=why,
        extra={**(extra or {}), **(_without_image(view) if missing else {})},
    )


def _without_image(view: View) -> dict[str, Scalar]:
    """Requests of the slice that ended otherwise, by outcome, as ``missing_refused`` and so on; those that occur."""
    ended = view.columns["outcome"]
    counts = {outcome: int(np.sum(ended == outcome.value)) for outcome in Outcome if outcome is not Outcome.IMAGE}
    return {f"missing_{outcome.value}": k for outcome, k in counts.items() if k}


def missing_column(view: View, spec: MetricSpec) -> Estimate | None:
    """An UNAVAILABLE estimate where the view lacks a column that the metric needs, else None."""
    absent = [name for name in spec.needs if name not in view.columns]
    if not absent:
        return None
    return insufficient(view, spec, {}, why=f"no column {absent[0]}", status=Status.UNAVAILABLE)


def mean_estimate(view: View, spec: MetricSpec, where: Mapping[str, str], values: NDArray[np.float64]) -> Estimate:
    """Mean of finite values of image rows with an interval robust to luck shared within ``spec.cluster``.

    A slice of a single cluster says nothing about other clusters: there the rows are the units, and the method says so.

    Args:
        view: the rows of the slice.
        spec: of the metric; its bounds clip the interval.
        where: the slice.
        values: one value a row of ``view``, NaN where there is none.
    """
    kept = np.isfinite(values) & images(view)
    n = int(kept.sum())
    if n < max(spec.min_n, 2):
        return insufficient(view, spec, where, n=n, why=f"{n} values, needs {max(spec.min_n, 2)}")
    # Prompts of one pair have their seeds in common, and with them their luck.
    cluster = "pair" if spec.cluster == "prompt_id" and view.paired else spec.cluster
    clusters = view.columns[cluster][kept].astype(str) if cluster else None
    if clusters is not None and len(np.unique(clusters)) < 2:
        clusters = None
    interval = mean_interval(np.asarray(values[kept], dtype=np.float64), clusters, level=view.level)
    if interval is None:  # cannot be: two finite values are two units
        return insufficient(view, spec, where, n=n, why="fewer than two independent units")
    alone = spec.cluster is not None and clusters is None
    least, most = spec.bounds
    low = interval.low if least is None else max(interval.low, least)
    high = interval.high if most is None else min(interval.high, most)
    method = f"{interval.method}, one {cluster}: rows as units" if alone else interval.method
    clipped = Interval(interval.value, low, high, n, interval.clusters, method)
    return estimate(view, spec, where, clipped, missing=len(view) - n)
