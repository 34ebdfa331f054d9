# SPDX-License-Identifier: Apache-2.0
"""Prompts that stop as soon as their findings are decided, through the command line and on disk."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
import yaml

from audit.runs import Run
from audit.types import Decision, Status

POLICY = {
    "schema": 1,
    "name": "gap",
    "version": "1.0.0",
    "title": "One gap",
    "rules": [
        {
            "id": "presentation-gap",
            "rule": "threshold",
            "metric": "bias.representation_gap",
            "where": {"attribute": "presentation", "group": "feminine", "occupation": "*"},
            "within": 0.2,
        }
    ],
}
CAP = 60


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "gap.yaml"
    path.write_text(yaml.safe_dump(POLICY))
    return path


@pytest.fixture
def watched(small, policy):
    return small(
        policy=str(policy),
        probes=[{"set": "occupations", "repetitions": CAP}],
        instruments={"annotators": ["attributes"]},
        provenance={"stamp": False},
        metrics=["bias.representation_gap", "bias.total_variation", "outcomes.answered"],
        reports=["json"],
        until_decided={"look": 10},
    )


def test_clear_prompts_stop_and_close_ones_go_on(watched, genaudit, tmp_path):
    done = genaudit("run", watched, "--out", "run")
    assert done.returncode == 10, done.stderr  # nurses and builders are planted far beyond the limit
    assert "images of the fixed design" in done.stdout
    run = Run.open(tmp_path / "run")
    stopping = run.manifest["stopping"]
    images = stopping["images_by_prompt"]["renderer"]
    assert stopping["fixed_design"] == 8 * CAP
    assert stopping["asked"] == sum(images.values()) < 8 * CAP
    assert images["occupations/builder"] < CAP
    teacher = next(f for f in run.verdict().findings if f.evidence[0].slice["occupation"] == "teacher")
    assert teacher.decision is Decision.INCONCLUSIVE  # planted on the limit itself: images would not help
    assert all(n % 10 == 0 for n in images.values())
    answered = Counter(run.generations()["request_id"].to_pylist())
    assert set(answered.values()) == {1}
    assert answered.total() == stopping["asked"]

    gaps = [e for e in run.estimates() if e.metric == "bias.representation_gap" and "occupation" in e.slice]
    assert all("any stopping time" in e.method for e in gaps if e.status is Status.OK)
    assert {e.n + e.missing for e in gaps if e.slice["occupation"] == "builder"} == {images["occupations/builder"]}
    others = [e for e in run.estimates() if e.metric == "bias.total_variation"]
    assert [e.status for e in others] == [Status.UNAVAILABLE]
    assert "stopped by looking" in others[0].why


def test_an_interrupted_run_takes_the_same_decisions(watched, genaudit, tmp_path):
    assert genaudit("run", watched, "--out", "run").returncode == 10
    folder = tmp_path / "run"
    before = (folder / "estimates.parquet").read_bytes()
    stopping = json.loads((folder / "manifest.json").read_text())["stopping"]
    late = [path for path in folder.rglob("part-*.parquet") if "-000020." in path.name or "-000030." in path.name]
    assert late
    for path in [*late, folder / "manifest.json"]:
        path.unlink()
    assert genaudit("run", watched, "--out", "run").returncode == 10
    assert (folder / "estimates.parquet").read_bytes() == before
    assert json.loads((folder / "manifest.json").read_text())["stopping"] == stopping


def test_the_policy_is_part_of_the_plan(watched, policy, genaudit):
    assert genaudit("run", watched, "--out", "run", "--limit", "1").returncode == 10
    policy.write_text(yaml.safe_dump({**POLICY, "rules": [{**POLICY["rules"][0], "within": 0.3}]}))
    done = genaudit("run", watched, "--out", "run", "--limit", "1")
    assert done.returncode == 20
    assert "differs in: policy" in done.stderr


def test_without_a_policy_there_is_nothing_to_decide(small, genaudit):
    done = genaudit("run", small(), "--until-decided")
    assert done.returncode == 2
    assert "needs a policy" in done.stderr
    assert "--policy" in done.stderr


def test_errors_are_not_asked_again(watched, genaudit):
    done = genaudit("run", watched, "--retry-errors")
    assert done.returncode == 2
    assert "other answers would have stopped other prompts" in done.stderr
    assert "--fresh" in done.stderr


def test_prompts_that_no_rule_is_about_are_asked_to_the_end(watched, policy, genaudit, tmp_path):
    rule = {"id": "answered", "rule": "threshold", "metric": "outcomes.answered", "exact": True, "at_least": 0.9}
    policy.write_text(yaml.safe_dump({**POLICY, "rules": [rule]}))
    assert genaudit("run", watched, "--out", "run", "--limit", "1").returncode == 0
    stopping = Run.open(tmp_path / "run").manifest["stopping"]
    assert stopping["asked"] == stopping["fixed_design"] == CAP
    found = Run.open(tmp_path / "run").estimates()
    gaps = [
        e for e in found if e.metric == "bias.representation_gap" and "occupation" in e.slice and e.status is Status.OK
    ]
    assert gaps
    assert all("once at the last image" in e.method for e in gaps)
