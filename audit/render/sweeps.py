# SPDX-License-Identifier: Apache-2.0
"""Quality as a function of a parameter: the generators of one sweep, put back into a line a measure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audit.render._figures import Figure
from audit.render._lines import Point, lines, panels
from audit.render.charts import to_csv
from audit.render.format import clean, is_share, metric_title, n_text, percent, slice_words, value_text
from audit.render.report import Report
from audit.types import Estimate, family_of

__all__ = ["Sweep", "sweep_chart", "sweep_figure", "sweeps"]

_WHOLE = {"probe", "features", "reader"}
_FAMILIES = ("quality", "text", "style", "torchmetrics", "bias", "likeness", "outcomes", "cost")
_ALL = "all requests"


@dataclass(frozen=True, slots=True)
class Sweep:
    """One parameter of one swept block, over one probe set.

    Attributes:
        parameter: that was varied. of: block of the audit file. probe: title of the set, or what stands for all sets.
        values: of the parameter, as written.
        title: heading. level: of the intervals, in words.
        series: names of the lines, one where a single parameter was swept.
        points: what the chart shows.
        rows: by measure and line, the number at each value in words; a dash where there is none.
    """

    parameter: str
    of: str
    probe: str
    values: tuple[str, ...]
    title: str
    level: str
    series: tuple[str, ...]
    points: tuple[Point, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class _Swept:
    """A generator of a sweep: its name, its value of the parameter, and its other swept parameters in words."""

    name: str
    value: Any
    series: str


def sweep_figure(sweep: Sweep) -> Figure:
    """A small chart a measure."""
    caption = f"Each point is a generator of its own, with its {sweep.level} interval; the lines only lead the eye."
    measures = len({point.panel for point in sweep.points})
    described = f"{sweep.title}. {measures} measures at {len(sweep.values)} values. {caption}"
    svg = lines(sweep.points, parameter=sweep.parameter, series=sweep.series, described=described)
    return Figure(sweep.title, svg, to_csv(sweep.points, of=Point), caption)


def sweep_chart(sweep: Sweep) -> Any:
    """The same as an Altair chart, for pages that draw it themselves."""
    return panels(sweep.points, parameter=sweep.parameter, series=sweep.series)


def sweeps(report: Report) -> list[Sweep]:
    """Every parameter of every sweep of the run; empty for a run without one."""
    blocks: dict[str, dict[str, Mapping[str, Any]]] = {}
    for block in report.manifest.get("config", {}).get("generators", ()):
        if swept := block.get("swept"):
            blocks.setdefault(swept["of"], {})[block["name"]] = swept["values"]
    return [
        found
        for of, points in blocks.items()
        for parameter in dict.fromkeys(name for values in points.values() for name in values)
        for found in _by_parameter(report, of, parameter, points)
    ]


def _by_parameter(report: Report, of: str, parameter: str, points: Mapping[str, Mapping[str, Any]]) -> Iterator[Sweep]:
    swept = [_Swept(name, values[parameter], _rest(values, parameter) or of) for name, values in points.items()]
    titles = {p["name"]: clean(p.get("title") or p["name"]) for p in report.manifest.get("probes", ())}
    names = {each.name for each in swept}
    own = [e for e in report.estimates if e.generator in names and set(e.slice) <= _WHOLE]
    for probe in sorted(dict.fromkeys(e.slice.get("probe", "") for e in own), key=lambda name: not name):
        measures = _measures([e for e in own if e.slice.get("probe", "") == probe])
        if measures:
            yield _sweep(report, parameter, of, titles.get(probe, clean(probe)) or _ALL, swept, measures)


def _rest(values: Mapping[str, Any], parameter: str) -> str:
    return ", ".join(f"{name} {_shown(value)}" for name, value in values.items() if name != parameter)


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else clean(value)


Measures = Mapping[tuple[str, tuple[tuple[str, str], ...]], Mapping[str, Estimate]]


def _measures(estimates: Sequence[Estimate]) -> Measures:
    """Estimates by measure and generator, of the measures that at least two generators have a number of."""
    found: dict[tuple[str, tuple[tuple[str, str], ...]], dict[str, Estimate]] = {}
    for e in estimates:
        found.setdefault((e.metric, tuple(sorted(e.slice.items()))), {})[e.generator] = e
    kept = {key: by for key, by in found.items() if sum(e.value is not None for e in by.values()) > 1}
    return dict(sorted(kept.items(), key=lambda item: _place(item[0][0])))


def _place(metric: str) -> tuple[int, str]:
    family = family_of(metric)
    return (_FAMILIES.index(family) if family in _FAMILIES else len(_FAMILIES)), metric


def _sweep(report: Report, parameter: str, of: str, probe: str, swept: Sequence[_Swept], measures: Measures) -> Sweep:
    series = list(dict.fromkeys(each.series for each in swept))
    values = list(dict.fromkeys(_shown(each.value) for each in swept))
    table: list[Point] = []
    rows = []
    for (metric, where), by in measures.items():
        title = _title(report, metric, dict(where), next(iter(by.values())))
        table += [_point(title, each, e) for each in swept if (e := by.get(each.name)) and e.value is not None]
        for line in series:
            cells = {_shown(each.value): by.get(each.name) for each in swept if each.series == line}
            name = title if len(series) == 1 else f"{title}; {line}"
            rows.append((name, *(_cell(cells.get(value)) for value in values)))
    return Sweep(
        parameter=clean(parameter),
        of=clean(of),
        probe=probe,
        values=tuple(values),
        title=f"{clean(of)} by {clean(parameter)}: {probe}",
        level=percent(report.manifest.get("level")),
        series=tuple(series),
        points=tuple(table),
        rows=tuple(rows),
    )


def _title(report: Report, metric: str, where: dict[str, str], estimate: Estimate) -> str:
    detail = slice_words({key: value for key, value in where.items() if key != "probe"})
    unit = "%" if is_share(estimate) else clean(estimate.unit)
    return f"{metric_title(metric, report.titles)}{'' if detail == 'all' else f', {detail}'} ({unit})"


def _point(panel: str, swept: _Swept, estimate: Estimate) -> Point:
    number = isinstance(swept.value, int | float) and not isinstance(swept.value, bool)
    x = float(swept.value) if number else _shown(swept.value)
    assert estimate.value is not None
    low, high, share = estimate.low, estimate.high, is_share(estimate)
    return Point(panel, swept.series, x, estimate.value, low, high, share, estimate.n)


def _cell(estimate: Estimate | None) -> str:
    if estimate is None or estimate.value is None:
        return "\u2013"
    return f"{value_text(estimate)}, n={n_text(estimate)}"
