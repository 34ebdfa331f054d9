# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as ET

from audit.render import Report
from audit.render.junit import RENDERER
from audit.types import Decision, Finding, Verdict


def test_counts_agree_with_cases_and_nothing_is_skipped(report: Report) -> None:
    root = ET.fromstring(RENDERER.render(report))
    cases = root.findall(".//testcase")
    assert report.verdict is not None
    assert len(cases) == len(report.verdict.findings) == int(root.attrib["tests"])
    assert len(root.findall(".//failure")) == report.verdict.count(Decision.FAIL) == int(root.attrib["failures"])
    undecided = report.verdict.count(Decision.INCONCLUSIVE) + report.verdict.count(Decision.NOT_RUN)
    assert len(root.findall(".//error")) == undecided == int(root.attrib["errors"])
    assert not root.findall(".//skipped")
    assert sum(int(suite.attrib["tests"]) for suite in root) == len(cases)
    assert {suite.attrib["name"] for suite in root} == {"bias", "quality", "likeness", "provenance"}


def test_properties_carry_the_number(report: Report) -> None:
    root = ET.fromstring(RENDERER.render(report))
    case = root.find(".//testcase")
    assert case is not None
    found = {p.attrib["name"]: p.attrib["value"] for p in case.iter("property")}
    assert found["limit"] == "within 20 points of the reference"
    assert "points [" in found["value"]
    assert found["n"] == "48"


def test_waiver_is_printed_and_not_a_failure(report: Report) -> None:
    out = ET.fromstring(RENDERER.render(report)).findall(".//system-out")
    assert len(out) == 1
    assert "owner: Likeness Team" in (out[0].text or "")


def test_control_characters_and_markup_stay_out(report: Report) -> None:
    bad = Finding("r\x00ule", Decision.FAIL, "a\x0b<b>\ufffe]]>&\x1b", ())
    root = ET.fromstring(RENDERER.render(replace(report, verdict=Verdict("p", "d", (bad,)))))
    failure = root.find(".//failure")
    assert failure is not None
    assert failure.text == "a<b>]]>&"
    assert root.find("testsuite").attrib["name"] == "policy"


def test_a_run_that_was_not_judged_is_an_error(report: Report) -> None:
    root = ET.fromstring(RENDERER.render(replace(report, verdict=None)))
    assert root.attrib["errors"] == "1"
    assert root.find(".//error").attrib["type"] == "NotRun"
