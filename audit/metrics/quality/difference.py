# SPDX-License-Identifier: Apache-2.0
"""Two generators on the same prompts with the same seeds: the difference of every measure, and whether it is chance.

What a prompt is like and what a seed does both have in common; it cancels in the difference, which is why it tells two
generators apart long before their own intervals do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from audit.metrics._base import estimate, insufficient, metric
from audit.metrics.bias._groups import LEVELS
from audit.metrics.quality._measures import MEASURES, Measure
from audit.metrics.quality._spaces import SPACES, Space, spaces
from audit.stats.frechet_pairs import frechet_difference
from audit.stats.intervals import Interval
from audit.stats.pairs import paired_mean, sign_flips
from audit.types import Estimate, MetricSpec, Scalar, Status, View

__all__ = ["METRIC"]

_FRECHET = "quality.frechet_distance"
_LEAST = 10

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """Two generators on the requests that both were asked.

    Attributes:
        own, rival: their views.
        name: of the rival.
        one, two: rows of both views that belong together, shape (u,).
        units: label of each pair's prompt, shape (u,).
    """

    own: View
    rival: View
    name: str
    one: Rows
    two: Rows
    units: Rows

    def clusters(self, kept: NDArray[np.bool_]) -> Rows | None:
        """Labels of the pairs that are kept, None where they share one prompt: pairs are the units then."""
        labels = np.unique(self.units[kept], return_inverse=True)[1]
        return np.asarray(labels, dtype=np.int64) if len(labels) and labels.max() > 0 else None


@metric(
    MetricSpec(
        id="quality.difference",
        version="1",
        title="Difference between two generators",
        unit="difference",
        direction="none",
        bounds=(None, None),
        purposes=frozenset({"quality"}),
        needs=(),
        reads=tuple(dict.fromkeys([*(c for each in MEASURES for c in each.needs if "." in c), *SPACES])),
        min_n=_LEAST,
        cluster="prompt_id",
        citation="paired differences at equal seeds; Liang and Zeger 1986; sign flips by prompt, Fisher 1935, sec. 21",
        compares=True,
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """For each generator listed later and each measure: this generator's mean minus the other's.

    ``extra.p`` is of a permutation test that exchanges the two generators within prompts.
    """
    found = [made for name in view.rivals for made in _versus(_pairs(view, name), spec)]
    if not found:
        why = "no generator listed after it in the audit file" if not view.rivals else "no request was asked of both"
        found = [insufficient(view, spec, {}, why=why, status=Status.UNAVAILABLE)]
    yield from found


def _pairs(view: View, name: str) -> _Pairs:
    rival = replace(view, columns=view.rivals[name])
    place = {key: row for row, key in enumerate(_keys(rival))}
    both = np.array([(row, place[key]) for row, key in enumerate(_keys(view)) if key in place], dtype=np.int64)
    one, two = both.reshape(-1, 2).T
    units = np.unique(view.columns["prompt_id"][one].astype(str), return_inverse=True)[1]
    return _Pairs(view, rival, name, one, two, np.asarray(units, dtype=np.int64))


def _keys(view: View) -> list[tuple[str, int]]:
    """What is equal for requests with the same prompt and seed."""
    columns = view.columns
    return list(zip(columns["prompt_id"].tolist(), columns["repetition"].tolist(), strict=True))


def _versus(pairs: _Pairs, spec: MetricSpec) -> Iterator[Estimate]:
    if not len(pairs.one):
        return
    for each in MEASURES:
        if all(column in view.columns for view in (pairs.own, pairs.rival) for column in each.needs):
            yield _mean(pairs, spec, each)
    theirs = {space.name: space for space in spaces(pairs.rival)}
    for space in spaces(pairs.own):
        if space.name in theirs and space.reference is not None:
            yield _frechet(pairs, spec, space, theirs[space.name])


def _mean(pairs: _Pairs, spec: MetricSpec, measure: Measure) -> Estimate:
    where = {"score": measure.metric, "against": pairs.name}
    difference = measure.of(pairs.own)[pairs.one] - measure.of(pairs.rival)[pairs.two]
    kept = np.isfinite(difference)
    n = int(kept.sum())
    if n < spec.min_n:
        return insufficient(pairs.own, spec, where, n=n, why=f"{n} pairs of images, needs {spec.min_n}")
    units = pairs.clusters(kept)
    found = paired_mean(difference[kept], units, shares=measure.yes_no)
    told: dict[str, Scalar] = {
        "p": sign_flips(difference[kept], units, seed=pairs.own.seed).p,
        "better": measure.better,
    }
    over = f"paired, cluster-robust t over {found.units} prompts" if units is not None else "paired t"
    interval = Interval(found.value, *found.interval(pairs.own.level), n, found.units, over)
    made = estimate(pairs.own, spec, where, interval, missing=len(pairs.own) - n, extra=told)
    curve = tuple((level, *found.interval(level)) for level in LEVELS)
    return replace(made, unit=f"{measure.unit} difference", curve=curve)


def _frechet(pairs: _Pairs, spec: MetricSpec, own: Space, rival: Space) -> Estimate:
    where = {"score": _FRECHET, "against": pairs.name, **own.slice}
    kept = own.kept[pairs.one] & rival.kept[pairs.two]
    x, y = own.features[_rank(own)[pairs.one[kept]]], rival.features[_rank(rival)[pairs.two[kept]]]
    n, level = int(kept.sum()), pairs.own.level
    try:
        found = frechet_difference(x, y, own.reference, clusters=pairs.clusters(kept), level=level, seed=pairs.own.seed)
    except ValueError as error:  # too few pairs for the dimensions that vary, which only the statistics can count
        return insufficient(pairs.own, spec, where, n=n, why=str(error))
    told: dict[str, Scalar] = {"p": found.p_value, "bias_left": found.bias, "own": found.first, "rival": found.second}
    interval = Interval(found.value, found.low, found.high, n, found.clusters, found.method)
    made = estimate(pairs.own, spec, where, interval, missing=len(pairs.own) - n, extra={**told, "better": "lower"})
    return replace(made, unit="distance difference")


def _rank(space: Space) -> Rows:
    """Place of each row of the view among those with features."""
    return np.cumsum(space.kept) - 1
