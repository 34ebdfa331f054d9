# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import math
from dataclasses import replace

import jsonschema
import pytest

from audit.paths import data_root
from audit.render import Report
from audit.render.results import RENDERER, _plain


@pytest.fixture(scope="module")
def schema() -> dict:
    return json.loads((data_root() / "reports" / "schemas" / "results.schema.json").read_text(encoding="utf-8"))


def test_fits_its_schema(report: Report, schema: dict) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    for shown in (report, replace(report, verdict=None)):
        jsonschema.Draft202012Validator(schema).validate(json.loads(RENDERER.render(shown)))


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: d["estimates"][0].update(value=None),
        lambda d: d["estimates"][0].update(status="insufficient"),
        lambda d: d["verdict"].update(decision="green"),
        lambda d: d.update(schema=2),
        lambda d: d["run"].pop("seed"),
    ],
)
def test_schema_refuses_what_is_wrong(report: Report, schema: dict, damage) -> None:
    document = json.loads(RENDERER.render(report))
    damage(document)
    assert not jsonschema.Draft202012Validator(schema).is_valid(document)


def test_canonical_and_complete(report: Report) -> None:
    data = RENDERER.render(report)
    document = json.loads(data)
    assert len(document["estimates"]) == len(report.estimates)
    assert document["estimates"][0]["value"] == pytest.approx(report.estimates[0].value)
    assert list(document) == sorted(document)
    assert data == RENDERER.render(report)
    assert b"sk-very-secret" not in data


def test_numbers_that_are_none_become_null_and_last_bits_go() -> None:
    assert _plain({"a": math.nan, "b": (math.inf, 0.1 + 0.2), "c": frozenset({"y", "x"}), "d": True}) == {
        "a": None,
        "b": [None, 0.3],
        "c": ["x", "y"],
        "d": True,
    }
    assert _plain("\ud800") == "?"
