# SPDX-License-Identifier: Apache-2.0
"""``genaudit rules``: what findings about marks in images bear on which rule."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NAME = "rules"
EXAMPLES = """Examples:  genaudit rules runs/provenance;  genaudit rules published/ --trust roots.pem --json.
No legal advice: a row says "supports" if what it names holds for every image that was looked at, else "not assessed".
Exit codes: 0 told, 2 nothing to look at."""


def command(
    paths: Annotated[list[Path], typer.Argument(help="Images, folders, run folders, tar archives, Parquet files.")],
    *,
    trust: Annotated[
        list[Path] | None, typer.Option("--trust", "--anchors", help="List of who may sign. Repeatable.")
    ] = None,
    trust_timestamps: Annotated[list[Path] | None, typer.Option(help="List of who may vouch for time.")] = None,
    watermark: Annotated[str, typer.Option(help="Watermark to look for, or none.")] = "spread",
    watermark_key: Annotated[
        Path | None, typer.Option(help="File with its secret key; default: the public one.")
    ] = None,
    crosswalk: Annotated[Path | None, typer.Option(help="Table of rules; default: the one that comes along.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a row.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> int:
    """Put what images carry beside EU AI Act article 50(2), its code of practice and California SB 942.

    Of a run that was measured with `genaudit survive`, what survives counts as well.
    """
    import json
    from dataclasses import asdict

    from audit.cli import _console
    from audit.errors import ConfigError
    from audit.provenance._sources import find
    from audit.provenance.crosswalk import assess, load
    from audit.provenance.rules import evidence_in, survived
    from audit.provenance.trust import load_lists
    from audit.provenance.watermark import find_keyed

    table = load(crosswalk)
    lists = load_lists(trust, trust_timestamps)
    mark = None if watermark == "none" else find_keyed(watermark, watermark_key)
    with _console.progress(quiet=quiet) as progress:
        found = evidence_in(find(paths), trust=lists, watermark=mark, progress=progress)
    if not found:
        raise ConfigError("no images found", where=", ".join(map(str, paths)), hint="give image files or folders")
    for path in paths:
        found |= survived(path / "survival")
    rows = assess(found, table)
    for row in rows:
        line = f"{row.status}\t{row.id}\t{row.title}: {row.reason}"
        typer.echo(json.dumps(asdict(row), sort_keys=True) if as_json else line)
    supports = sum(row.status == "supports" for row in rows)
    typer.echo(f"{len(rows)} rows: {supports} supports, {len(rows) - supports} not assessed", err=True)
    typer.echo(table.notice, err=True)
    return 0
