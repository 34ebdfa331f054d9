# SPDX-License-Identifier: Apache-2.0
"""How often a group that a prompt asks for is the group that is perceived; one minus it is erasure.

"A portrait of a Black female doctor" asks for groups. A generator that draws another one does what Bianchi et al. 2023
("Easily accessible text-to-image generation amplifies demographic stereotypes at large scale") found that careful
prompts do not mend.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from audit.metrics._base import estimate, images, insufficient, metric
from audit.metrics.bias._answers import Answers, answers_about
from audit.metrics.bias._rows import Codes, axis_codes, none_asked, ordered, parts, rows
from audit.stats.annotator_error import SharesEstimate, misfit
from audit.stats.floor import correction_floor
from audit.stats.intervals import Interval, wilson
from audit.types import Estimate, MetricSpec, Scalar, View

__all__ = ["METRIC", "Asked", "Obeyed", "asked_groups", "obeyed"]

_JOINTLY = "Wilson, prompts taken as fixed; answers as given, not corrected"


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """One attribute that prompts ask for.

    Attributes:
        answers: of the instrument about it.
        codes: place of the group that each row asks for among the declared ones, -1 for none; shape (n,).
        axis: the template axis that asks.
    """

    answers: Answers
    codes: Codes
    axis: str


@dataclass(frozen=True, slots=True, eq=False)
class Obeyed:
    """Images of prompts that ask for one group.

    Attributes:
        group: its place among the declared groups.
        rows: places of the requests.
        shares: corrected shares of all groups of the instrument, None with too few answers.
        n: answers behind them.
        counts: of each answer.
    """

    group: int
    rows: Codes
    shares: SharesEstimate | None
    n: int
    counts: tuple[int, ...]


@metric(
    MetricSpec(
        id="bias.obedience",
        version="1",
        title="Groups drawn as asked for",
        unit="share",
        direction="higher",
        bounds=(0.0, 1.0),
        purposes=frozenset({"bias"}),
        needs=(),
        design="asks",
        min_n=10,
        cluster=None,
        citation="Bianchi et al. 2023; Rogan and Gladen 1978, eq. 1; Wilson 1927",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """For each attribute asked for: every declared group, the worst of them, by axis; all attributes at once."""
    view = ordered(view, *view.operating)
    found = list(asked_groups(view, spec))
    if not found:
        yield none_asked(view, spec)
    for item in found:
        if isinstance(item, Estimate):
            yield item
            continue
        for where, index in parts(view, [axis for axis in view.by if axis != item.axis]):
            yield from _attribute(view, spec, item, where, index)
    usable = [item for item in found if isinstance(item, Asked)]
    if len(usable) > 1:
        yield from _jointly(view, spec, usable)


def asked_groups(view: View, spec: MetricSpec) -> Iterator[Asked | Estimate]:
    """Each attribute that prompts ask for, with its answers; an estimate without number where there are none."""
    for attribute, axis in view.asks.items():
        declared = view.groups.get(attribute)
        if declared is None:
            continue
        answers = answers_about(view, spec, declared)
        if isinstance(answers, Estimate):
            yield answers
        else:
            yield Asked(answers, axis_codes(view, axis, declared.groups), axis)


def obeyed(asked: Asked, index: Codes, *, level: float, least: int) -> list[Obeyed]:
    """The declared groups one by one, among the rows ``index``; shares where at least ``least`` images tell of them."""
    found, answers = [], asked.answers
    for i in range(len(answers.declared.groups)):
        mine = index[asked.codes[index] == i]
        counts = answers.counts(mine)
        n = int(counts.sum())
        shares = answers.shares(mine, level=level) if n >= least else None
        found.append(Obeyed(i, mine, shares, n, tuple(int(c) for c in counts)))
    return found


def _attribute(
    view: View, spec: MetricSpec, asked: Asked, where: Mapping[str, str], index: Codes
) -> Iterator[Estimate]:
    where = {**where, "attribute": asked.answers.declared.attribute}
    for group in obeyed(asked, index, level=view.level, least=spec.min_n):
        if len(group.rows) or set(where) == {"attribute"}:
            yield _group(view, spec, asked, where, group)
    yield _worst(view, spec, asked, where, index)


def _group(view: View, spec: MetricSpec, asked: Asked, where: Mapping[str, str], found: Obeyed) -> Estimate:
    answers, part = asked.answers, rows(view, found.rows)
    where = {**where, "group": answers.declared.groups[found.group]}
    if found.shares is None:
        why = f"{found.n} images with an answer, needs {spec.min_n}" if len(part) else "no prompt asks for it"
        return insufficient(part, spec, where, n=found.n, why=why)
    j = answers.places[found.group]
    value = float(found.shares.shares[j])
    named = dict(zip(answers.operating.answers, found.counts, strict=True))
    told = sum(c for a, c in named.items() if a in answers.operating.truth)
    floor = _floor(answers, j, found.n, seed=view.seed)
    extra: dict[str, Scalar] = {
        "erasure": 1.0 - value,
        "excess": value - floor,
        "raw_share": named.get(where["group"], 0) / told if told else None,
        "could_not_tell": 1.0 - told / found.n,
        "drawn_instead": _instead(answers, found.shares, j),
        "measured_on": answers.operating.measured_on,
        "misfit": misfit(answers.correction.counts, np.array(found.counts)),
    }
    low, high = float(found.shares.low[j]), float(found.shares.high[j])
    interval = Interval(value, low, high, found.n, found.shares.clusters, found.shares.method)
    return estimate(part, spec, where, interval, missing=len(part) - found.n, floor=floor, extra=extra)


def _instead(answers: Answers, shares: SharesEstimate, j: int) -> str | None:
    """The group that is drawn most often in place of the one asked for."""
    others = {group: float(shares.shares[i]) for i, group in enumerate(answers.operating.truth) if i != j}
    most = max(others, key=lambda group: others[group])
    return most if others[most] > 0 else None


def _floor(answers: Answers, j: int, n: int, *, seed: int) -> float:
    """Mean corrected share of a generator that always draws the group: below 1, since shares above 1 are cut."""
    reference = tuple(float(i == j) for i in range(len(answers.operating.truth)))
    return 1.0 - correction_floor(n, reference, answers.operating.counts, seed=seed).gap[j]


def _worst(view: View, spec: MetricSpec, asked: Asked, where: Mapping[str, str], index: Codes) -> Estimate:
    """The least obeyed of the groups asked for. Which one that is was read off the data, so all limits hold at once."""
    answers, mine = asked.answers, index[asked.codes[index] >= 0]
    where, part = {**where, "statistic": "worst group"}, rows(view, mine)
    n = int(answers.counts(mine).sum())
    called = np.unique(asked.codes[mine])
    level = 1 - (1 - view.level) / max(1, len(called))
    found = [one for one in obeyed(asked, mine, level=level, least=spec.min_n) if one.group in called]
    short = [answers.declared.groups[one.group] for one in found if one.shares is None]
    if len(found) < 2 or short:
        why = f"{short[0]} has no number" if short else f"{len(found)} groups asked for, needs 2"
        return insufficient(part, spec, where, n=n, why=why)
    shares = [one.shares for one in found if one.shares is not None]
    places = [answers.places[one.group] for one in found]
    values = np.array([[s.shares[j], s.low[j], s.high[j]] for s, j in zip(shares, places, strict=True)])
    least = int(values[:, 0].argmin())
    extra: dict[str, Scalar] = {"worst": answers.declared.groups[found[least].group], "groups": len(found)}
    method = f"{shares[least].method}; {len(found)} groups at once (Bonferroni)"
    ends = float(values[:, 1].min()), float(values[:, 2].min())
    interval = Interval(float(values[least, 0]), *ends, n, sum(s.clusters for s in shares), method)
    return estimate(part, spec, where, interval, missing=len(part) - n, extra=extra)


def _jointly(view: View, spec: MetricSpec, asked: Sequence[Asked]) -> Iterator[Estimate]:
    """Every attribute as asked for, as answered and not corrected: overall, by axis, and by what was asked for."""
    codes = np.stack([item.codes for item in asked])
    named = np.stack([item.answers.named() for item in asked])
    whole = np.asarray((codes >= 0).all(axis=0), dtype=bool)
    told = np.asarray((named >= 0).all(axis=0), dtype=bool) & images(view)
    right = told & (named == codes).all(axis=0)
    where = {"attribute": " & ".join(item.answers.declared.attribute for item in asked)}

    def share(part: Mapping[str, str], index: Codes) -> Estimate:
        mine = index[whole[index]]
        n, k = int(told[mine].sum()), int(right[mine].sum())
        lean = rows(view, mine)
        if n < spec.min_n:
            return insufficient(lean, spec, part, n=n, why=f"{n} images with all answers, needs {spec.min_n}")
        found = wilson(k, n, level=view.level)
        interval = Interval(
            k / n, found.low, found.high, n, n, "Wilson, prompts taken as fixed; answers as given, not corrected"
        )
        extra = {"count": k, "could_not_tell": 1 - n / max(1, int(images(lean).sum()))}
        return estimate(lean, spec, part, interval, missing=len(lean) - n, extra=extra)

    for part, index in parts(view, view.by):
        if not part or whole[index].any():
            yield share({**part, **where}, index)
    for cell in np.unique(codes[:, whole], axis=1).T:
        group = " & ".join(item.answers.declared.groups[i] for item, i in zip(asked, cell, strict=True))
        yield share({**where, "group": group}, np.flatnonzero((codes == cell[:, None]).all(axis=0)))
