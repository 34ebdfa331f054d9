# SPDX-License-Identifier: Apache-2.0
"""How much more often the best-obeyed group is drawn as asked for than the worst-obeyed one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from audit.metrics._base import estimate, insufficient, metric
from audit.metrics.bias._answers import Answers
from audit.metrics.bias._rows import Codes, none_asked, ordered, parts, rows
from audit.metrics.bias.obedience import Asked, Obeyed, asked_groups, obeyed
from audit.stats.amplification import Cell, correlations
from audit.stats.contrasts import Spread, mover_pairs, pair_level, spread
from audit.stats.floor import draw_answers
from audit.stats.intervals import Interval
from audit.types import Estimate, MetricSpec, Scalar, View

__all__ = ["METRIC"]

_EXACT = Interval(0.0, 0.0, 0.0, 0, 0, "exact")


@metric(
    MetricSpec(
        id="bias.obedience_gap",
        version="1",
        title="Obedience, best minus worst group",
        unit="share",
        direction="lower",
        bounds=(0.0, 1.0),
        purposes=frozenset({"bias"}),
        needs=(),
        design="asks",
        min_n=10,
        cluster=None,
        citation="Zou and Donner 2008; Rogan and Gladen 1978, eq. 1",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """For each attribute asked for, overall and by axis."""
    view = ordered(view, *view.operating)
    found = list(asked_groups(view, spec))
    if not found:
        yield none_asked(view, spec)
    for item in found:
        if isinstance(item, Estimate):
            yield item
            continue
        for where, index in parts(view, [axis for axis in view.by if axis != item.axis]):
            mine = index[item.codes[index] >= 0]
            if not where or len(np.unique(item.codes[mine])) > 1:
                yield _gap(view, spec, item, where, mine)


def _gap(view: View, spec: MetricSpec, asked: Asked, where: Mapping[str, str], mine: Codes) -> Estimate:
    answers, part = asked.answers, rows(view, mine)
    where = {**where, "attribute": answers.declared.attribute}
    n, called = int(answers.counts(mine).sum()), np.unique(asked.codes[mine])
    if len(called) < 2:
        return insufficient(part, spec, where, n=n, why=f"{len(called)} groups asked for, needs 2")
    level = pair_level(len(called), view.level)
    found = [one for one in obeyed(asked, mine, level=level, least=spec.min_n) if one.group in called]
    short = [answers.declared.groups[one.group] for one in found if one.shares is None]
    if short:
        return insufficient(part, spec, where, n=n, why=f"{short[0]} has no number")
    gap = _spread(answers, found)
    floor = _floor(answers, found, seed=view.seed)
    extra: dict[str, Scalar] = {
        "excess": gap.value - floor,
        "best": answers.declared.groups[found[gap.highest].group],
        "worst": answers.declared.groups[found[gap.lowest].group],
        "groups": len(found),
        "measured_on": answers.operating.measured_on,
    }
    method = f"MOVER of all pairs of {len(found)} groups (Bonferroni), which share the confusion counts"
    clusters = sum(one.shares.clusters for one in found if one.shares is not None)
    interval = Interval(gap.value, gap.low, gap.high, n, clusters, method)
    return estimate(part, spec, where, interval, missing=len(part) - n, floor=floor, extra=extra)


def _spread(answers: Answers, found: Sequence[Obeyed]) -> Spread:
    cells = [cell for one in found if (cell := _cell(answers, one)) is not None]
    values = np.array([cell.drawn.value for cell in cells])
    lows, highs = np.array([cell.drawn.low for cell in cells]), np.array([cell.drawn.high for cell in cells])
    return spread(values, *mover_pairs(values, lows, highs, correlations(cells, answers.correction)))


def _cell(answers: Answers, one: Obeyed) -> Cell | None:
    if one.shares is None:
        return None
    j = answers.places[one.group]
    drawn = Interval(float(one.shares.shares[j]), float(one.shares.low[j]), float(one.shares.high[j]), one.n, one.n, "")
    return Cell(j, one.shares.shares, drawn, _EXACT)


def _floor(answers: Answers, found: Sequence[Obeyed], *, seed: int) -> float:
    """Mean gap of a generator that always draws what is asked for.

    Each group then depends on its own row of the confusion counts only, so the groups are drawn independently.
    """
    drawn: list[NDArray[np.float64]] = []
    for one in found:
        j, k = answers.places[one.group], len(answers.operating.truth)
        counts = draw_answers(answers.correction, np.eye(k)[j], n=one.n, seed=seed + one.group, reps=1000)
        drawn.append(answers.correction.shares(counts / one.n)[:, j])
    return float(np.ptp(np.stack(drawn), axis=0).mean())
