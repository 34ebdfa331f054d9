# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import csv
import io
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from audit.render import Report, charts
from audit.render._figures import frechet_figures
from audit.render.charts import Dot, dots, to_csv

HOSTILE = '<script>alert(1)</script>"\x00\u202e'
ROWS = [
    Dot("nurse", "a", "feminine", 0.9, 0.8, 1.0, 0.85, 0.5, 0.4, 0.6),
    Dot("nurse", HOSTILE, "feminine", 0.2, 0.1, 0.3, 0.25, 0.5, 0.4, 0.6),
    Dot("CEO", "a", "feminine", 0, None, None, None, 0.5),
]


def draw(rows: list[Dot], **more) -> str:
    return dots(
        rows, **{"title": "share, %", "percent": True, "series": ["a", HOSTILE], "described": "A chart.", **more}
    )


def test_same_table_same_bytes_and_inert_svg() -> None:
    svg = draw(ROWS)
    assert svg == draw(ROWS)
    root = ET.fromstring(svg)
    assert {element.tag.rpartition("}")[2] for element in root.iter()} <= charts._ELEMENTS
    assert "<script" not in svg
    assert root.get("role") == "img"
    assert root.get("aria-label") == "A chart."
    assert "width" not in root.attrib  # fills its container
    assert root.get("viewBox")
    assert "nurse" in svg


def test_marks_stand_where_the_numbers_are() -> None:
    """The interval of a wider share is drawn wider: the picture follows the table."""
    left = draw([Dot("x", "a", "", 0.5, 0.4, 0.6)])
    wide = draw([Dot("x", "a", "", 0.5, 0.1, 0.9)])
    assert left != wide


def test_panels_become_columns() -> None:
    svg = draw([Dot("x", "a", panel, 0.3, 0.2, 0.4) for panel in ("light", "medium", "dark")])
    assert all(panel in svg for panel in ("light", "medium", "dark"))


def test_values_that_are_no_share() -> None:
    assert "27" in draw([Dot("x", "a", "", 27.4, 26.8, 28.0, 30.1)], percent=False)
    assert draw([Dot("x", "a", "", 0.0, 0.0, 0.0)], percent=False)


def test_foreign_element_is_refused() -> None:
    with pytest.raises(ValueError, match="script"):
        charts.finish('<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>', "x")
    with pytest.raises(ValueError, match="path"):
        charts.finish('<svg xmlns="http://www.w3.org/2000/svg"><path onload="x"/></svg>', "x")


def test_csv_holds_the_table_and_no_formula() -> None:
    rows = list(csv.reader(io.StringIO(to_csv([*ROWS, Dot("=cmd()", "@x", "-y", 0.5, 0.4, 0.6)]))))
    assert rows[0][:4] == ["label", "series", "panel", "value"]
    assert rows[1][3:6] == ["0.9", "0.8", "1"]
    assert rows[-1][:3] == ["'=cmd()", "'@x", "'-y"]
    assert rows[3][4] == ""


def test_each_feature_space_has_a_chart_of_its_own_and_slices_have_none(report: Report):
    base = next(e for e in report.estimates if e.metric == "quality.frechet_distance" and e.value is not None)
    probe = {"probe": base.slice.get("probe", "portraits")}
    places = [{"features": "clip"}, {"features": "inception"}, {"features": "clip", "occupation": "nurse"}]
    found = tuple(replace(base, slice={**probe, **place}) for place in places)
    figures = list(frechet_figures(replace(report, estimates=found)))
    assert [figure.title for figure in figures] == [
        "Frechet distance to the reference images, clip features",
        "Frechet distance to the reference images, inception features",
    ]
    assert all(len(figure.csv.strip().splitlines()) == 2 for figure in figures)
