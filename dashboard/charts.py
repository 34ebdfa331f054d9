# SPDX-License-Identifier: Apache-2.0
"""Altair charts of estimates: a dot is a value, its line the interval. Rows in, chart out; nothing is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd
from theme import Look

__all__ = ["interval_chart", "share_chart", "state_chart"]

Rows = Sequence[Mapping[str, Any]]
NEUTRAL = "#8a8f98"  # readable on light and dark grounds
BAND = "#9aa0aa"


def share_chart(rows: Rows, *, order: Sequence[str], looks: Mapping[str, Look]) -> alt.LayerChart:
    """Shares by row and generator with interval, uncorrected share, reference and finite-sample floor.

    Args:
        rows: dicts with row, generator, share, low, high, raw, reference, floor_low, floor_high (0 to 1), label.
        order: rows from top to bottom.
        looks: colour and mark by generator.
    """
    frame = pd.DataFrame(list(rows))
    y = alt.Y("row:N", sort=list(order), title=None, axis=_row_axis())
    offset = alt.YOffset("generator:N", sort=list(looks))
    colour, shape = _colour(looks), _shape(looks)
    tooltip = [
        alt.Tooltip("row:N", title="Row"),
        alt.Tooltip("generator:N", title="Generator"),
        alt.Tooltip("label:N", title="Share"),
    ]
    axis = alt.Axis(format="%", grid=True, tickCount=10, orient="bottom")
    x = alt.X("share:Q", title=None, scale=alt.Scale(domain=[0, 1]), axis=axis)
    base = alt.Chart(frame).encode(y=y, yOffset=offset, tooltip=tooltip)
    band = base.mark_bar(color=BAND, opacity=0.28).encode(x=alt.X("floor_low:Q", title=None), x2="floor_high:Q")
    rule = alt.Chart(frame).mark_rule(color=NEUTRAL, strokeDash=[5, 4], strokeWidth=1.5).encode(x="reference:Q")
    line = base.mark_rule(strokeWidth=2.5).encode(x=alt.X("low:Q", title=None), x2="high:Q", color=colour)
    raw = base.mark_point(size=150, filled=False, strokeWidth=1.6, opacity=0.95).encode(
        x="raw:Q", color=colour, shape=shape
    )
    dot = base.mark_point(size=80, filled=True, opacity=1).encode(x=x, color=colour, shape=shape)
    return _sized([band, rule, line, raw, dot], rows=len(order), lanes=len(looks))


def interval_chart(
    rows: Rows,
    *,
    order: Sequence[str],
    looks: Mapping[str, Look],
    percent: bool = False,
    domain: Sequence[float] | None = None,
) -> alt.LayerChart:
    """Values by row and generator with interval, and the floor as a tick where a row has one.

    Args:
        rows: dicts with row, generator, value, low, high, floor, label.
        order: rows from top to bottom. Where the rows are the generators, there is one lane a row and no legend.
        looks: colour and mark by generator.
        percent: the values are shares.
        domain: ends of the axis; None: as far as the data reach.
    """
    frame = pd.DataFrame(list(rows))
    y = alt.Y("row:N", sort=list(order), title=None, axis=_row_axis())
    laned = any(row["row"] != row["generator"] for row in rows)
    colour, shape = _colour(looks, legend=laned), _shape(looks, legend=laned)
    scale = alt.Scale(domainMin=0, nice=True) if percent else alt.Scale(zero=False, nice=True, padding=12)
    if domain:
        scale = alt.Scale(domain=list(domain))
    axis = alt.Axis(format="%" if percent else ",.6~g", grid=True, tickCount=6, orient="bottom")
    tooltip = [
        alt.Tooltip("row:N", title="Row"),
        alt.Tooltip("generator:N", title="Generator"),
        alt.Tooltip("label:N", title="Value"),
    ]
    base = alt.Chart(frame).encode(y=y, tooltip=tooltip)
    if laned:
        base = base.encode(yOffset=alt.YOffset("generator:N", sort=list(looks)))
    line = base.mark_rule(strokeWidth=2.5).encode(
        x=alt.X("low:Q", title=None, scale=scale, axis=axis), x2="high:Q", color=colour
    )
    floor = base.mark_tick(color=NEUTRAL, thickness=2, size=14).encode(x="floor:Q")
    dot = base.mark_point(size=80, filled=True, opacity=1).encode(x="value:Q", color=colour, shape=shape)
    return _sized([line, floor, dot], rows=len(order), lanes=len(looks) if laned else 1)


def state_chart(rows: Rows, *, colours: Mapping[str, str]) -> alt.Chart:
    """Counts by generator, stacked by state. Rows: generator, state, n."""
    present = [name for name in colours if any(row["state"] == name for row in rows)]
    scale = alt.Scale(domain=present, range=[colours[name] for name in present])
    chart = alt.Chart(pd.DataFrame(list(rows)))
    bars = chart.mark_bar().encode(
        y=alt.Y("generator:N", title=None, axis=_row_axis()),
        x=alt.X("n:Q", title=None, stack="zero", axis=alt.Axis(tickMinStep=1, tickCount=8)),
        color=alt.Color("state:N", scale=scale, legend=alt.Legend(orient="top", title=None, offset=4, padding=0)),
        tooltip=["generator:N", "state:N", alt.Tooltip("n:Q", title="images")],
    )
    height = 48 * len({row["generator"] for row in rows}) + 70
    sized: alt.Chart = bars.properties(height=height)
    return sized


def _colour(looks: Mapping[str, Look], *, legend: bool = True) -> alt.Color:
    scale = alt.Scale(domain=list(looks), range=[look.colour for look in looks.values()])
    return alt.Color("generator:N", scale=scale, legend=_legend(looks) if legend else None)


def _shape(looks: Mapping[str, Look], *, legend: bool = True) -> alt.Shape:
    scale = alt.Scale(domain=list(looks), range=[look.shape for look in looks.values()])
    return alt.Shape("generator:N", scale=scale, legend=_legend(looks) if legend else None)


def _legend(looks: Mapping[str, Look]) -> alt.Legend | None:
    return alt.Legend(orient="top", title=None, offset=4, padding=0) if len(looks) > 1 else None


def _row_axis() -> alt.Axis:
    return alt.Axis(labelLimit=260, ticks=False, domain=False, labelPadding=8)


def _sized(layers: Sequence[alt.Chart], *, rows: int, lanes: int) -> alt.LayerChart:
    height = max(1, rows) * (15 * max(1, lanes) + 12) + 60
    return alt.LayerChart(layer=list(layers), height=height)
