# SPDX-License-Identifier: Apache-2.0
"""What other words do to an image: paired changes of every measure, reworded prompt minus original, at equal seeds.

A generator that understands a prompt draws as well for "a protrait of a nurse" as for "a portrait of a nurse". The two
are drawn from one seed and held against one text, the original's, so that what differs owes to the words alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from audit.metrics._base import estimate, insufficient, metric
from audit.metrics.bias._groups import LEVELS
from audit.metrics.bias._rows import Codes, axis_codes, coded, ordered, rows
from audit.metrics.quality._measures import MEASURES, Measure
from audit.metrics.quality._spaces import SPACES, Space, spaces
from audit.stats.frechet_pairs import frechet_difference
from audit.stats.intervals import Interval, clopper_pearson
from audit.stats.pairs import mcnemar, paired_mean, sign_flips
from audit.types import Estimate, MetricSpec, Scalar, Status, View

__all__ = ["METRIC"]

_AXIS = "wording"
_FRECHET = "Frechet distance"


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """Requests in the original wording and in another.

    Attributes:
        name: of the other wording.
        one, two: rows of the original and of the other, shape (u,).
        prompts: label 0 .. G - 1 of each pair's prompt.
        without: prompts that have no such wording.
        variants: how many wordings are taken together.
    """

    name: str
    one: Codes
    two: Codes
    prompts: Codes
    without: int
    variants: int


@metric(
    MetricSpec(
        id="quality.robustness",
        version="1",
        title="Change under another wording",
        unit="difference",
        direction="none",
        bounds=(None, None),
        purposes=frozenset({"bias", "likeness", "quality"}),
        needs=(),
        reads=tuple(dict.fromkeys([*(c for each in MEASURES for c in each.needs if "." in c), *SPACES])),
        design="wordings",
        min_n=20,
        cluster="pair",
        citation="paired differences at equal seeds; Liang and Zeger 1986; Bonett and Price 2012",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """For each wording and each measure that the run has: mean of reworded minus original.

    Wordings that come in several variants ("typos-1", "typos-2") are also taken together ("typos"). Where there are
    enough pairs for it, also the change of the distance to the reference images, by feature space.
    """
    if len(view.paired.get(_AXIS, ())) < 2:
        why = "the probe set asks in one wording only (`wordings`)"
        yield insufficient(view, spec, {}, why=why, status=Status.UNAVAILABLE)
        return
    there = [each for each in MEASURES if all(column in view.columns for column in each.needs)]
    features = [column for column in view.columns if column.endswith(".features")]
    view = ordered(view, "text", *(column for each in there for column in each.needs), *features)
    found = list(_pairs(view))
    if not found:
        yield insufficient(view, spec, {}, why="no prompt was asked in two wordings")
    numbers = {each.title: each.of(view) for each in there} if found else {}
    for pairs in found:
        for each in there:
            change = numbers[each.title]
            if each.title == "answered" or np.isfinite(change).any():
                yield _change(view, spec, pairs, each, change)
        for space in spaces(view) if pairs.variants == 1 else ():
            yield from _distance(view, spec, pairs, space)


def _pairs(view: View) -> Iterator[_Pairs]:
    """The original against every other wording, and against all variants of one."""
    names = view.paired[_AXIS]
    wording = axis_codes(view, _AXIS, names)
    prompt = _prompts(view)
    repetition = view.columns["repetition"].astype(np.int64)
    place = {(int(p), int(r)): i for i, (p, r, w) in enumerate(zip(prompt, repetition, wording, strict=True)) if w == 0}
    asked = len({p for p, _ in place})
    for name, codes in _arms(names).items():
        two = np.array(
            [i for i in np.flatnonzero(np.isin(wording, codes)) if (int(prompt[i]), int(repetition[i])) in place],
            dtype=np.int64,
        )
        if len(two):
            one = np.array([place[int(prompt[i]), int(repetition[i])] for i in two], dtype=np.int64)
            label = np.unique(coded(view.columns["pair"])[1][one], return_inverse=True)[1]
            yield _Pairs(name, one, two, label, asked - len(np.unique(prompt[one])), len(codes))


def _prompts(view: View) -> Codes:
    """Label of each row's prompt, the same in all of its wordings: its pair, and the other words exchanged in pairs."""
    others = [axis_codes(view, axis, values) for axis, values in view.paired.items() if axis != _AXIS]
    keys = np.stack([coded(view.columns["pair"])[1], *others], axis=1)
    return np.asarray(np.unique(keys, axis=0, return_inverse=True)[1], dtype=np.int64).reshape(-1)


