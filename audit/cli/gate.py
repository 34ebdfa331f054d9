# SPDX-License-Identifier: Apache-2.0
"""``genaudit gate``: judge a finished run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NAME = "gate"
EXAMPLES = """Examples:  genaudit gate runs/quickstart --policy quickstart.
Exit codes: 0 pass, 10 fail, 11 inconclusive or not run."""


def command(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    policy: Annotated[
        str, typer.Option(help="Name in reports/policies/, or path of a YAML file.", envvar="GENAUDIT_POLICY")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
) -> int:
    """Judge a finished run by a policy, without generating or measuring anything again."""
    from audit.pipeline import gate, render
    from audit.policy import exit_code
    from audit.runs.store import Run

    opened = Run.open(run)
    names = opened.manifest["config"]["reports"]
    verdict = gate(opened, policy)
    render(opened, names)
    if as_json:
        typer.echo((opened.path / "verdict.json").read_text(encoding="utf-8"), nl=False)
    else:
        for finding in verdict.findings:
            typer.echo(f"{finding.decision}\t{finding.rule}\t{finding.message}")
        typer.echo(f"verdict: {verdict.decision}", err=True)
    return exit_code(verdict)
