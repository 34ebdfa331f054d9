# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import jsonschema
import pytest
import yaml

from audit.errors import ConfigError
from audit.paths import data_root
from audit.policy import load_policy
from audit.policy.load import json_schema

POLICY = """\
schema: 1
name: demo
version: 1.0.0
title: Demo
rules:
  - {id: a, rule: threshold, metric: outcomes.answered, at_least: 0.9}
  - {id: b, rule: threshold, metric: quality.clip_score, at_least: 20}
waivers:
  - {rule: a, owner: Ann, reason: known, expires: 2026-12-31}
"""
BUNDLED = sorted((data_root() / "reports" / "policies").glob("*.yaml"))
SCHEMA = data_root() / "reports" / "schemas" / "policy.schema.json"


def write(folder: Path, text: str) -> Path:
    path = folder / "policy.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_policy_is_read(tmp_path):
    policy = load_policy(write(tmp_path, POLICY))
    assert [name for name, _ in policy.rules] == ["a", "b"]
    assert policy.waivers[0].expires == date(2026, 12, 31)
    assert policy.waivers[0].printed() == "Ann: known (until 2026-12-31)"
    assert policy.places["b"].endswith("policy.yaml:7:5")


def test_digest_follows_content_and_not_layout(tmp_path):
    base = load_policy(write(tmp_path, POLICY)).digest
    assert load_policy(write(tmp_path, "# x\n" + yaml.safe_dump(yaml.safe_load(POLICY)))).digest == base
    for old, new in (("0.9", "0.8"), ("Ann", "Bob"), ("2026-12-31", "2027-12-31")):
        assert load_policy(write(tmp_path, POLICY.replace(old, new))).digest != base


@pytest.mark.parametrize(
    ("old", "new", "place", "words", "hint"),
    [
        ("at_least: 0.9", "at_lest: 0.9", "6:57", "unknown key", "'at_least'"),
        ("at_least: 0.9", "at_least: high", "6:67", "rules.0.at_least", None),
        (", at_least: 0.9", "", "6:5", "give one of at_least", None),
        ("outcomes.answered", "outcomes.anwered", "6:38", "no metric is called", "'outcomes.answered'"),
        ("id: a, rule: threshold", "id: a, rule: treshold", "6:19", "no rule kind is called", "'threshold'"),
        ("id: b", "id: a", "7:10", "two rules are called 'a'", None),
        ("rule: a,", "rule: c,", "9:12", "waiver of an unknown rule 'c'", None),
        ("owner: Ann, ", "", "9:5", "waivers.0.owner: is missing", None),
        ("owner: Ann", "owner: ' '", "9:22", "waivers.0.owner", None),
        ("2026-12-31", "soon", "9:51", "waivers.0.expires", None),
        ("schema: 1", "schema: 2", "1:9", "schema", None),
        ("title: Demo", "title: Demo\nseverity: warn", "5:1", "severity: unknown key", None),
        ("{id: a, rule", "{rule", "6:5", "rules.0.id: is missing", None),
    ],
)
def test_errors_name_the_place(tmp_path, old, new, place, words, hint):
    path = write(tmp_path, POLICY.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        load_policy(path)
    assert caught.value.where == f"{path}:{place}"
    assert words in caught.value.message
    assert hint is None or hint in caught.value.hint


def test_a_policy_without_rules_is_no_policy(tmp_path):
    with pytest.raises(ConfigError, match="at least 1"):
        load_policy(write(tmp_path, POLICY.partition("rules:")[0] + "rules: []\n"))


def test_unknown_name():
    with pytest.raises(ConfigError, match="no policy is called 'quikstart'") as caught:
        load_policy("quikstart")
    assert caught.value.hint == "did you mean 'quickstart'?"


def test_schema_is_current():
    assert json.loads(SCHEMA.read_text()) == json_schema(), "run `python -m audit.policy`"


@pytest.mark.parametrize("path", BUNDLED, ids=lambda path: path.stem)
def test_bundled_policies_load_and_validate(path):
    assert load_policy(path.stem).name == path.stem
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    raw = json.loads(json.dumps(yaml.safe_load(path.read_text()), default=str))
    jsonschema.validate(raw, schema)
    raw["rules"][0]["at_lest"] = 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(raw, schema)


def test_schema_leaves_other_rule_kinds_open():
    rule = {"id": "x", "rule": "mine", "anything": 1}
    raw = {"schema": 1, "name": "n", "version": "1.0.0", "title": "t", "rules": [rule]}
    jsonschema.validate(raw, json_schema())
