# SPDX-License-Identifier: Apache-2.0
"""How different the images of one prompt are, overall and within each group: a group drawn alike is a stereotype.

Qadri et al. 2023 ("AI's regimes of representation") and others describe groups that are always drawn as the same
person; shares of groups cannot show that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from audit.metrics._base import estimate, insufficient, metric, missing_column
from audit.metrics.bias._answers import answers_about
from audit.metrics.bias._rows import Codes, axis_codes, coded, image_features, ordered, parts, rows
from audit.stats.diversity import SIZE, Diversity, copies_limit, diversity, mean_over_prompts, pairwise_distance, vendi
from audit.stats.intervals import Interval
from audit.types import DeclaredGroups, Estimate, MetricSpec, Scalar, View

__all__ = ["METRIC"]

_FEATURES = "clip.features"
#: Beyond so many images a prompt the score of all of them at once is left out.
_MOST = 500


@dataclass(frozen=True, slots=True, eq=False)
class _Images:
    """Images with features.

    Attributes:
        view: of all rows. spec: of the metric.
        spec: of the metric.
        unit: features of unit length, shape (n, D).
        kept: rows that have some, shape (n,).
        prompts: place of each row's prompt.
        seen: what was computed already, by the rows it was computed on.
    """

    view: View
    spec: MetricSpec
    unit: NDArray[np.float64]
    kept: NDArray[np.bool_]
    prompts: Codes
    seen: dict[bytes, tuple[Diversity, Diversity, float | None]] = field(default_factory=dict)


@metric(
    MetricSpec(
        id="bias.diversity",
        version="1",
        title=f"Variety of {SIZE} images of a prompt",
        unit="effective images",
        direction="higher",
        bounds=(1.0, float(SIZE)),
        purposes=frozenset({"bias"}),
        needs=(_FEATURES,),
        min_n=12,
        cluster="prompt_id",
        citation="Friedman and Dieng 2023, eq. 3; Efron and Stein 1981",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """Overall, by axis, and within each declared group: of those asked for, otherwise of those perceived."""
    absent = missing_column(view, spec)
    if absent is not None:
        yield absent
        return
    view = ordered(view, _FEATURES, *view.operating)
    unit, kept = image_features(view)
    shown = _Images(view, spec, unit, kept, coded(view.columns["prompt_id"])[1])
    for where, index in parts(view, view.by):
        yield _estimate(shown, where, index)
    for declared in view.groups.values():
        yield from _within(shown, declared)


def _within(shown: _Images, declared: DeclaredGroups) -> Iterator[Estimate]:
    view, where = shown.view, {"attribute": declared.attribute}
    axis = view.asks.get(declared.attribute)
    if axis is None:
        answers = answers_about(view, shown.spec, declared)
        if isinstance(answers, Estimate):
            yield answers
            return
        codes, by = answers.named(), "perceived"
    else:
        codes, by = axis_codes(view, axis, declared.groups), "asked"
    for i, group in enumerate(declared.groups):
        yield _estimate(shown, {**where, "group": group}, np.flatnonzero(codes == i), by=by)


def _estimate(shown: _Images, where: Mapping[str, str], index: Codes, *, by: str | None = None) -> Estimate:
    view, spec, part = shown.view, shown.spec, rows(shown.view, index)
    found, left_out = _by_prompt(shown, index)
    if not found:
        why = f"no prompt with {spec.min_n} images"
        return insufficient(part, spec, where, n=int(shown.kept[index].sum()), why=why)
    score = mean_over_prompts([one for one, _, _ in found], level=view.level)
    distance = mean_over_prompts([one for _, one, _ in found], level=view.level)
    whole = [one for _, _, one in found if one is not None]
    low = max(1.0, score.low)
    high = max(min(float(SIZE), score.high), copies_limit(score.n, level=view.level))
    extra: dict[str, Scalar] = {
        "pairwise_distance": distance.value,
        "pairwise_low": max(0.0, distance.low),
        "pairwise_high": min(2.0, distance.high),
        "of_all_images": float(np.mean(whole)) if len(whole) == len(found) else None,
        "prompts_left_out": left_out,
        **({"by": by} if by else {}),
    }
    method = f"jackknife over images, t; subsets of {SIZE}, prompts taken as fixed"
    interval = Interval(score.value, min(low, score.value), max(high, score.value), score.n, len(found), method)
    return estimate(part, spec, where, interval, missing=len(part) - score.n, extra=extra)


def _by_prompt(shown: _Images, index: Codes) -> tuple[list[tuple[Diversity, Diversity, float | None]], int]:
    """What is found of each prompt with enough images, and how many prompts had fewer."""
    mine = index[shown.kept[index]]
    mine = mine[np.argsort(shown.prompts[mine], kind="stable")]
    _, starts = np.unique(shown.prompts[mine], return_index=True)
    members = [m for m in np.split(mine, starts[1:]) if len(m) >= shown.spec.min_n]
    return [_prompt(shown, m) for m in members], len(np.unique(shown.prompts[index])) - len(members)


def _prompt(shown: _Images, members: Codes) -> tuple[Diversity, Diversity, float | None]:
    key = members.tobytes()
    if key not in shown.seen:
        unit = shown.unit[members]
        whole = float(vendi(unit)) if len(unit) <= _MOST else None
        shown.seen[key] = diversity(unit, seed=shown.view.seed), pairwise_distance(unit), whole
    return shown.seen[key]
