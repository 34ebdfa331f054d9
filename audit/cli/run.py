# SPDX-License-Identifier: Apache-2.0
"""``genaudit run``: a whole audit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

NAME = "run"
EXAMPLES = """Examples:  genaudit run examples/quickstart.yaml;  genaudit run audit.yaml --out runs/nightly --limit 2;
genaudit run audit.yaml --retry-errors;  genaudit run audit.yaml --until-decided.  Exit codes: 0 pass,
2 configuration, 10 gate failed, 11 inconclusive, 20 generator or store failed, 130 interrupted (the same command goes
on where it stopped)."""


def command(
    config: Annotated[Path, typer.Argument(help="Audit file (YAML).")],
    *,
    out: Annotated[Path | None, typer.Option(help="Run folder.", envvar="GENAUDIT_OUT")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N prompts of every set.")] = None,
    policy: Annotated[str | None, typer.Option(help="Judge by this policy instead of the file's.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Delete the run folder and start over.")] = False,
    retry_errors: Annotated[bool, typer.Option("--retry-errors", help="Ask again what ended in an error.")] = False,
    until_decided: Annotated[
        bool,
        typer.Option("--until-decided", help="Stop each prompt of a bias set as soon as the policy is decided on it."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no table.")] = False,
) -> int:
    """Drive the generators through the probes, measure, stamp, judge and report. Resumes what was begun before."""
    from audit.config import StoppingConfig, load_config

    settings = load_config(config)
    changes: dict[str, Any] = {"out": str(out) if out else settings.out, "policy": policy or settings.policy}
    if until_decided and settings.until_decided is None:
        changes["until_decided"] = StoppingConfig()
    settings = settings.model_copy(update=changes)

    from audit.cli import _console
    from audit.pipeline import execute
    from audit.policy import exit_code

    with _console.progress(quiet=quiet) as progress:
        outcome = execute(settings, limit=limit, fresh=fresh, retry_errors=retry_errors, progress=progress)
    if as_json:
        typer.echo((outcome.run.path / "reports" / "results.json").read_text(encoding="utf-8"), nl=False)
    elif not quiet:
        _console.show(outcome)
    return exit_code(outcome.verdict) if outcome.verdict else 0
