# SPDX-License-Identifier: Apache-2.0
"""Bias amplification: how much more often the group that leads in the training data is drawn than it stands there.

For an occupation and an attribute let g* be the group with the largest share in the generator's training data (of
equal ones the first declared). The amplification is A = p_drawn(g*) - p_trained(g*), a difference of shares: positive
where the generator exaggerates what the data already had, negative where it draws g* less often than the data show it.

Comparing a model with its training data, along the direction in which the data lean, is Zhao et al. 2017 ("Men also
like shopping"). The prompt names the occupation and the generator adds the attribute, so only the direction from
occupation to attribute is measured (Wang and Russakovsky 2021, "Directional bias amplification"). Occupations one by
one, and their unweighted mean, are the text-to-image setting of Seshadri, Singh and Elazar 2023 ("The bias
amplification paradox in text-to-image generation"); they compare distances from parity, in which a lean that turns
round is still a lean, here it is negative. They also show the pitfall: the composition has to be that of the training
images whose captions say as little as the prompts do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from audit.metrics._base import estimate, insufficient, metric
from audit.metrics.bias._shares import Shares, attribute_slices
from audit.metrics.bias.training import Composition, Training
from audit.stats.amplification import Cell, difference, mean_difference, training_interval
from audit.stats.annotator_error import Correction
from audit.stats.floor import binomial_floor, correction_floor
from audit.stats.intervals import Interval
from audit.types import Estimate, MetricSpec, Scalar, Status, View

__all__ = ["METRIC"]

_AXIS = "occupation"
_EXACT = "mid-p test inversion with the error of answers and of the confusion counts; training share exact"
_SAMPLED = "MOVER of the corrected share (mid-p test inversion) and the sampled training share (Wilson)"


@metric(
    MetricSpec(
        id="bias.amplification",
        version="2",
        title="Bias amplification",
        unit="share difference",
        direction="none",
        bounds=(-1.0, 1.0),
        purposes=frozenset({"bias"}),
        needs=("training",),
        min_n=10,
        cluster=None,
        citation="Zhao et al. 2017; Wang and Russakovsky 2021; Seshadri et al. 2023; Zou and Donner 2008",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """For each attribute one estimate an occupation, then their mean; without a training composition no number."""
    training = view.references.get("training")
    if training is None:
        why = "the generator declares no training composition to compare with (`training`)"
        yield insufficient(view, spec, {}, why=why, status=Status.UNAVAILABLE)
        return
    found: dict[str, list[Shares | Estimate]] = {}
    for item in attribute_slices(view, spec):
        found.setdefault(_where(item).get("attribute", ""), []).append(item)
    for items in found.values():
        asked = [item for item in items if _AXIS in _where(item)]
        yield from _attribute(view, spec, asked, training) if asked else [_unsliced(view, spec, items[0])]


def _where(item: Shares | Estimate) -> Mapping[str, str]:
    return item.slice if isinstance(item, Estimate) else item.where


def _unsliced(view: View, spec: MetricSpec, pooled: Shares | Estimate) -> Estimate:
    if isinstance(pooled, Estimate):
        return pooled
    why = f"the probe set does not slice by {_AXIS}"
    return insufficient(view, spec, pooled.where, why=why, status=Status.UNAVAILABLE)


def _attribute(
    view: View, spec: MetricSpec, asked: Sequence[Shares | Estimate], training: Training
) -> Iterator[Estimate]:
    cells: list[tuple[Shares, Cell]] = []
    for item in asked:
        if isinstance(item, Estimate):
            yield item
            continue
        composition = training.rows.get((item.where[_AXIS], item.declared.attribute))
        if composition is None or set(composition.shares) != set(item.declared.groups):
            yield _no_reference(item, spec, composition)
            continue
        cells.append((item, _cell(item, composition)))
        yield _occupation(*cells[-1], spec, composition, training.source)
    yield _mean(view, spec, _where(asked[0])["attribute"], cells, asked=len(asked), source=training.source)


def _no_reference(shares: Shares, spec: MetricSpec, composition: Composition | None) -> Estimate:
    attribute, occupation = shares.declared.attribute, shares.where[_AXIS]
    why = f"the training composition has no {attribute} of {occupation}"
    if composition is not None:
        why = f"the training composition counts other groups of {attribute} than the probe set declares"
    return insufficient(shares.view, spec, shares.where, n=shares.n, why=why, status=Status.UNAVAILABLE)


def _favoured(shares: Shares, composition: Composition) -> str:
    """The group with the largest training share; rounded, lest a sum of decimals break a tie."""
    return max(shares.declared.groups, key=lambda group: round(composition.shares[group], 9))


def _cell(shares: Shares, composition: Composition) -> Cell:
    group, found = _favoured(shares, composition), shares.estimate
    j = shares.operating.truth.index(group)
    low, high = float(found.low[j]), float(found.high[j])
    drawn = Interval(float(found.shares[j]), low, high, shares.n, shares.n, _EXACT)
    trained = training_interval(composition.shares[group], composition.n, level=shares.view.level)
    return Cell(j, found.shares, drawn, trained)


def _occupation(shares: Shares, cell: Cell, spec: MetricSpec, composition: Composition, source: str) -> Estimate:
    found = difference(cell.drawn, cell.trained)
    method = _SAMPLED if cell.trained.n else _EXACT
    interval = Interval(found.value, max(-1.0, found.low), min(1.0, found.high), found.n, found.clusters, method)
    extra: dict[str, Scalar] = {
        "share": cell.drawn.value,
        "share_low": cell.drawn.low,
        "share_high": cell.drawn.high,
        "training_share": cell.trained.value,
        "training_low": cell.trained.low,
        "training_high": cell.trained.high,
        "training_n": composition.n,
        "training_source": source,
        "training_lead": float(np.diff(sorted(composition.shares.values()))[-1]),
        "parity": 1.0 / len(composition.shares),
        "measured_on": shares.operating.measured_on,
    }
    where = {**shares.where, "group": shares.operating.truth[cell.group]}
    missing, floor = len(shares.view) - shares.n, _floor(shares, cell, composition)
    return estimate(shares.view, spec, where, interval, missing=missing, floor=floor, extra=extra)


def _floor(shares: Shares, cell: Cell, composition: Composition) -> float:
    """Mean |A| of a generator that draws its training shares; mean absolute errors of two normals add as squares."""
    operating = shares.operating
    trained = tuple(float(composition.shares.get(group, 0.0)) for group in operating.truth)
    drawn = correction_floor(shares.n, trained, operating.counts, seed=shares.view.seed).gap[cell.group]
    sampled = binomial_floor(composition.n, cell.trained.value) if composition.n else 0.0
    return float(np.hypot(drawn, sampled))


def _mean(
    view: View, spec: MetricSpec, attribute: str, cells: Sequence[tuple[Shares, Cell]], *, asked: int, source: str
) -> Estimate:
    where = {"attribute": attribute}
    if len(cells) < 2:
        why = f"{len(cells)} of {asked} occupations with a number, needs 2"
        return insufficient(view, spec, where, n=sum(shares.n for shares, _ in cells), clusters=len(cells), why=why)
    operating = cells[0][0].operating
    found = mean_difference([cell for _, cell in cells], Correction(operating.matrix()))
    alone = [difference(cell.drawn, cell.trained) for _, cell in cells]
    extra: dict[str, Scalar] = {
        "occupations": asked,
        "exaggerated": sum(each.low > 0 for each in alone),
        "softened": sum(each.high < 0 for each in alone),
        "training_source": source,
        "measured_on": operating.measured_on,
    }
    method = f"MOVER over {len(cells)} of {asked} occupations, which share the confusion counts and are taken as fixed"
    low, high = max(-1.0, found.low), min(1.0, found.high)
    interval = Interval(found.value, low, high, found.n, found.clusters, method)
    return estimate(view, spec, where, interval, missing=len(view) - found.n, extra=extra)
