# SPDX-License-Identifier: Apache-2.0
"""The self-test through the command line, as a user runs it."""

from __future__ import annotations

import json

import pytest

from audit.runs import Run

pytestmark = pytest.mark.slow


def test_the_exact_world_is_read_right_and_the_table_says_so(genaudit, tmp_path) -> None:
    done = genaudit("selftest", "--quick", "--json", "--out", "self")
    assert done.returncode in (0, 10), done.stderr
    found = json.loads(done.stdout)
    lines = {row["what"]: row for row in found["rows"]}
    wrong = {what: row["verdict"] for what, row in lines.items() if not row["passed"]}
    assert wrong == {}
    assert [check["name"] for check in found["checks"] if not check["ok"]] == []
    assert done.returncode == 0
    exact = lines["memorised faces among twenty enrolled"]["worlds"][0]
    assert len(exact["found"]) == 5
    assert "people: exact world" in done.stderr
    assert found == json.loads((tmp_path / "self" / "selftest.json").read_text())
    folders = sorted((tmp_path / "self" / "runs").iterdir())
    assert all(Run.open(folder).complete for folder in folders)


def test_too_few_images_decide_nothing_and_never_pass(genaudit) -> None:
    done = genaudit("selftest", "--quick", "--n", "2", "-q")
    assert done.returncode == 10, done.stderr
    assert "self-test  FAIL" in done.stdout
    assert "not built" in done.stdout or "not found" in done.stdout


def test_an_unknown_model_is_a_usage_error(genaudit) -> None:
    done = genaudit("selftest", "--generators", "difusion")
    assert done.returncode == 2
    assert "no trained model 'difusion'" in done.stderr
    assert "hint: known: diffusion" in done.stderr
