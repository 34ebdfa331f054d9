# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import csv
import io
import json
import re
from xml.etree import ElementTree as ET

import pytest
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from scipy.stats import binomtest

from audit.errors import StoreError
from audit.paths import data_root
from audit.render.survival import LAYERS, cell_words, read_summary, section, survival_chart

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '<script>alert(1)</script>\u202e"'


def share(k: int, n: int) -> dict[str, float] | None:
    if not n:
        return None
    interval = binomtest(k, n).proportion_ci(method="exact")
    return {"value": k / n, "low": float(interval.low), "high": float(interval.high)}


def cell(edit: str, layer: str, kept: int, broken: int, gone: int, missing: int = 0) -> dict:
    n = kept + broken + gone
    counts = {"kept": kept, "broken": broken, "gone": gone, "missing": missing}
    shares = {"kept_share": share(kept, n), "broken_share": share(broken, n)}
    return {"edit": edit, "layer": layer, "n": n, **counts, **shares}


@pytest.fixture
def summary() -> dict:
    edits = [("copy", "Copied", "copy"), ("jpeg", "JPEG 90", "compression"), ("append", "Appended", "container")]
    cells = [
        cell("copy", "c2pa", 40, 0, 0),
        cell("copy", "xmp", 0, 0, 0),
        cell("copy", "watermark", 38, 0, 2),
        cell("jpeg", "c2pa", 0, 0, 40),
        cell("jpeg", "xmp", 0, 0, 0),
        cell("jpeg", "watermark", 30, 5, 5),
        cell("append", "c2pa", 0, 40, 0),
        cell("append", "xmp", 0, 0, 0),
        cell("append", "watermark", 0, 0, 0, 40),
    ]
    made = {
        "schema": 1,
        "level": 0.95,
        "images": {"found": 90, "drawn": 41, "measured": 40, "fresh": 40, "seed": 3, "notes": {}},
        "layers": {"c2pa": 40, "xmp": 0, "watermark": 40},
        "edits": [{"id": i, "title": t, "family": f, "parameters": {}, "changes_picture": True} for i, t, f in edits],
        "cells": cells,
        "cost": {"n": 40, "unchanged": 0, "psnr": {"median": 41.23, "p10": 39.9}, "ssim": {"median": 0.99, "p10": 0.9}},
        "note": "Like platforms, measured on none.",
    }
    return json.loads(json.dumps(made, sort_keys=True))  # as a file holds it: layers out of order


def words_of(svg: str) -> list[str]:
    return [" ".join("".join(text.itertext()).split()) for text in ET.fromstring(svg).iter(f"{SVG}text")]


def test_every_cell_shows_its_number_and_broken_ones_a_sign_and_a_colour(summary) -> None:
    svg = section(summary).figure.svg
    words = words_of(svg)
    assert {"Content Credentials", "watermark", "Copied", "JPEG 90", "Appended", "compression"} <= set(words)
    assert "XMP source type" not in words  # no image had it
    assert {"100", "95", "0", "75 ×12", "0 ×100", "–"} <= set(words)
    edges = re.findall(r'stroke="(#[0-9a-f]{6})"', svg)
    assert edges.count("#d55e00") == 2
    assert svg == section(summary).figure.svg


def test_the_colour_follows_the_share(summary) -> None:
    fills = set(re.findall(r'fill="(#[0-9a-f]{6})"', section(summary).figure.svg))
    assert {"#0071b1", "#e9edf2", "#d55e00"} <= fills  # all kept, all gone, all broken


def test_dark_pages_leave_the_cells_alone() -> None:
    from audit.render.survival import Heat, _drawn

    css = (data_root() / "reports" / "templates" / "report.css").read_text()
    replaced = set(re.findall(r'(?:fill|stroke)="(#[0-9a-f]{6})"', css))
    assert replaced
    drawn = [_drawn(Heat("f", "e", "l", k / 100, b / 100, 100, 0)) for k in range(101) for b in range(101 - k)]
    assert not replaced & {one[key] for one in drawn for key in ("fill", "edge", "ink")}