def _arms(names: Sequence[str]) -> Mapping[str, list[int]]:
    """Places of the wordings that are compared with the first one, by name."""
    found = {name: [i] for i, name in enumerate(names) if i}
    for kind in ("typos", "paraphrase"):
        variants = [i for i, name in enumerate(names) if re.fullmatch(rf"{kind}-\d+", name)]
        if len(variants) > 1:
            found[kind] = variants
    return found


def _change(view: View, spec: MetricSpec, pairs: _Pairs, measure: Measure, values: NDArray[np.float64]) -> Estimate:
    where = {"wording": pairs.name, "score": measure.title}
    part = rows(view, np.unique(np.concatenate([pairs.one, pairs.two])))
    difference = values[pairs.two] - values[pairs.one]
    kept = np.isfinite(difference)
    count = int(kept.sum())
    n = len(np.unique(np.concatenate([pairs.one[kept], pairs.two[kept]])))
    unit = f"{measure.unit} difference"
    if n < spec.min_n:
        why = f"{count} pairs with a number on both sides, needs {spec.min_n // 2}"
        return replace(insufficient(part, spec, where, n=n, why=why), unit=unit)
    change, label = difference[kept], np.unique(pairs.prompts[kept], return_inverse=True)[1]
    units = label if int(label.max()) > 0 else None
    mean = paired_mean(change, units, shares=measure.yes_no)
    flips = sign_flips(change, units, seed=view.seed)
    told: dict[str, Scalar] = {
        "pairs": count,
        "original": float(values[pairs.one[kept]].mean()),
        "reworded": float(values[pairs.two[kept]].mean()),
        "unchanged": float((change == 0).mean()),
        "better": measure.better,
        "p": flips.p,
        "excess": abs(mean.value) - flips.floor,
        "prompts_without": pairs.without,
    }
    if measure.yes_no:
        up, down = int((change > 0).sum()), int((change < 0).sum())
        told |= {"changed_to": up, "changed_from": down, "mcnemar_p": mcnemar(up, down)}
    if not change.any():
        told["changing_prompts_high"] = clopper_pearson(0, mean.units, level=view.level).high
    method = _method(mean.units, clustered=units is not None, shares=measure.yes_no, still=not change.any())
    interval = Interval(mean.value, *mean.interval(view.level), n, mean.units, method)
    made = estimate(part, spec, where, interval, missing=len(part) - n, floor=flips.floor, extra=told)
    curve = tuple((level, *mean.interval(level)) for level in LEVELS)
    return replace(made, unit=unit, curve=curve)


def _distance(view: View, spec: MetricSpec, pairs: _Pairs, space: Space) -> Iterator[Estimate]:
    """Change of the Frechet distance; nothing without reference images, or with too few pairs for the dimensions."""
    both = space.kept[pairs.one] & space.kept[pairs.two]
    one, two = pairs.one[both], pairs.two[both]
    prompts = pairs.prompts[both]
    if space.reference is None or 2 * len(one) < spec.min_n or len(np.unique(prompts)) < 2:
        return
    row = np.cumsum(space.kept) - 1
    reworded, original = space.features[row[two]], space.features[row[one]]
    try:
        found = frechet_difference(
            reworded, original, space.reference, clusters=prompts, level=view.level, seed=view.seed
        )
    except ValueError:  # how many pairs are enough only the statistics can tell
        return
    part = rows(view, np.unique(np.concatenate([pairs.one, pairs.two])))
    n = len(np.unique(np.concatenate([one, two])))
    interval = Interval(found.value, found.low, found.high, n, found.clusters, found.method)
    where = {"wording": pairs.name, "score": _FRECHET, **space.slice}
    told: dict[str, Scalar] = {
        "pairs": len(one),
        "original": found.second,
        "reworded": found.first,
        "better": "lower",
        "p": found.p_value,
        "prompts_without": pairs.without,
    }
    made = estimate(part, spec, where, interval, missing=len(part) - n, extra=told)
    yield replace(made, unit="distance difference")


def _method(units: int, *, clustered: bool, shares: bool, still: bool) -> str:
    over = f"cluster-robust t over {units} prompts" if clustered else "paired t, one prompt: pairs as units"
    if shares:
        return f"{over}, one pair added each way (Bonett and Price)"
    return f"{over}; no pair differs, so that it has no width" if still else over
