# SPDX-License-Identifier: Apache-2.0
"""``genaudit list``: what there is, built in and from installed packages."""

from __future__ import annotations

from typing import Annotated

import typer

NAME = "list"
EXAMPLES = "Examples:  genaudit list metrics;  genaudit list probes --json"


def command(
    kind: Annotated[str, typer.Argument(help="generators, annotators, metrics, rules, renderers, probes or policies.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """List plug-ins, probe sets or policies. Imports none of them."""
    import json

    rows = _rows(kind)
    if as_json:
        typer.echo(json.dumps(rows, indent=1, sort_keys=True))
        return
    for row in rows:
        typer.echo("\t".join(str(value) for value in row.values()))


def _rows(kind: str) -> list[dict[str, str]]:
    from audit import registry
    from audit.errors import ConfigError
    from audit.paths import data_root

    folders = {"probes": data_root() / "probes", "policies": data_root() / "reports" / "policies"}
    if kind in folders:
        found = sorted(folders[kind].rglob("*.yaml"))
        return [{"name": path.stem, "path": str(path.relative_to(folders[kind]))} for path in found]
    known = {"generators", "annotators", "metrics", "rules", "renderers"}
    if kind not in known:
        raise ConfigError(f"nothing called {kind!r} to list", hint=f"one of: {', '.join(sorted(known | set(folders)))}")
    table: registry.Registry = getattr(registry, kind.upper())
    infos = [table.describe(name) for name in table]
    return [{"name": i.name, "distribution": i.distribution, "version": i.version, "target": i.target} for i in infos]