def test_letters_stand_out_from_their_cell(summary) -> None:
    """Contrast of at least 4.5 (WCAG 2.2, 1.4.3) for every share, over the shares that a report can show."""
    from audit.render.survival import Heat, _drawn

    def light(colour: str) -> float:
        levels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in levels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    worst = 99.0
    for kept in range(101):
        for broken in range(101 - kept):
            drawn = _drawn(Heat("f", "e", "l", kept / 100, broken / 100, 100, 0))
            bright, dark = sorted((light(drawn["fill"]), light(drawn["ink"])), reverse=True)
            worst = min(worst, (bright + 0.05) / (dark + 0.05))
    assert worst >= 4.5


def test_the_table_has_every_interval(summary) -> None:
    said = section(summary)
    assert said.layers == ("Content Credentials", "watermark")
    lines = {line.edit: line.cells for line in said.lines}
    assert lines["Copied"] == ("kept 100\xa0% [91, 100]", "kept 95\xa0% [83, 99]")
    assert lines["JPEG 90"] == ("kept 0\xa0% [0, 9]", "kept 75\xa0% [59, 87]; broken 12\xa0% [4, 27]")
    assert lines["Appended"] == ("broken 100\xa0% [91, 100]", "40 not done")
    assert "median 41.2 dB, 10th percentile 39.9 dB" in said.cost
    assert "40 of 90 images, drawn with seed 3" in said.lead
    rows = list(csv.DictReader(io.StringIO(said.figure.csv)))
    assert [(r["kept"], r["broken"], r["n"]) for r in rows if r["edit"] == "JPEG 90"] == [
        ("0", "0", "40"), ("0.75", "0.125", "40"),
    ]  # fmt: skip


def test_cells_without_images() -> None:
    assert cell_words(cell("e", "xmp", 0, 0, 0)) == "–"
    assert cell_words(cell("e", "xmp", 3, 0, 0, 2)) == "kept 100\xa0% [29, 100]; 2 not done"


def test_no_watermark_no_cost(summary) -> None:
    assert section({**summary, "cost": None}).cost == ""
    flat = {"n": 2, "unchanged": 2, "psnr": {"median": None, "p10": None}, "ssim": None}
    said = section({**summary, "cost": flat}).cost
    assert "median infinite" in said
    assert "2 pictures are the same as before" in said


def test_the_page_of_a_report(summary) -> None:
    summary["edits"][0]["title"] = HOSTILE
    summary["note"] = HOSTILE
    folder = data_root() / "reports" / "templates"
    environment = Environment(loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined)
    page = environment.from_string('{% import "_survival.html.j2" as v %}{{ v.section(s, svg) }}').render(
        s=section(summary), svg=lambda figure: Markup(figure.svg)
    )
    assert '<section id="survival">' in page
    assert "<script" not in page
    assert "\u202e" not in page
    assert "kept 75" in page


def test_a_page_of_its_own(summary, tmp_path) -> None:
    from audit.render.survival import page, write_page

    summary |= {"tool": {"name": "genaudit", "version": HOSTILE}, "finished": "2026-11-29T05:00:00Z"}
    text = page(summary).decode()
    assert text.count("<section") == 1
    assert "<script" not in text
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")
    assert write_page(tmp_path, summary).read_bytes() == page(summary)
    with pytest.raises(StoreError):
        write_page(tmp_path / "none", summary)
    assert [path.name for path in tmp_path.iterdir()] == ["survival.html"]


def test_the_dashboard_gets_the_same_chart(summary) -> None:
    spec = survival_chart(summary).to_dict()
    assert [panel["layer"][0]["mark"]["type"] for panel in spec["vconcat"]] == ["rect"] * 3


def test_reading_back(tmp_path, summary) -> None:
    assert read_summary(tmp_path) is None
    path = tmp_path / "survival" / "survival.json"
    path.parent.mkdir()
    path.write_text(json.dumps(summary))
    assert read_summary(tmp_path) == summary
    damaged = copy.deepcopy(summary)
    damaged["cells"] = damaged["cells"][1:]
    for text in ("{", "[]", json.dumps({**summary, "schema": 2}), json.dumps(damaged)):
        path.write_text(text)
        with pytest.raises(StoreError) as caught:
            read_summary(tmp_path)
        assert "--force" in str(caught.value.hint)


def test_layers_have_names_here() -> None:
    from audit.provenance.survive import LAYERS as MEASURED

    assert [str(layer) for layer in MEASURED] == list(LAYERS)
