# SPDX-License-Identifier: Apache-2.0
"""A third-party package brings a generator, a metric and a rule; nothing in audit/ knows of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from audit.runs import Run

PACKAGE = Path(__file__).parents[1] / "plugin_package"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, installed with its metadata into a folder of its own (no index, no network)."""
    folder = tmp_path_factory.mktemp("site")
    line = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*line, "--target", str(folder), str(PACKAGE)], check=True, capture_output=True)
    return folder


def test_plugins_are_listed_and_take_part(site: Path, small, genaudit, tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(Path(__file__).parents[2])])}
    listed = json.loads(genaudit("list", "generators", "--json", env=env).stdout)
    assert {"name": "swatches", "distribution": "genaudit-example", "version": "1.0.0"}.items() <= {
        k: v for row in listed if row["name"] == "swatches" for k, v in row.items()
    }.items()

    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "schema: 1\nname: mine\nversion: 1.0.0\ntitle: Mine\n"
        "rules:\n  - {id: drawn, rule: measured, metric: quality.answer_time}\n"
    )
    config = small(
        generators=[{"name": "mine", "kind": "swatches", "options": {"size": 48}}],
        instruments={"annotators": ["credentials"]},
        metrics=["quality.answer_time", "outcomes.answered"],
        policy=str(policy),
    )
    done = genaudit("run", config, "--out", tmp_path / "run", env=env)
    assert done.returncode == 0, done.stderr
    run = Run.open(tmp_path / "run")
    found = [e for e in run.estimates() if e.metric == "quality.answer_time"]
    assert [e.n for e in found] == [48]
    assert found[0].low <= found[0].value <= found[0].high
    assert run.verdict().findings[0].rule == "drawn"
    assert "Answer time" in (run.path / "reports" / "report.html").read_text()
