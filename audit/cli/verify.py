# SPDX-License-Identifier: Apache-2.0
"""``genaudit verify``: do these images carry credentials that hold?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NAME = "verify"
_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}
EXAMPLES = """Examples:  genaudit verify image.png;  genaudit verify runs/quickstart/images --json.
Exit codes: 0 all verify, 21 at least one does not, 2 nothing to check."""


def command(
    paths: Annotated[list[Path], typer.Argument(help="Image files and folders.")],
    anchors: Annotated[Path | None, typer.Option(help="PEM file of roots to trust.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the summary.")] = False,
) -> int:
    """Check Content Credentials. "valid_untrusted" means: intact, signed by a key that no given root vouches for."""
    import json
    import os
    from collections import Counter
    from dataclasses import asdict

    from audit.errors import ConfigError
    from audit.provenance import verify_many

    roots = _read(anchors) if anchors else None
    files = _images(paths)
    if not files:
        where = ", ".join(map(str, paths))
        raise ConfigError("no images found", where=where, hint="give PNG, JPEG or WebP files, or folders of them")
    states: Counter[str] = Counter()
    verified = 0
    for path, found in zip(files, verify_many(files, workers=os.cpu_count() or 1, anchors=roots), strict=True):
        states[found.state] += 1
        verified += found.state.verified
        if as_json:
            typer.echo(json.dumps({"path": str(path), **asdict(found)}, sort_keys=True))
        elif not quiet:
            typer.echo(f"{found.state}\t{path}\t{found.message}")
    counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    typer.echo(f"{len(files)} images: {counts}", err=True)
    return 0 if verified == len(files) else 21


def _images(paths: list[Path]) -> list[Path]:
    """Files as given, and everything in folders that is named like an image; a missing path is an error."""
    from audit.errors import ConfigError

    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise ConfigError("does not exist", where=str(path), hint="check the path")
        found += sorted(p for p in path.rglob("*") if p.suffix.lower() in _SUFFIXES) if path.is_dir() else [path]
    return found


def _read(path: Path) -> str:
    from audit.errors import ConfigError

    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read trust anchors: {error}", where=str(path), hint="give a PEM file") from None
