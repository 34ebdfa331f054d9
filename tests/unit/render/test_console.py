# SPDX-License-Identifier: Apache-2.0
"""What a run prints at its end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from audit.cli._console import show
from audit.pipeline import Outcomes
from audit.render import Report
from audit.render.comparison import compare


@dataclass
class Folder:
    """The two facts that printing asks a run for."""

    manifest: Any
    path: Path = Path("runs/example")


def printed(report: Report, capsys: pytest.CaptureFixture[str]) -> str:
    show(Outcomes(Folder(report.manifest), report.estimates, report.verdict, ()))  # type: ignore[arg-type]
    return capsys.readouterr().out


def test_generators_stand_side_by_side(report: Report, capsys):
    out = printed(report, capsys)
    comparison = compare(report)
    assert comparison is not None
    assert "generators side by side" in out
    for row in comparison.rows:
        line = next(line for line in out.splitlines() if all(f"{c.value}" in line for c in row.cells if c.measured))
        assert line.startswith("│")
    assert "no number: 40 images" in out
    assert "◆ marks a number" in out
    assert max(map(len, out.splitlines())) <= 150


def test_many_generators_are_split_over_tables_that_fit(report: Report, capsys):
    names = [f"model-{i}" for i in range(8)]
    mine = [e for e in report.estimates if e.generator == "diffusion"]
    estimates = tuple(replace(e, generator=name) for name in names for e in mine)
    manifest = {**report.manifest, "generators": [{"name": name, "digest": None} for name in names]}
    out = printed(Report(manifest, estimates, None), capsys)
    assert out.count("generators side by side") == 3
    assert out.count("◆ marks a number") == 1
    assert max(map(len, out.splitlines())) <= 150
    assert all(name in out for name in names)


def test_a_single_generator_keeps_its_table(report: Report, capsys):
    manifest = {**report.manifest, "generators": report.manifest["generators"][:1]}
    mine = tuple(e for e in report.estimates if e.generator == "diffusion")
    out = printed(Report(manifest, mine, None), capsys)
    assert "side by side" not in out
    assert "CLIP score" in out
