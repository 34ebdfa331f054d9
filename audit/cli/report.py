# SPDX-License-Identifier: Apache-2.0
"""``genaudit report``: render a finished run again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NAME = "report"
EXAMPLES = "Examples:  genaudit report runs/quickstart;  genaudit report runs/quickstart -f html -f junit"


def command(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    formats: Annotated[
        list[str] | None, typer.Option("--format", "-f", help="html, md, json, junit; repeatable.")
    ] = None,
) -> None:
    """Render the reports of a finished run and print their paths."""
    from audit.pipeline import render
    from audit.runs.store import Run

    opened = Run.open(run)
    for path in render(opened, formats or opened.manifest["config"]["reports"]):
        typer.echo(str(path))
