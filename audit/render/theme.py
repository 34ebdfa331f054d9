# SPDX-License-Identifier: Apache-2.0
"""Colours and chart theme, shared by the report and the dashboard. Imports nothing, so anybody may read it.

The series colours are those of Okabe and Ito (2008), told apart under all common forms of colour blindness; every
series has a mark shape of its own as well, and every decision is written out: colour never carries a meaning alone.
"""

from __future__ import annotations

from typing import Any

__all__ = ["DECISION_COLOURS", "FONT", "GENERATOR_COLOURS", "GENERATOR_SHAPES", "PALETTE", "chart_config"]

PALETTE: dict[str, str] = {
    "ink": "#1c2530",  # text
    "muted": "#5b6675",  # labels, captions
    "line": "#d5dbe3",  # grid and rules
    "band": "#e6eaf0",  # finite-sample floor
    "reference": "#2f3a48",  # reference line
    "paper": "#ffffff",
    "wash": "#f5f7fa",
    "accent": "#0072b2",
    "accent_dark": "#56b4e9",
}
GENERATOR_COLOURS: tuple[str, ...] = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#b8860b",
    "#56b4e9",
    "#7f6bb3",
    "#8c564b",
)
GENERATOR_SHAPES: tuple[str, ...] = (
    "circle",
    "square",
    "diamond",
    "triangle-up",
    "triangle-down",
    "cross",
    "circle",
    "square",
)
DECISION_COLOURS: dict[str, str] = {
    "pass": "#00795c",
    "fail": "#b3321b",
    "inconclusive": "#8a5a00",
    "not_run": "#5b6675",
    "waived": "#6b4fa0",
}
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"


def chart_config() -> dict[str, Any]:
    """The Vega-Lite ``config`` block of every chart."""
    return {
        "background": None,
        "font": FONT,
        "padding": 4,
        "view": {"stroke": None},
        "axis": {
            "domainColor": PALETTE["line"],
            "gridColor": PALETTE["line"],
            "tickColor": PALETTE["line"],
            "labelColor": PALETTE["ink"],
            "labelFontSize": 12,
            "labelLimit": 190,
            "titleColor": PALETTE["muted"],
            "titleFontSize": 12,
            "titleFontWeight": "normal",
        },
        "axisY": {"grid": False, "domain": False, "ticks": False, "labelPadding": 10},
        "legend": {
            "labelColor": PALETTE["ink"],
            "labelFontSize": 12,
            "labelLimit": 260,
            "titleColor": PALETTE["muted"],
            "orient": "top",
            "offset": 6,
            "symbolStrokeWidth": 1.5,
        },
        "header": {"labelColor": PALETTE["ink"], "labelFontSize": 12, "labelFontWeight": "bold", "title": None},
        "range": {"category": list(GENERATOR_COLOURS)},
    }
