# SPDX-License-Identifier: Apache-2.0
"""``genaudit selftest``: does the audit find what was planted, and nothing else?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NAME = "selftest"
EXAMPLES = """Examples:  genaudit selftest;  genaudit selftest --quick;  genaudit selftest --generators vae --json.
Exit codes: 0 everything planted was found and nothing else, 10 not so, 20 the folder cannot be used,
130 interrupted (the same command goes on where it stopped)."""


def command(
    generators: Annotated[
        list[str] | None, typer.Option("--generators", "-g", help="Only these trained models; repeatable.")
    ] = None,
    n: Annotated[int | None, typer.Option("--n", min=2, help="Images a prompt; fewer decide less.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the runs; default: in the cache.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Instruments and exact world only: under a minute.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> int:
    """Audit worlds whose truth is known: find every planted fact in them, and nothing in the controls."""
    import json

    from audit.cli import _console
    from audit.cli._selftest import show
    from audit.paths import cache_dir
    from audit.selftest import selftest

    folder = out or cache_dir() / "selftest"
    with _console.progress(quiet=quiet) as progress:
        result = selftest(folder, models=generators or None, n=n, quick=quick, progress=progress)
    if as_json:
        typer.echo(json.dumps(result.as_dict(), indent=1))
    else:
        show(result)
    return 0 if result.passed else 10
