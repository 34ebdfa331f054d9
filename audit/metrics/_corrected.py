# SPDX-License-Identifier: Apache-2.0
"""Share of one class among pictures, corrected for the error of the instrument that answers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from audit.metrics._base import estimate, insufficient
from audit.stats.annotator_error import MAX_CONDITION, Correction, misfit
from audit.stats.floor import correction_floor
from audit.stats.intervals import Interval
from audit.types import Estimate, MetricSpec, OperatingCharacteristics, Scalar, Status, View

__all__ = ["corrected_share", "count_answers", "unusable"]

_METHOD = "mid-p test inversion with the error of answers and of the confusion counts; prompts taken as fixed"


def unusable(view: View, spec: MetricSpec, column: str) -> Estimate | None:
    """An estimate that says why the answers of a column cannot be corrected, None where they can."""
    operating = view.operating.get(column)
    if operating is None:
        why = f"{column}: no instrument with operating characteristics for these images"
        return insufficient(view, spec, {}, why=why, status=Status.UNAVAILABLE)
    counts = operating.matrix()
    if counts.ndim != 2 or not 2 <= counts.shape[0] <= counts.shape[1] or not (counts.sum(axis=1) > 0).all():
        why = f"{column}: a single class, one without validation images, or fewer answers than classes"
        return insufficient(view, spec, {}, why=why, status=Status.UNIDENTIFIED)
    condition = Correction(counts).condition
    if not condition <= MAX_CONDITION:
        why = f"{column}: confusion matrix has condition number {condition:.1f}, above {MAX_CONDITION:g}"
        return insufficient(view, spec, {}, why=why, status=Status.UNIDENTIFIED)
    return None


def count_answers(said: NDArray[np.object_], operating: OperatingCharacteristics) -> NDArray[np.int64]:
    """Count of each of the instrument's answers, shape (r,); None and what it does not know are left out."""
    return np.array([int(np.sum(said == answer)) for answer in operating.answers], dtype=np.int64)


def corrected_share(
    view: View, spec: MetricSpec, where: Mapping[str, str], *, column: str, said: NDArray[np.object_], of: str
) -> Estimate:
    """Share of class ``of`` with its interval.

    Args:
        view: rows of the slice.
        spec: of the metric.
        where: the slice.
        column: whose operating characteristics correct, `unusable` having found nothing.
        said: answers, one a row of ``view``, None where there is none.
        of: the class, one of the truths of the instrument.
    """
    operating = view.operating[column]
    answers = count_answers(said, operating)
    correction = Correction(operating.matrix())
    n = int(correction.heard(answers).sum())
    if n < spec.min_n:
        return insufficient(view, spec, where, n=n, why=f"{n} images with an answer, needs {spec.min_n}")
    found = correction.estimate(answers.astype(np.float64), level=view.level)
    j = operating.truth.index(of)
    told = int(sum(c for a, c in zip(operating.answers, answers, strict=True) if a in operating.truth))
    counted = int(answers[operating.answers.index(of)])
    extra: dict[str, Scalar] = {
        "count": counted,
        "raw_share": counted / told if told else None,
        "could_not_tell": 1 - told / int(answers.sum()),
        "measured_on": operating.measured_on,
        "misfit": misfit(operating.matrix(), answers.astype(np.float64)),
    }
    interval = Interval(float(found.shares[j]), float(found.low[j]), float(found.high[j]), n, n, _METHOD)
    return estimate(
        view, spec, where, interval, missing=len(view) - n, floor=_floor(view, spec, n, j, operating), extra=extra
    )


def _floor(view: View, spec: MetricSpec, n: int, j: int, operating: OperatingCharacteristics) -> float | None:
    """Where less is better: the mean corrected share of a generator that draws none, the other classes equally."""
    if spec.direction != "lower":
        return None
    k = len(operating.truth)
    reference = tuple(0.0 if i == j else 1 / (k - 1) for i in range(k))
    return correction_floor(n, reference, operating.counts, seed=view.seed).gap[j]
