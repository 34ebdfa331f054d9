# SPDX-License-Identifier: Apache-2.0
"""A generator that repeats itself and loses requests, with known counts of both, from the pixels to the report."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.runs import Run

LOSSES = {"refuse": ["chef"], "block": ["nurse"], "fail_on": ["pilot"]}
POLICY = """schema: 1
name: signed
version: 1.0.0
title: Signed
rules:
  - {id: half, rule: threshold, metric: provenance.verified_share, at_least: 0.5}
  - {id: most, rule: threshold, metric: provenance.verified_share, at_least: 0.8}
"""


def test_known_repeats_and_losses_reach_the_report(small, genaudit, tmp_path: Path) -> None:
    (tmp_path / "signed.yaml").write_text(POLICY)
    config = small(
        generators=[
            {"name": "new", "kind": "renderer", "batch_size": 24},
            {"name": "again", "kind": "renderer", "batch_size": 24, "options": {"duplicates": 4, **LOSSES}},
        ],
        probes=[{"set": "occupations", "repetitions": 12}],
        instruments={"annotators": ["credentials"]},
        metrics=["outcomes.answered", "outcomes.distinct", "provenance.verified_share"],
        policy=str(tmp_path / "signed.yaml"),
    )
    done = genaudit("run", config, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    run = Run.open(tmp_path / "run")

    # repetitions 0, 4 and 8 of each of the five prompts that are drawn show the same picture
    found = {(e.generator, *sorted(e.slice.values())): e for e in run.estimates() if e.metric == "outcomes.distinct"}
    one, whole = found["again", "CEO", "occupations"], found["again", "occupations"]
    assert one.value == pytest.approx(1 - 3 / 66)
    assert one.extra["effective_n"] == pytest.approx(12 / (1 + 11 * 3 / 66)) == pytest.approx(8)
    assert (whole.extra["duplicates"], whole.extra["pictures"], whole.missing) == (10, 60, 36)
    assert found["again", "chef", "occupations"].value is None
    assert found["new", "occupations"].value == 1.0
    said = "again: 10 of 60 pictures repeat an earlier one of the same prompt under another seed"
    report = (run.path / "reports" / "report.md").read_text()
    assert said in done.stdout
    assert said in report
    assert "new: " not in "".join(line for line in report.splitlines() if line.startswith("> "))

    # 60 of 60 verify; were there 36 more, between 60 and 96 of 96 would
    lost = "36 of 96 requests gave no image (12 refused, 12 blocked, 12 errors): with them it could be 62 to 100 %"
    verdict = run.verdict()
    assert verdict is not None
    half, most = (
        next(f for f in verdict.findings if f.rule == rule and "again" in f.message) for rule in ("half", "most")
    )
    assert half.message.endswith(lost)
    assert most.message.endswith(f"{lost}, which could change the verdict")
    assert half.decision == most.decision == "pass"
    for name in ("report.md", "report.html", "junit.xml"):
        assert "12 refused, 12 blocked, 12 errors" in (run.path / "reports" / name).read_text()
    assert "missing    again: 36 of 96 requests gave no image (12 refused, 12 blocked, 12 error)" in done.stdout
