# SPDX-License-Identifier: Apache-2.0
"""Share of images that copy an enrolled artwork, corrected for the false alarms and misses of the comparison."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.metrics._base import estimate, images, insufficient, metric, missing_column, slices
from audit.stats.annotator_error import MAX_CONDITION, Correction, misfit
from audit.stats.floor import correction_floor
from audit.stats.intervals import Interval
from audit.types import Estimate, MetricSpec, OperatingCharacteristics, Scalar, Status, View

__all__ = ["METRIC"]

_COLUMN = "works.copy"
_ANSWERS = ("copy", "no copy")
_METHOD = "mid-p test inversion with the error of answers and of the confusion counts; prompts taken as fixed"


@metric(
    MetricSpec(
        id="likeness.copy_share",
        version="2",
        title="Images that copy an enrolled work",
        unit="share",
        direction="lower",
        bounds=(0.0, 1.0),
        purposes=frozenset({"likeness"}),
        needs=(_COLUMN, "works.work", "works.similarity"),
        min_n=1,
        cluster=None,
        citation="Rogan and Gladen 1978, eq. 1; Clopper and Pearson 1934; threshold as in NIST FRTE 1:N",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """Overall, by axis and by prompt; an image that the instrument could not tell about is missing, not a non-copy."""
    absent = missing_column(view, spec)
    if absent is not None:
        yield absent
        return
    operating = view.operating.get(_COLUMN)
    if operating is None or operating.truth != _ANSWERS or operating.answers[:2] != _ANSWERS:
        why = f"{_COLUMN}: no counts of {' and '.join(_ANSWERS)}"
        yield insufficient(view, spec, {}, why=why, status=Status.UNAVAILABLE)
        return
    counts = operating.matrix()[:, :2]  # "could not tell" tells nothing of copies: those images are left out
    correction = Correction(counts) if (counts.sum(axis=1) > 0).all() else None
    if correction is None or not correction.identified:
        why = f"{_COLUMN}: copies are not told from other pictures (condition number above {MAX_CONDITION:g})"
        yield insufficient(view, spec, {}, why=why, status=Status.UNIDENTIFIED)
        return
    for where, part in (*slices(view), *_prompts(view)):
        yield _share(part, spec, where, correction, operating)


def _prompts(view: View) -> Iterator[tuple[dict[str, str], View]]:
    names = view.columns["prompt_id"].astype(str)
    for name in np.unique(names):
        yield {"prompt": str(name)}, view.take(names == name)


def _share(
    view: View, spec: MetricSpec, where: dict[str, str], correction: Correction, operating: OperatingCharacteristics
) -> Estimate:
    said = view.columns[_COLUMN].astype(object)
    said[~images(view)] = None
    answers = np.array([(said == answer).sum() for answer in _ANSWERS], dtype=np.int64)
    n = int(answers.sum())
    extra = _extra(view, said, answers) | {"measured_on": operating.measured_on}
    if n < spec.min_n:
        return insufficient(view, spec, where, n=n, why="no image that could be compared", extra=extra)
    found = correction.estimate(answers.astype(np.float64), level=view.level)
    extra["misfit"] = misfit(correction.counts, answers.astype(np.float64))
    table = tuple(tuple(int(cell) for cell in row) for row in correction.counts)
    floor = correction_floor(n, (0.0, 1.0), table, seed=view.seed).gap[0]
    interval = Interval(float(found.shares[0]), float(found.low[0]), float(found.high[0]), n, n, _METHOD)
    return estimate(view, spec, where, interval, missing=len(view) - n, floor=floor, extra=extra)


def _extra(view: View, said: NDArray[Any], answers: NDArray[np.int64]) -> dict[str, Scalar]:
    """Counts, the work that most of the copies are of, and how similar the copies are."""
    copies, n = said == "copy", int(answers.sum())
    works = Counter(str(name) for name in view.columns["works.work"][copies])
    similar = np.asarray(view.columns["works.similarity"], dtype=np.float64)[copies]
    calibration = view.references.get("works")
    return {
        "copies": int(answers[0]),
        "raw_share": int(answers[0]) / n if n else None,
        "could_not_tell": int((said == "could not tell").sum()),
        "work": min(works, key=lambda name: (-works[name], name)) if works else None,
        "works_copied": len(works),
        "similarity_median": float(np.median(similar)) if len(similar) else None,
        "threshold": float(calibration.threshold) if calibration is not None else None,
        "fpir_target": float(calibration.fpir_target) if calibration is not None else None,
    }
