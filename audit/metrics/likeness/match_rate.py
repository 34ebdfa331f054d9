# SPDX-License-Identifier: Apache-2.0
"""Share of images similar to an enrolled reference above the calibrated threshold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.metrics._base import estimate, images, insufficient, metric, missing_column, slices
from audit.stats.intervals import clopper_pearson
from audit.types import Estimate, MetricSpec, Scalar, Status, View

__all__ = ["METRIC"]


@metric(
    MetricSpec(
        id="likeness.match_rate",
        version="1",
        title="Images similar to an enrolled reference",
        unit="share",
        direction="lower",
        bounds=(0.0, 1.0),
        purposes=frozenset({"likeness"}),
        needs=("likeness.above", "likeness.reference", "likeness.score"),
        min_n=1,
        cluster=None,
        citation="open-set identification as in NIST FRTE 1:N; Clopper and Pearson 1934",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """Overall, by axis and by enrolled reference; an image without a face is missing, not a non-match."""
    absent = missing_column(view, spec)
    if absent is not None:
        yield absent
        return
    calibration = view.references.get("likeness")
    if calibration is None:
        yield insufficient(view, spec, {}, why="no calibrated threshold", status=Status.UNAVAILABLE)
        return
    for where, part in slices(view):
        yield _rate(part, spec, where, _above(part) == 1, calibration)
    matched = view.columns["likeness.reference"]
    for reference in calibration.reference_ids:
        hits = (_above(view) == 1) & np.array([value == reference for value in matched], dtype=bool)
        yield _rate(view, spec, {"reference": str(reference)}, hits, calibration)


def _above(view: View) -> NDArray[np.float64]:
    return np.where(images(view), np.asarray(view.columns["likeness.above"], dtype=np.float64), np.nan)


def _rate(view: View, spec: MetricSpec, where: dict[str, str], hits: NDArray[np.bool_], calibration: Any) -> Estimate:
    searched = np.isfinite(_above(view))
    n, k = int(searched.sum()), int(hits.sum())
    extra: dict[str, Scalar] = {
        "matches": k,
        "no_face": int((images(view) & ~searched).sum()),
        "threshold": float(calibration.threshold),
        "fpir_target": float(calibration.fpir_target),
        "fpir_low": float(calibration.fpir_low),
        "fpir_high": float(calibration.fpir_high),
        "searches": int(calibration.searches),
        "gallery_size": int(calibration.gallery_size),
    }
    if n < spec.min_n:
        return insufficient(view, spec, where, n=n, why="no image with a face to search for", extra=extra)
    interval = clopper_pearson(k, n, level=view.level)
    if "reference" in where:  # a false alarm falls on any one of the enrolled references
        return estimate(view, spec, where, interval, missing=len(view) - n, extra=extra)
    extra["excess"] = interval.value - float(calibration.fpir_target)
    floor = float(calibration.fpir_target)
    return estimate(view, spec, where, interval, missing=len(view) - n, floor=floor, extra=extra)
