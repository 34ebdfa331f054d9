# SPDX-License-Identifier: Apache-2.0
"""Line charts: a number as a function of a parameter, with its interval as a band."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from audit.render.charts import finish
from audit.render.format import clean, shorten
from audit.render.theme import GENERATOR_COLOURS, GENERATOR_SHAPES, chart_config

__all__ = ["Point", "lines", "panels"]

_LOG_FROM = 8.0  # values further apart than this would crowd at one end of a plain axis
_WIDTH, _HEIGHT, _COLUMNS = 300, 140, 2
#: Numbers as people write them, thousands and more with their prefix.
_PLAIN = "abs(datum.value) >= 1e4 ? format(datum.value, '~s') : format(datum.value, '~f')"
_TITLE = 44  # characters above a panel, as many as are sure to fit


@dataclass(frozen=True, slots=True)
class Point:
    """One number at one value of the parameter.

    Attributes:
        panel: title of the small chart, with unit. series: line that it belongs to.
        x: value of the parameter; a text where the values are no numbers.
        value, low, high: the number and its interval. percent: whether it is a share.
        n: images behind it.
    """

    panel: str
    series: str
    x: float | str
    value: float
    low: float | None
    high: float | None
    percent: bool
    n: int


def lines(table: Sequence[Point], *, parameter: str, series: Sequence[str], described: str) -> str:
    """Small charts side by side, one a panel, all over the same parameter.

    Args:
        table: what to draw; panels appear in the order of their first point, texts on the axis in that of theirs.
        parameter: title of the horizontal axis.
        series: all lines, so that a line keeps its colour on every panel.
        described: one sentence for people who do not see the picture.

    Returns:
        One ``<svg>`` element without size, with role and label.
    """
    import vl_convert

    spec = panels(table, parameter=parameter, series=series).to_dict()
    spec["config"] = chart_config()
    return finish(vl_convert.vegalite_to_svg(spec), described)


def panels(table: Sequence[Point], *, parameter: str, series: Sequence[str]) -> Any:
    """The same as an Altair chart, without the theme."""
    import altair as alt

    charts = [
        _panel(alt, [point for point in table if point.panel == panel], parameter=clean(parameter), series=series)
        for panel in dict.fromkeys(point.panel for point in table)
    ]
    return alt.concat(*charts, columns=_COLUMNS, spacing=24)


def _panel(alt: Any, table: Sequence[Point], *, parameter: str, series: Sequence[str]) -> Any:
    names = [clean(name) for name in series]
    rows = [_row(point) for point in table]
    x = _axis(alt, table, parameter)
    side = alt.Axis(grid=True, tickCount=4, labelExpr=_PLAIN)
    y = alt.Y("value:Q", title=None, scale=alt.Scale(zero=False), axis=side)
    colours = [GENERATOR_COLOURS[i % len(GENERATOR_COLOURS)] for i in range(len(names))]
    shapes = [GENERATOR_SHAPES[i % len(GENERATOR_SHAPES)] for i in range(len(names))]
    legend = alt.Legend(title=None, columns=2) if len(names) > 1 else None
    colour = alt.Color("series:N", sort=names, scale=alt.Scale(domain=names, range=colours), legend=legend)
    shape = alt.Shape("series:N", sort=names, scale=alt.Scale(domain=names, range=shapes), legend=legend)
    base = alt.Chart(alt.Data(values=rows))
    band = base.mark_area(opacity=0.16).encode(x=x, y=alt.Y("low:Q", title=None), y2="high:Q", color=colour)
    ends = base.mark_rule(strokeWidth=1.5, opacity=0.7).encode(x=x, y="low:Q", y2="high:Q", color=colour)
    line = base.mark_line(strokeWidth=2).encode(x=x, y=y, color=colour)
    dot = base.mark_point(filled=True, size=55, opacity=1).encode(x=x, y=y, color=colour, shape=shape)
    title = shorten(table[0].panel, _TITLE)
    return alt.layer(band, ends, line, dot).properties(width=_WIDTH, height=_HEIGHT, title=_title(alt, title))


def _title(alt: Any, text: str) -> Any:
    return alt.TitleParams(text, anchor="start", fontSize=12, fontWeight="bold", offset=6)


def _row(point: Point) -> dict[str, Any]:
    """A point as the chart reads it: shares in per cent, an interval that is not there as the value itself."""
    scale = 100.0 if point.percent else 1.0
    low, high = (point.value if end is None or not math.isfinite(end) else end for end in (point.low, point.high))
    scaled = {"value": scale * point.value, "low": scale * low, "high": scale * high}
    return {**asdict(point), **scaled, "series": clean(point.series)}


def _axis(alt: Any, table: Sequence[Point], parameter: str) -> Any:
    """Numbers on a plain or logarithmic axis with a tick at each of them, everything else in the order given."""
    values = list(dict.fromkeys(point.x for point in table))
    numbers = sorted(value for value in values if not isinstance(value, str))
    if len(numbers) < len(values):
        order = [clean(value) for value in values]
        return alt.X("x:N", title=parameter, sort=order, axis=alt.Axis(labelAngle=0))
    wide = numbers[0] > 0 and numbers[-1] / numbers[0] > _LOG_FROM
    scale = alt.Scale(type="log", nice=False) if wide else alt.Scale(zero=False, nice=False, padding=12)
    return alt.X(
        "x:Q",
        title=parameter,
        scale=scale,
        axis=alt.Axis(values=numbers, grid=False, labelExpr=_PLAIN, labelFlush=False),
    )
