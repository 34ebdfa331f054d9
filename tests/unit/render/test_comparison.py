# SPDX-License-Identifier: Apache-2.0
"""Which numbers stand in one row, what a cell says, and when one generator is marked as ahead."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.registry import RENDERERS
from audit.render import Report
from audit.render.comparison import AHEAD, compare
from audit.types import Decision, Estimate, Finding, Status, Verdict

NAMES = ("a", "b", "c")


def make(generator="a", value=0.5, low=0.4, high=0.6, *, metric="quality.x", slice_=None, **more) -> Estimate:
    fields = {
        "metric": metric,
        "version": "1",
        "unit": "score",
        "generator": generator,
        "slice": slice_ or {},
        "value": value,
        "low": low,
        "high": high,
        "level": 0.95,
        "n": 40,
        "clusters": 40,
        "missing": 0,
        "status": Status.OK if value is not None else Status.INSUFFICIENT,
        "method": "m",
        "fingerprint": "f",
    }
    return Estimate(**{**fields, **more})


def lost(generator: str, why: str, **more) -> Estimate:
    return make(generator, None, None, None, why=why, **more)


def run(*estimates: Estimate, findings=(), direction="higher", names=NAMES) -> Report:
    metrics = [{"id": name, "title": name, "direction": direction} for name in {e.metric for e in estimates}]
    manifest = {"generators": [{"name": name} for name in names], "metrics": metrics}
    return Report(manifest, tuple(estimates), Verdict("p", "d", tuple(findings)) if findings else None)


def only(report: Report):
    comparison = compare(report)
    assert comparison is not None
    assert len(comparison.rows) == 1
    return comparison.rows[0]


def test_one_generator_is_compared_with_nothing():
    assert compare(run(make(), names=("a",))) is None


def test_a_row_a_whole_probe_set_and_attribute_with_generators_in_the_order_of_the_configuration():
    where = {"probe": "p", "attribute": "age"}
    parts = [make(name, slice_={**where, "occupation": "nurse"}) for name in NAMES]
    row = only(run(*[make(name, slice_=where) for name in reversed(NAMES)], *parts))
    assert [cell.generator for cell in row.cells] == list(NAMES)
    assert (row.slice, row.detail, row.slices) == (where, "apparent age", 0)
    assert all(cell.estimate is not None and cell.estimate.slice == where for cell in row.cells)


def test_cells_without_a_number_say_why_and_nobody_is_ahead():
    row = only(run(make("a", 0.9, 0.8, 1.0), lost("b", "2 images, needs 10"), names=NAMES))
    assert [cell.value for cell in row.cells] == ["0.90", "no number: 2 images, needs 10", "no number: not measured"]
    assert [cell.n for cell in row.cells] == ["40", "", ""]
    assert not any(cell.ahead for cell in row.cells)


def test_a_reason_for_the_whole_measure_stands_in_each_of_its_rows():
    where = {"probe": "p", "attribute": "age"}
    report = run(make("a", slice_=where), lost("b", "no training composition", slice_={"probe": "p"}), names=("a", "b"))
    row = only(report)
    assert row.cells[1].value == "no number: no training composition"
    assert compare(report).without == ()


def test_measures_without_any_number_are_told_below_the_table():
    comparison = compare(run(lost("a", "no instrument"), lost("b", "no instrument"), names=("a", "b")))
    assert comparison is not None
    assert comparison.rows == ()
    assert comparison.without == (("quality.x", "no instrument"),)


def test_few_judged_slices_get_a_row_each():
    whole = [make(name, slice_={"probe": "p"}) for name in NAMES]
    named = [make(name, slice_={"probe": "p", "kind": "named"}) for name in NAMES]
    other = [make(name, slice_={"probe": "p", "kind": "neutral"}) for name in NAMES]
    rows = compare(run(*whole, *named, *other, findings=[Finding("r", Decision.FAIL, "m", (named[1],))])).rows
    assert [row.slice.get("kind") for row in rows] == [None, "named"]
    assert [cell.word for cell in rows[1].cells] == ["", "FAIL", ""]


def gaps(generator: str, values: dict[str, float | None]) -> list[Estimate]:
    where = {"probe": "p", "attribute": "presentation", "group": "feminine"}
    more = {"metric": "bias.representation_gap", "unit": "share"}
    return [
        make(generator, v, v, v, slice_={**where, "occupation": o}, **more)
        if v is not None
        else lost(generator, f"no {o}", slice_={**where, "occupation": o}, **more)
        for o, v in values.items()
    ]


def test_of_many_slices_each_cell_shows_the_one_furthest_from_zero_and_names_it():
    a = gaps("a", {"nurse": 0.2, "CEO": -0.4, "chef": 0.1, "pilot": 0.0, "doctor": 0.3})
    b = gaps("b", {"nurse": None, "CEO": 0.1, "chef": 0.2, "pilot": 0.0, "doctor": 0.0})
    c = gaps("c", dict.fromkeys(("nurse", "CEO", "chef", "pilot", "doctor")))
    findings = [Finding("r", Decision.FAIL if abs(e.value) > 0.2 else Decision.PASS, "m", (e,)) for e in a]
    row = only(run(*a, *b, *c, findings=findings, direction="none"))
    assert row.slices == 5
    assert [cell.slice for cell in row.cells] == ["CEO, feminine", "chef, feminine", ""]
    assert [cell.value for cell in row.cells] == ["−40 points", "+20 points", "no number: no nurse"]
    assert row.cells[0].judged == "of 5 judged: 2 FAIL, 3 PASS"
    assert row.cells[0].word == "FAIL"
    assert not any(cell.ahead for cell in row.cells)


@pytest.mark.parametrize(("direction", "worst"), [("higher", "y"), ("lower", "x")])
def test_worst_follows_the_direction(direction, worst):
    values = {"x": 0.9, "y": 0.1, "z": 0.5, "u": 0.4, "v": 0.6}
    parts = [make("a", v, slice_={"challenge": k}) for k, v in values.items()]
    parts += [make("b", 0.5, slice_={"challenge": "z"})]
    row = only(run(*parts, direction=direction, names=("a", "b")))
    assert [cell.slice for cell in row.cells] == [worst, "z"]


interval = st.tuples(st.floats(-50, 50), st.floats(0, 30)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(st.lists(interval, min_size=2, max_size=8), st.sampled_from(["higher", "lower", "none"]))
def test_ahead_only_where_the_interval_is_apart_from_all_others_on_the_better_side(intervals, direction):
    names = tuple(f"g{i}" for i in range(len(intervals)))
    estimates = [make(name, (low + high) / 2, low, high) for name, (low, high) in zip(names, intervals, strict=True)]
    cells = only(run(*estimates, direction=direction, names=names)).cells
    marked = [i for i, cell in enumerate(cells) if cell.ahead]
    # by exhaustion: every pair of points of the two intervals is in the right order exactly when the near ends are
    apart = {
        "higher": lambda i, j: intervals[i][0] > intervals[j][1],
        "lower": lambda i, j: intervals[i][1] < intervals[j][0],
        "none": lambda _i, _j: False,
    }[direction]
    assert marked == [i for i in range(len(names)) if all(apart(i, j) for j in range(len(names)) if j != i)]
    assert len(marked) <= 1


@pytest.mark.parametrize(
    "other",
    [
        {"low": None, "high": None},
        {"low": math.nan, "high": math.nan},
        {"fingerprint": "other instruments"},
        {"version": "2"},
    ],
)
def test_no_mark_without_intervals_or_with_other_instruments(other):
    plain = [make("a", 0.9, 0.8, 1.0), make("b", 0.2, 0.1, 0.3)]
    assert only(run(*plain, names=("a", "b"))).cells[0].ahead
    assert not any(cell.ahead for cell in only(run(plain[0], replace(plain[1], **other), names=("a", "b"))).cells)


def test_page_markdown_and_json_say_the_same(report: Report, page: str):
    comparison = compare(report)
    assert comparison is not None
    document = json.loads(RENDERERS.get("json").render(report))["comparison"]
    text = RENDERERS.get("md").render(report).decode().partition("### Comparison")[2].partition("### Findings")[0]
    text, places = text.partition("<details>")[0], text.partition("<details>")[2]
    section = page.partition('id="comparison"')[2].partition('id="findings"')[0]
    plain = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", section))
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    assert len(lines) == len(document["measures"]) == len(comparison.rows) > 8
    for row, line, measure in zip(comparison.rows, lines, document["measures"], strict=True):
        assert row.metric == measure["metric"]
        for cell, other in zip(row.cells, measure["cells"], strict=True):
            said = f"{cell.value} {cell.interval}".strip()
            assert said == other["shown"]
            assert (cell.decision, cell.ahead) == (other["decision"], other["ahead"])
            assert cell.value in line.replace("\\", "")
            assert re.sub(r"\s+", " ", cell.value) in plain
            assert cell.interval.replace("[", "\\[").replace("]", "\\]") in line
            assert cell.interval in plain
    placed = [line for line in places.splitlines() if line.startswith("| **")]
    assert len(comparison.ordered) > 3
    for row, line in zip(comparison.ordered, placed, strict=True):
        assert row.title in line
        assert [cell.strip() for cell in line.split("|")[2:-1]] == [cell.place or "–" for cell in row.cells]
    marks = sum(cell.ahead for row in comparison.rows for cell in row.cells)
    assert marks > 0
    assert plain.count(AHEAD) == "\n".join(lines).count(AHEAD) + 1 == marks + 1  # one in the legend


def test_nothing_of_it_for_a_single_generator(report: Report):
    one = "diffusion"
    manifest = {**report.manifest, "generators": report.manifest["generators"][:1]}
    single = Report(manifest, tuple(e for e in report.estimates if e.generator == one), None)
    assert b'id="comparison"' not in RENDERERS.get("html").render(single)
    assert b"### Comparison" not in RENDERERS.get("md").render(single)
    assert json.loads(RENDERERS.get("json").render(single))["comparison"] is None
