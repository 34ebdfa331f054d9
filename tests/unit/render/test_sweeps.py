# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import csv
import io
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from audit.registry import RENDERERS
from audit.render import Report
from audit.render._lines import Point, lines
from audit.render.sweeps import sweep_figure, sweeps
from audit.types import Estimate, Status

NONE = {"value": None, "low": None, "high": None, "status": Status.INSUFFICIENT, "why": "too few"}


def number(generator: str, value: float, metric: str = "quality.clip_score", **slice_: str) -> Estimate:
    return Estimate(
        metric=metric,
        version="1",
        unit="share" if metric.startswith("outcomes") else "score",
        generator=generator,
        slice=slice_,
        value=value,
        low=value - 0.1,
        high=value + 0.1,
        level=0.95,
        n=40,
        clusters=10,
        missing=0,
        status=Status.OK,
        method="t",
    )


def swept(points: dict[str, dict[str, object]], estimates: list[Estimate]) -> Report:
    blocks = [{"name": name, "swept": {"of": "diffusion", "values": values}} for name, values in points.items()]
    blocks.append({"name": "other", "swept": None})
    manifest = {
        "name": "s",
        "level": 0.95,
        "config": {"generators": blocks},
        "generators": [{"name": block["name"]} for block in blocks],
        "probes": [{"name": "set", "title": "The set", "purpose": "quality"}],
        "metrics": [{"id": "quality.clip_score", "title": "CLIP score"}],
    }
    return Report(manifest, tuple(estimates), None)


ONE = {f"d.steps-{steps}": {"steps": steps} for steps in (20, 5, 100)}
TWO = {f"d.steps-{s}.size-{e}": {"steps": s, "size": e} for s in (5, 10) for e in ("48", "64x32")}


@pytest.fixture
def simple() -> Report:
    numbers = [number(name, 0.2 + i / 10, probe="set") for i, name in enumerate(ONE)]
    parts = [number(name, 9.0, probe="set", occupation="nurse") for name in ONE]
    alone = [number("d.steps-5", 1.0, "quality.blur", probe="set"), number("other", 1.0, probe="set")]
    shares = [number(name, 0.5, "outcomes.answered") for name in ONE]
    return swept(ONE, [*numbers, *parts, *alone, *shares])


def test_a_sweep_holds_the_whole_sets_measures_of_its_own_generators(simple):
    found, answered = sweeps(simple)
    assert (found.parameter, found.of, found.probe, found.values) == (
        "steps",
        "diffusion",
        "The set",
        ("20", "5", "100"),
    )
    assert [(p.x, p.value, p.low, p.series) for p in found.points] == [
        (20, pytest.approx(0.2), pytest.approx(0.1), "diffusion"),
        (5, pytest.approx(0.3), pytest.approx(0.2), "diffusion"),
        (100, pytest.approx(0.4), pytest.approx(0.3), "diffusion"),
    ]
    assert found.rows == (
        ("CLIP score (score)", "0.20 [0.10, 0.30], n=40", "0.30 [0.20, 0.40], n=40", "0.40 [0.30, 0.50], n=40"),
    )
    assert answered.probe == "all requests"
    assert answered.points[0].percent


def test_two_parameters_give_a_view_each_with_a_line_for_every_other_value():
    found = sweeps(swept(TWO, [number(name, float(i), probe="set") for i, name in enumerate(TWO)]))
    assert [(s.parameter, s.values, s.series) for s in found] == [
        ("steps", ("5", "10"), ("size 48", "size 64x32")),
        ("size", ("48", "64x32"), ("steps 5", "steps 10")),
    ]
    assert [(p.x, p.series, p.value) for p in found[1].points] == [
        ("48", "steps 5", 0),
        ("64x32", "steps 5", 1),
        ("48", "steps 10", 2),
        ("64x32", "steps 10", 3),
    ]
    assert [row[0] for row in found[0].rows] == ["CLIP score (score); size 48", "CLIP score (score); size 64x32"]


def test_points_without_a_number_are_gaps_and_a_measure_with_one_point_is_no_line():
    numbers = [number(name, 1.0, probe="set") for name in ONE]
    (found,) = sweeps(swept(ONE, [replace(numbers[0], **NONE), *numbers[1:]]))
    assert [point.x for point in found.points] == [5, 100]
    assert found.rows[0][1] == "–"
    assert sweeps(swept(ONE, [replace(e, **NONE) for e in numbers[:2]] + numbers[2:])) == []


def test_the_chart_has_a_line_a_panel_with_its_data_beside_it(simple):
    sweep = sweeps(simple)[0]
    figure = sweep_figure(sweep)
    assert figure.svg == sweep_figure(sweep).svg
    root = ET.fromstring(figure.svg)
    assert root.get("role") == "img"
    assert "1 measures at 3 values" in root.get("aria-label", "")
    words = {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"CLIP score (score)", "steps", "5", "20", "100"} <= words
    rows = list(csv.DictReader(io.StringIO(figure.csv)))
    assert [(row["x"], row["value"], row["n"]) for row in rows] == [
        ("20", "0.2", "40"),
        ("5", "0.3", "40"),
        ("100", "0.4", "40"),
    ]


def test_numbers_stand_where_they_belong_and_texts_in_their_order():
    def places(xs):
        table = [Point("p", "s", x, 7000.0 + i, None, None, False, 3) for i, x in enumerate(xs)]
        root = ET.fromstring(lines(table, parameter="x", series=["s"], described="d"))
        found = {}
        for text in root.iter("{http://www.w3.org/2000/svg}text"):
            if text.text in {str(x) for x in xs}:
                found[text.text] = float(text.get("transform").partition("(")[2].partition(",")[0])
        return [found[str(x)] for x in xs]

    one, two, four = places([10, 20, 40])
    assert (four - two) / (two - one) == pytest.approx(2, rel=0.05)
    one, ten, hundred = places([1, 10, 100])  # far apart: a logarithmic axis
    assert hundred - ten == pytest.approx(ten - one, rel=0.05)
    ddim, euler = places(["euler", "ddim"])
    assert ddim < euler


def test_untrusted_names_draw_nothing_but_themselves():
    points = {"a": {"<script>": "<b>"}, "b": {"<script>": "=1+1"}}
    numbers = [number(name, 1.0, probe="set") for name in points]
    report = swept(points, numbers)
    figure = sweep_figure(sweeps(report)[0])
    assert "<script" not in figure.svg
    assert "'=1+1" in figure.csv
    page = RENDERERS.get("html").render(report).decode()
    assert "<script></script>" not in page
    assert "&lt;script&gt;" in page


def test_both_documents_show_the_sweep_and_runs_without_one_do_not(simple, page):
    html = RENDERERS.get("html").render(simple).decode()
    text = RENDERERS.get("md").render(simple).decode()
    assert '<section id="sweeps">' in html
    assert "diffusion by steps: The set" in html
    assert "| CLIP score (score) | 0.20" in text
    assert '<section id="sweeps">' not in page
