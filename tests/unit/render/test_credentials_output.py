# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from xml.etree import ElementTree as ET

from audit.provenance import State, Verified
from audit.render.credentials import Row, junit, sarif

ROWS = [
    Row("a.png", Verified(State.TRUSTED), met=True),
    Row("b\x00<b>.png", Verified(State.INVALID, ("x.y",), message="invalid: \x1b[31mx.y", hint="get it"), met=False),
    Row("c d/é.tar::m/x.png", Verified(State.UNDETERMINED, message="not checked"), met=False),
    Row("e.png", Verified(State.NO_TIMESTAMP, warnings=("genaudit.w",)), met=True),
]  # fmt: skip


def test_junit() -> None:
    text = junit(ROWS, required="verified", when="2026-11-29T06:00:00")
    assert text == junit(ROWS, required="verified", when="2026-11-29T06:00:00")
    root = ET.fromstring(text)
    counts = {name: int(root.attrib[name]) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": 4, "failures": 1, "errors": 1, "skipped": 0}
    cases = root.findall("testsuite/testcase")
    assert [case.attrib["name"] for case in cases] == ["a.png", "b<b>.png", "c d/é.tar::m/x.png", "e.png"]
    failure = cases[1].find("failure")
    assert failure is not None
    assert (failure.attrib["type"], failure.attrib["message"]) == ("invalid", "invalid: [31mx.y")
    assert "get it" in str(failure.text)
    error = cases[2].find("error")
    assert error is not None
    assert error.attrib["type"] == "undetermined"
    assert {p.attrib["name"]: p.attrib["value"] for p in cases[3].iter("property")} == {
        "state": "no_timestamp",
        "warnings": "genaudit.w",
    }


def test_sarif() -> None:
    log = json.loads(sarif(ROWS, version="1.2.3"))
    assert (log["version"], log["$schema"].rpartition("/")[2]) == ("2.1.0", "sarif-2.1.0.json")
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert (driver["name"], driver["version"]) == ("genaudit verify", "1.2.3")
    ids = [rule["id"] for rule in driver["rules"]]
    assert set(ids) == {state.value for state in State} | {"genaudit.w"}
    assert len(set(ids)) == len(ids)
    found = [(result["ruleId"], result["level"]) for result in run["results"]]
    assert found == [("invalid", "error"), ("undetermined", "error"), ("genaudit.w", "warning")]
    assert all(result["ruleId"] in ids and result["message"]["text"] for result in run["results"])
    places = [result["locations"][0] for result in run["results"]]
    uris = [place["physicalLocation"]["artifactLocation"]["uri"] for place in places]
    assert uris == ["b%00%3Cb%3E.png", "c%20d/%C3%A9.tar", "e.png"]
    assert places[1]["logicalLocations"] == [{"fullyQualifiedName": "c d/é.tar::m/x.png"}]


def test_nothing_wrong_is_an_empty_log() -> None:
    log = json.loads(sarif(ROWS[:1], version="1"))
    assert log["runs"][0]["results"] == []
    root = ET.fromstring(junit(ROWS[:1], required="trusted"))
    assert root.attrib["failures"] == root.attrib["errors"] == "0"
    assert root.find("testsuite").attrib["name"] == "credentials: trusted"
