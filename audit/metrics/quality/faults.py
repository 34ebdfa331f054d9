# SPDX-License-Identifier: Apache-2.0
"""Faults of pictures as such, each the mean over images of one column of the annotator `faults`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from audit.metrics._base import FunctionMetric, estimate, images, mean_estimate, missing_column, slices
from audit.stats.intervals import clopper_pearson
from audit.types import Estimate, MetricSpec, Status, View

__all__ = ["BANDING", "BLANK_SHARE", "BLOCKINESS", "BLUR", "CLIPPING", "NOISE", "RINGING"]

_FLAGS: Final = ("constant", "dark", "bright")


def _fault(
    name: str,
    *,
    column: str,
    title: str,
    unit: str,
    bounds: tuple[float | None, float | None],
    citation: str,
) -> FunctionMetric:
    spec = MetricSpec(
        id=f"quality.{name}",
        version="1",
        title=title,
        unit=unit,
        direction="lower",
        bounds=bounds,
        purposes=frozenset({"quality"}),
        needs=(f"faults.{column}",),
        min_n=2,
        cluster="prompt_id",
        citation=citation,
    )
    return FunctionMetric(spec, _mean)


def _mean(view: View, spec: MetricSpec) -> Iterator[Estimate]:
    """Overall and by axis: mean over the images that have a number."""
    absent = missing_column(view, spec)
    if absent is not None:
        yield absent
        return
    for where, part in slices(view):
        found = mean_estimate(part, spec, where, np.asarray(part.columns[spec.needs[0]], dtype=np.float64))
        yield _none_seen(found) if found.value == 0 and spec.bounds == (0.0, 1.0) else found


def _none_seen(found: Estimate) -> Estimate:
    """Where no image has any of the fault a t interval has no width; the exact limit on images with it is taken."""
    high = clopper_pearson(0, found.n, level=found.level).high
    return replace(found, low=0.0, high=high, method="Clopper-Pearson on images with the fault, each nothing else")


def _blank(view: View, spec: MetricSpec) -> Iterator[Estimate]:
    """Overall and by axis: share of images of one colour, all dark or all bright; ``extra`` counts each kind."""
    absent = missing_column(view, spec)
    if absent is not None:
        yield absent
        return
    for where, part in slices(view):
        yield _blank_share(part, spec, where)


def _blank_share(view: View, spec: MetricSpec, where: dict[str, str]) -> Estimate:
    flags = {name: view.columns[f"faults.{name}"] == "yes" for name in _FLAGS}
    told = images(view) & np.array([answer is not None for answer in view.columns[spec.needs[0]]], dtype=bool)
    blank = np.where(told, np.any(list(flags.values()), axis=0), np.nan)
    n = int(told.sum())
    found = mean_estimate(view, spec, where, blank.astype(np.float64))
    if found.status is Status.OK and found.value in {0.0, 1.0}:
        # Without a blank picture, or without another, a t interval has no width.
        exact = clopper_pearson(int(np.nansum(blank)), n, level=view.level)
        found = estimate(view, spec, where, exact, missing=len(view) - n)
    return replace(found, extra={**found.extra, **{name: int((flag & told).sum()) for name, flag in flags.items()}})


BLUR = _fault(
    "blur",
    column="blur",
    title="Blur",
    unit="index",
    bounds=(0.0, 1.0),
    citation="Crete, Dolmiere, Ladret and Nicolas 2007, eq. 1 to 6",
)
BLOCKINESS = _fault(
    "blockiness",
    column="blockiness",
    title="Edges of compression blocks",
    unit="levels",
    bounds=(-255.0, 255.0),
    citation="Wang, Sheikh and Bovik 2002, eq. 1 and 2, against the differences beside each edge",
)
RINGING = _fault(
    "ringing",
    column="ringing",
    title="Ringing beside edges",
    unit="levels",
    bounds=(-255.0, 255.0),
    citation="after Marziliano, Dufaux, Winkler and Ebrahimi 2004; roughness near strong edges minus farther off",
)
BANDING = _fault(
    "banding",
    column="banding",
    title="Area in stairs instead of a gradient",
    unit="share",
    bounds=(0.0, 1.0),
    citation="two false contours of one direction, 2 to 16 levels each, between even stretches",
)
NOISE = _fault(
    "noise",
    column="noise",
    title="Noise",
    unit="levels",
    bounds=(0.0, None),
    citation="Immerkaer 1996; median of Donoho and Johnstone 1994",
)
CLIPPING = _fault(
    "clipping",
    column="clipped",
    title="Values at the darkest or lightest level",
    unit="share",
    bounds=(0.0, 1.0),
    citation="share of values at level 0 or 255",
)
BLANK_SHARE = FunctionMetric(
    MetricSpec(
        id="quality.blank_share",
        version="1",
        title="Pictures that show nothing",
        unit="share",
        direction="lower",
        bounds=(0.0, 1.0),
        purposes=frozenset({"quality"}),
        needs=tuple(f"faults.{name}" for name in _FLAGS),
        min_n=2,
        cluster="prompt_id",
        citation="one colour within 2 levels, or 99 % of values at most 16 or at least 239; Clopper and Pearson 1934",
    ),
    _blank,
)
