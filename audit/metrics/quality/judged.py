# SPDX-License-Identifier: Apache-2.0
"""What a judge says of the images: the share that shows what was asked for, and whether the judge drifts.

Where the judge's mistakes were counted against people, the share is corrected for them (Rogan and Gladen 1978), so that
a judge that calls too much right does not make every generator better than it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from audit.metrics._base import estimate, images, insufficient, metric, missing_column, slices
from audit.metrics._corrected import count_answers, unusable
from audit.stats.annotator_error import Correction, misfit
from audit.stats.drift import drift, two_judgements
from audit.stats.intervals import Interval
from audit.stats.shares import clustered_share
from audit.types import Estimate, MetricSpec, Scalar, Status, View

__all__ = ["CORRECT", "DRIFT"]

_YES, _NO = "yes", "no"
_COLUMN, _AGAIN, _PEOPLE, _AT = (f"judgements.{name}" for name in ("correct", "again", "people", "judged_at"))
_LEAST_PAIRS = 20


@metric(
    MetricSpec(
        id="quality.judged_correct",
        version="1",
        title="Judged correct",
        unit="share",
        direction="higher",
        bounds=(0.0, 1.0),
        purposes=frozenset({"quality"}),
        needs=(_COLUMN,),
        min_n=10,
        cluster="prompt_id",
        citation="Rogan and Gladen 1978, eq. 1; Ghosh et al. 2023 (GenEval)",
    )
)
def CORRECT(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """Overall and by axis: share judged right among images that the judge could tell of."""
    problem = missing_column(view, spec)
    if problem is None and _COLUMN in view.operating:
        problem = unusable(view, spec, _COLUMN)
    if problem is not None:
        yield problem
        return
    for where, part in slices(view):
        yield _share(part, spec, where)


@metric(
    MetricSpec(
        id="quality.judge_drift",
        version="1",
        title="Drift of the judge",
        unit="share difference",
        direction="none",
        bounds=(-2.0, 2.0),
        purposes=frozenset({"quality"}),
        needs=(_COLUMN,),
        reads=(_AGAIN, _PEOPLE, _AT),
        min_n=_LEAST_PAIRS,
        cluster="prompt_id",
        citation="arXiv:2512.16853; Cohen 1960; McNemar 1947; Bonett and Price 2012",
    )
)
def DRIFT(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """Share correct by the second judgement minus the first, by the judge minus people, and how the latter changes."""
    absent = missing_column(view, spec)
    if absent is not None:
        yield absent
        return
    found = [
        *([_two(view, spec, (_COLUMN, _AGAIN), _second(view))] if _any(view, _AGAIN) else []),
        *([_two(view, spec, (_PEOPLE, _COLUMN), "people"), _over_time(view, spec)] if _any(view, _PEOPLE) else []),
    ]
    why = "no image was judged twice, and none by people"
    yield from found or [insufficient(view, spec, {}, why=why, status=Status.UNAVAILABLE)]


def _share(view: View, spec: MetricSpec, where: Mapping[str, str]) -> Estimate:
    said, seen = view.columns[_COLUMN], images(view)
    told = seen & np.isin(said, (_YES, _NO))
    n, yes = int(told.sum()), int((said[told] == _YES).sum())
    unsure = int((seen & np.array([isinstance(word, str) for word in said], dtype=bool) & ~told).sum())
    if n < spec.min_n:
        why = f"{n} images judged right or wrong, needs {spec.min_n}"
        return insufficient(view, spec, where, n=n, why=why)
    extra: dict[str, Scalar] = {
        "count": yes,
        "could_not_tell": unsure,
        "if_those_are_wrong": yes / (n + unsure),
        "if_those_are_right": (yes + unsure) / (n + unsure),
    }
    if _COLUMN in view.operating:
        return _corrected(view, spec, where, {**extra, "raw_share": yes / n})
    interval = clustered_share(said[told] == _YES, view.columns["prompt_id"][told].astype(str), level=view.level)
    return estimate(view, spec, where, interval, missing=len(view) - n, extra=extra)


def _corrected(view: View, spec: MetricSpec, where: Mapping[str, str], extra: Mapping[str, Scalar]) -> Estimate:
    operating = view.operating[_COLUMN]
    correction = Correction(operating.matrix())
    seen = images(view)
    said, prompts = view.columns[_COLUMN][seen], view.columns["prompt_id"][seen].astype(str)
    table = np.array([count_answers(said[prompts == one], operating) for one in np.unique(prompts)], dtype=np.float64)
    answers = table.sum(axis=0)
    n = int(correction.heard(answers).sum())
    found = correction.estimate(answers, level=view.level, clusters=table)
    j = operating.truth.index(_YES)
    interval = Interval(
        float(found.shares[j]), float(found.low[j]), float(found.high[j]), n, found.clusters, found.method
    )
    more: dict[str, Scalar] = {"measured_on": operating.measured_on, "misfit": misfit(operating.matrix(), answers)}
    return estimate(view, spec, where, interval, missing=len(view) - n, extra={**extra, **more})


def _two(view: View, spec: MetricSpec, columns: tuple[str, str], name: str) -> Estimate:
    """Share judged right in the second column minus that in the first."""
    where = {"against": name}
    both = _told(view, columns[0]) & _told(view, columns[1])
    n = int(both.sum())
    if n < spec.min_n:
        return insufficient(view, spec, where, n=n, why=f"{n} images judged by both, needs {spec.min_n}")
    first, second = (view.columns[column][both] == _YES for column in columns)
    found = two_judgements(first, second, view.columns["prompt_id"][both].astype(str), level=view.level)
    extra: dict[str, Scalar] = {
        "agreement": found.agreement.value,
        "agreement_low": found.agreement.low,
        "agreement_high": found.agreement.high,
        "gained": found.up,
        "lost": found.down,
        "mcnemar_p": found.p,
    }
    if found.kappa is not None:
        extra |= {"kappa": found.kappa.value, "kappa_low": found.kappa.low, "kappa_high": found.kappa.high}
    return estimate(view, spec, where, found.change, missing=len(view) - n, extra=extra)


def _over_time(view: View, spec: MetricSpec) -> Estimate:
    """Judge minus people in the later half of the judgements, minus the same in the earlier half."""
    where = {"against": "people", "over": "time"}
    at = np.asarray(view.columns[_AT], dtype=np.float64) if _AT in view.columns else np.full(len(view), np.nan)
    kept = _told(view, _COLUMN) & _told(view, _PEOPLE) & np.isfinite(at)
    n = int(kept.sum())
    if n < 2 * spec.min_n:
        why = f"{n} dated judgements of images that people judged, needs {2 * spec.min_n}"
        return insufficient(view, spec, where, n=n, why=why)
    judge, people = (view.columns[each][kept] == _YES for each in (_COLUMN, _PEOPLE))
    errors = judge.astype(np.float64) - people
    found = drift(errors, at[kept], view.columns["prompt_id"][kept].astype(str), level=view.level)
    if found is None:
        return insufficient(view, spec, where, n=n, why="all judgements are of one time")
    extra: dict[str, Scalar] = {
        **{f"early{end}": value for end, value in _ends(found.early)},
        **{f"late{end}": value for end, value in _ends(found.late)},
        "early_until": found.cut,
    }
    if found.slope is not None:
        extra |= {f"a_day{end}": value for end, value in _ends(found.slope)}
    return estimate(view, spec, where, found.change, missing=len(view) - n, extra=extra)


def _ends(interval: Interval) -> list[tuple[str, float]]:
    return [("", interval.value), ("_low", interval.low), ("_high", interval.high)]


def _told(view: View, column: str) -> NDArray[np.bool_]:
    told: NDArray[np.bool_] = images(view) & np.isin(view.columns[column], (_YES, _NO))
    return told


def _any(view: View, column: str) -> bool:
    return column in view.columns and bool(_told(view, column).any())


def _second(view: View) -> str:
    """Who judged again: "<judge>", or "<judge>, later" for the same one."""
    names = [
        {str(name) for name in view.columns.get(f"judgements.{column}", ()) if name}
        for column in ("judge", "again_judge")
    ]
    first, second = (" & ".join(sorted(mine)) for mine in names)
    if not second:
        return "the judge, later"
    return f"{second}, later" if first == second else second
