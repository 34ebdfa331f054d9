# SPDX-License-Identifier: Apache-2.0
"""Small tables to SVG, with Altair and vl-convert: offline, and the same bytes for the same table."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any
from xml.etree import ElementTree as ET

from audit.render.format import clean
from audit.render.theme import GENERATOR_COLOURS, GENERATOR_SHAPES, PALETTE, chart_config

__all__ = ["Dot", "dots", "finish", "to_csv"]

_ELEMENTS = {"svg", "g", "path", "text", "rect", "line", "defs", "clipPath", "tspan", "title", "circle"}
_SVG = "http://www.w3.org/2000/svg"


@dataclass(frozen=True, slots=True)
class Dot:
    """One mark with its interval.

    Attributes:
        label: row of the chart. series: generator. panel: column of the chart.
        value, low, high: the number and its interval.
        raw: the same number before correction, drawn hollow.
        reference: what it is compared with, drawn as a vertical line.
        floor_low, floor_high: where a perfect generator would fall at this n, drawn as a band.
    """

    label: str
    series: str
    panel: str
    value: float
    low: float | None
    high: float | None
    raw: float | None = None
    reference: float | None = None
    floor_low: float | None = None
    floor_high: float | None = None


def to_csv(table: Sequence[Any], *, of: type = Dot) -> str:
    """The data behind a chart, records of the class ``of``.

    Cells that a spreadsheet would run as a formula get a leading apostrophe.
    """
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    names = [field.name for field in fields(of)]
    writer.writerow(names)
    for row in table:
        writer.writerow([_cell(getattr(row, name)) for name in names])
    return sink.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str):
        text = clean(value)
        return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text
    return value


def dots(table: Sequence[Dot], *, title: str, percent: bool, series: Sequence[str], described: str) -> str:
    """A dot-and-interval chart: one line a row label, series side by side in colour and shape, one panel a column.

    Args:
        table: what to draw; labels and panels appear in the order of their first row.
        title: of the value axis, with unit.
        percent: whether values are shares.
        series: all series of the report, so that a generator keeps its colour on every chart.
        described: one sentence for people who do not see the picture.

    Returns:
        One ``<svg>`` element without size (it fills its container), with role and label.
    """
    import altair as alt
    import vl_convert

    spec = _chart(alt, table, title=title, percent=percent, series=series).to_dict()
    spec["config"] = chart_config()
    return finish(vl_convert.vegalite_to_svg(spec), described)


def _chart(alt: Any, table: Sequence[Dot], *, title: str, percent: bool, series: Sequence[str]) -> Any:
    labels, panels = _unique(row.label for row in table), _unique(row.panel for row in table)
    shown = [name for name in map(clean, series) if name in {clean(row.series) for row in table}]
    place = {name: index for index, name in enumerate(map(clean, series))}
    rows = [{key: clean(v) if isinstance(v, str) else v for key, v in asdict(row).items()} for row in table]
    for row in rows:
        row.update({key: 100.0 * v for key, v in row.items() if percent and isinstance(v, int | float)})
    _mark_first(rows)
    x = alt.Scale(domain=_domain(table, percent=percent), nice=not percent, zero=False)
    axis = alt.Axis(tickCount=5, format="~f", title=title)
    y = alt.Y("label:N", sort=labels, title=None, scale=alt.Scale(paddingInner=0.25, paddingOuter=0.12))
    offset = alt.YOffset("series:N", sort=shown, scale=alt.Scale(paddingOuter=0.55))
    colours = [GENERATOR_COLOURS[place[name] % len(GENERATOR_COLOURS)] for name in shown]
    shapes = [GENERATOR_SHAPES[place[name] % len(GENERATOR_SHAPES)] for name in shown]
    legend = alt.Legend(title=None, columns=2) if len(shown) > 1 or len(panels) > 1 else None
    colour = alt.Color("series:N", sort=shown, scale=alt.Scale(domain=shown, range=colours), legend=legend)
    shape = alt.Shape("series:N", sort=shown, scale=alt.Scale(domain=shown, range=shapes), legend=legend)

    base = alt.Chart()
    layers = []
    if any(row.floor_low is not None for row in table):
        band = base.mark_bar(color=PALETTE["band"], opacity=1, size=_band(len(shown)))
        layers.append(band.encode(y=y, yOffset=offset, x=alt.X("floor_low:Q", scale=x, axis=axis), x2="floor_high:Q"))
    if any(row.reference is not None for row in table):
        mark = base.mark_tick(color=PALETTE["reference"], thickness=1.5, opacity=1, size=0.8 * _step(len(shown)))
        once = mark.transform_filter("datum.first")  # one line a row, not one a generator
        layers.append(once.encode(y=y, x=alt.X("reference:Q", scale=x, axis=axis)))
    line = base.mark_rule(strokeWidth=2).encode(
        y=y, yOffset=offset, x=alt.X("low:Q", scale=x, axis=axis), x2="high:Q", color=colour
    )
    layers.append(line)
    if any(row.raw is not None for row in table):
        hollow = base.mark_point(filled=False, size=55, strokeWidth=1.4, opacity=1)
        layers.append(
            hollow.encode(y=y, yOffset=offset, x=alt.X("raw:Q", scale=x, axis=axis), color=colour, shape=shape)
        )
    dot = base.mark_point(filled=True, size=70, opacity=1)
    layers.append(dot.encode(y=y, yOffset=offset, x=alt.X("value:Q", scale=x, axis=axis), color=colour, shape=shape))

    height = max(len(labels), 1) * _step(len(shown))
    width = 640 if len(panels) == 1 else max(150, 690 // len(panels) - 16)
    layered = alt.layer(*layers).properties(width=width, height=height)
    data = alt.Data(values=rows)
    if len(panels) == 1:
        return layered.properties(data=data)
    return layered.facet(column=alt.Column("panel:N", sort=panels, title=None), spacing=18, data=data)


def _mark_first(rows: Sequence[dict[str, Any]]) -> None:
    seen: set[tuple[str, str]] = set()
    for row in rows:
        place = row["label"], row["panel"]
        row["first"] = place not in seen
        seen.add(place)


def _step(series: int) -> int:
    """Height of one row in pixels."""
    return max(22, 13 * series + 10)


def _band(series: int) -> int:
    return max(8, 16 - 2 * series)


def _unique(names: Any) -> list[str]:
    return list(dict.fromkeys(map(clean, names)))


def _domain(table: Sequence[Dot], *, percent: bool) -> list[float]:
    """All of what is drawn; shares from 0 to 100 unless they are all small."""
    numbers = [
        v
        for row in table
        for v in (row.value, row.low, row.high, row.raw, row.reference, row.floor_high)
        if v is not None
    ]
    low, high = min(numbers), max(numbers)
    if percent:
        top = next(limit for limit in (0.05, 0.1, 0.2, 0.5, 1.0) if high <= limit or limit == 1.0)
        return [0.0, 100 * top] if low >= 0 else [-100.0, 100.0]
    edge = 0.06 * ((high - low) or abs(high) or 1.0)
    return [0.0 if 0 <= low < (high - low) else low - edge, high + edge]


def finish(svg: str, described: str) -> str:
    """Drops the fixed size, names the picture, and makes sure that nothing but drawing is in it."""
    ET.register_namespace("", _SVG)
    root = ET.fromstring(svg)  # noqa: S314 - made by vl-convert in this process, not read from outside
    for element in root.iter():
        name = element.tag.rpartition("}")[2]
        if name not in _ELEMENTS or any(
            key.rpartition("}")[2].lower().startswith(("on", "href")) for key in element.attrib
        ):
            raise ValueError(f"chart holds a <{name}> element that no chart needs")
        for key in ("aria-roledescription", "aria-label", "aria-hidden", "role"):
            element.attrib.pop(key, None)
    for key in ("width", "height", "style"):
        root.attrib.pop(key, None)
    root.set("role", "img")
    root.set("aria-label", clean(described))
    return _unique_ids(ET.tostring(root, encoding="unicode"), described)


def _unique_ids(svg: str, described: str) -> str:
    """Clip path ids differ between the charts of one page, and not between two renderings."""
    tag = hashlib.sha256((svg + described).encode()).hexdigest()[:8]
    svg = re.sub(r'id="([A-Za-z]+\d+)"', rf'id="c{tag}\1"', svg)
    return re.sub(r"url\(#([A-Za-z]+\d+)\)", rf"url(#c{tag}\1)", svg)
