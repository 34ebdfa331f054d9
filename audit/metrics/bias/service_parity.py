# SPDX-License-Identifier: Apache-2.0
"""Whether every group is served as well: refusals, faces, match with the prompt and fidelity, by group.

Quality-of-service harm in the sense of Barocas et al. 2017: a product that works worse for some groups than for others.
Groups are those that prompts ask for; where none is asked for, those that are perceived, as answered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from audit.metrics._base import estimate, insufficient, metric
from audit.metrics.bias._rows import ordered, rows
from audit.metrics.bias._service import COLUMNS, Grouped, Service, grouped_by, services
from audit.stats.contrasts import spread, spread_floor
from audit.stats.intervals import Interval
from audit.types import Estimate, MetricSpec, Scalar, Status, View

__all__ = ["METRIC"]


@metric(
    MetricSpec(
        id="bias.service_parity",
        version="2",
        title="Quality of service, best minus worst group",
        unit="score",
        direction="none",  # groups' own numbers stand beside the differences, and of some of them more is better
        bounds=(None, None),
        purposes=frozenset({"bias"}),
        needs=(),
        reads=COLUMNS,
        min_n=10,
        cluster="prompt_id",
        citation="Barocas et al. 2017; Newcombe 1998, method 10; Heusel et al. 2017, eq. 6",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """For every attribute and service: each group's number, and largest minus smallest."""
    if not view.groups:
        yield insufficient(view, spec, {}, why="no probe set declares groups", status=Status.UNAVAILABLE)
        return
    columns = sorted({*COLUMNS, *view.operating} & set(view.columns))
    view = ordered(view, *columns)
    for declared in view.groups.values():
        grouped = grouped_by(view, spec, declared)
        if isinstance(grouped, Estimate):
            yield grouped
            continue
        found = list(services(grouped))
        if not found:
            where, why = {"attribute": declared.attribute}, f"none of the columns {', '.join(COLUMNS)}"
            yield insufficient(view, spec, where, why=why, status=Status.UNAVAILABLE)
        for service in found:
            yield from _estimates(grouped, service)


def _estimates(grouped: Grouped, service: Service) -> Iterator[Estimate]:
    where = {"attribute": grouped.declared.attribute, "service": service.name}
    place = {group: i for i, group in enumerate(grouped.called)}
    for i, group in enumerate(grouped.declared.groups):
        if i in place:
            yield _own(grouped, service, {**where, "group": group}, place[i])
        else:
            why, none = "no prompt asks for it", rows(grouped.view, np.zeros(0, dtype=np.int64))
            yield _unit(insufficient(none, grouped.spec, {**where, "group": group}, why=why), service)
    yield _unit(_range(grouped, service, where), service)


def _unit(made: Estimate, service: Service) -> Estimate:
    return replace(made, unit=service.unit)


def _own(grouped: Grouped, service: Service, where: Mapping[str, str], g: int) -> Estimate:
    part = rows(grouped.view, np.flatnonzero(grouped.codes == grouped.called[g]))
    own, n = service.own[g], service.n[g]
    if own is None:
        return _unit(insufficient(part, grouped.spec, where, n=n, why=service.why[g]), service)
    made = estimate(part, grouped.spec, where, own, missing=len(part) - n, extra={"by": grouped.by})
    return _unit(made, service)


def _range(grouped: Grouped, service: Service, where: Mapping[str, str]) -> Estimate:
    view, spec, n, called = grouped.view, grouped.spec, sum(service.n), grouped.called
    asked = np.flatnonzero(grouped.codes >= 0) if grouped.by == "asked" else np.arange(len(view))
    part = rows(view, asked)
    groups = [grouped.declared.groups[i] for i in called]
    if len(groups) < 2:
        return insufficient(part, spec, where, n=n, why=f"{len(groups)} groups asked for, needs 2")
    numbers = [own for own in service.own if own is not None]
    if len(numbers) < len(groups):
        first = service.own.index(None)
        return insufficient(part, spec, where, n=n, why=f"{groups[first]}: {service.why[first]}")
    found = spread(np.array([own.value for own in numbers]), service.lows, service.highs)
    best, worst = numbers[found.highest].value, numbers[found.lowest].value
    floor = spread_floor(service.covariance, seed=view.seed)
    clusters = sum(own.clusters for own in numbers)
    extra: dict[str, Scalar] = {
        "excess": found.value - floor,
        "highest": groups[found.highest],
        "lowest": groups[found.lowest],
        "ratio": worst / best if best > 0 else None,
        "by": grouped.by,
    }
    method = f"{service.method}; all pairs of {len(groups)} groups (Bonferroni)"
    interval = Interval(found.value, found.low, found.high, n, clusters, method)
    return estimate(part, spec, where, interval, missing=len(part) - n, floor=floor, extra=extra)
