# SPDX-License-Identifier: Apache-2.0
"""Repeated pictures are said in every format, with or without a policy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from audit.cli._console import show
from audit.pipeline import Outcomes
from audit.registry import RENDERERS
from audit.render import Report
from audit.render.repeats import repeats
from audit.types import Estimate, Status


def distinct(generator: str, where: dict[str, str], pictures: int, duplicates: int, effective: float) -> Estimate:
    extra = {"pictures": pictures, "duplicates": duplicates, "distinct": pictures - duplicates, "elsewhere": 0}
    fixed = ("outcomes.distinct", "1", "share", generator, where, 0.9, 0.8, 1.0, 0.95, pictures, 8, 0, Status.OK, "t")
    return Estimate(*fixed, extra=extra | {"effective_n": effective})


JOBS = {"probe": "occupations"}
SOME = (
    distinct("diffusion", JOBS, 192, 9, 150.2),
    distinct("diffusion", {**JOBS, "occupation": "chef"}, 24, 0, 24.0),
    distinct("diffusion", {**JOBS, "occupation": "nurse"}, 24, 8, 8.3),
    distinct("diffusion", {**JOBS, "occupation": "pilot"}, 24, 1, 22.2),
    distinct("diffusion", {"probe": "portraits"}, 312, 3, 300.0),
    distinct("diffusion", {"probe": "portraits", "prompt": "portraits/7"}, 4, 1, 2.7),
    distinct("gan", JOBS, 192, 0, 192.0),
)


def test_counts_of_all_probe_sets_and_the_slice_that_is_worth_least() -> None:
    assert repeats(SOME) == [
        "diffusion: 12 of 504 pictures repeat an earlier one of the same prompt under another seed; effective n of "
        "occupations, nurse is 8.3 of 24 (and below n in 2 more slices): intervals are too narrow there"
    ]


def test_a_single_repeat_is_said_and_none_is_not() -> None:
    one = (distinct("gan", JOBS, 24, 1, 22.2), distinct("gan", {**JOBS, "prompt": "occupations/3"}, 3, 1, 1.8))
    assert repeats(one) == [
        "gan: 1 of 24 pictures repeats an earlier one of the same prompt under another seed; effective n of "
        "occupations/3 is 1.8 of 3: intervals are too narrow there"
    ]
    assert repeats(SOME[-1:]) == []
    assert repeats([replace(one[0], metric="outcomes.answered")]) == []


@pytest.mark.parametrize("judged", [True, False])
@pytest.mark.parametrize("name", ["html", "md"])
def test_reports_say_it_whatever_the_policy(report: Report, name: str, judged: bool) -> None:
    more = replace(
        report, estimates=(*report.estimates, *SOME), verdict=report.verdict if judged else None
    )  # fmt: skip
    renderer = RENDERERS.get(name)
    told = renderer.render(more).decode()
    assert "12 of 504 pictures repeat an earlier one of the same prompt under another seed" in told
    assert told.index("Pictures repeat") < told.index("Comparison</h2>" if name == "html" else "### Comparison")
    assert "Pictures repeat" not in renderer.render(report).decode()


@dataclass
class Folder:
    """The two facts that printing asks a run for."""

    manifest: Any
    path: Path = Path("runs/example")


def test_the_terminal_says_it_and_what_is_missing(report: Report, capsys: pytest.CaptureFixture[str]) -> None:
    verdict = report.verdict
    assert verdict is not None
    first, *others = verdict.findings
    open_ = replace(first, message=f"{first.message}, which could change the verdict")
    judged = replace(verdict, findings=(open_, *others))
    show(Outcomes(Folder(report.manifest), (*report.estimates, *SOME), judged, ()))  # type: ignore[arg-type]
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("repeated   diffusion: 12 of 504 pictures")]
    missing = [line for line in lines if line.startswith("missing ")]
    assert missing == [
        "missing    diffusion: 4 of 816 requests gave no image (4 blocked); that could change 1 finding",
        "missing    gan<script>alert(1)</script>: 24 of 816 requests gave no image (20 refused, 4 error)",
    ]
