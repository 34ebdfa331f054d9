# SPDX-License-Identifier: Apache-2.0
"""``genaudit doctor``: is this installation able to audit, and does a generator keep what an audit relies on?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from audit.config import GeneratorConfig
    from audit.contract import Inquiry

NAME = "doctor"
EXAMPLES = """Examples:  genaudit doctor;  genaudit doctor --generator reference:gan;
genaudit doctor --generator audit.yaml --name ours --tolerance 1 --json.
Exit codes: 0 all well, 2 the installation or a setting needs mending, 20 a generator cannot be driven or breaks a
promise."""

_GENERATOR = "Audit file, or folder, hub id, reference:<name>: prove what audits rely on, on this generator."


def command(
    *,
    generator: Annotated[str | None, typer.Option(help=_GENERATOR)] = None,
    name: Annotated[str | None, typer.Option(help="Which one of the audit file; else what to call the model.")] = None,
    kind: Annotated[str | None, typer.Option(help="Kind of generator; default: told from the folder.")] = None,
    param: Annotated[list[str] | None, typer.Option(help="Of every picture, e.g. steps=20; repeatable.")] = None,
    option: Annotated[list[str] | None, typer.Option(help="How to load, e.g. device=cuda; repeatable.")] = None,
    prompt: Annotated[list[str] | None, typer.Option(help="To ask; repeatable. Default: the audit file's.")] = None,
    images: Annotated[int, typer.Option(help="Pictures in a batch; about nine times as many are drawn.")] = 12,
    tolerance: Annotated[int, typer.Option(help="Difference in levels that still counts as the same.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")] = False,
) -> int:
    """Check the installation: libraries, bundled models, credentials, plug-ins. Says how to mend what is broken.

    With --generator, ask a generator instead: are seeds, batches, sizes and prompts what an audit takes them for?
    """
    if generator is None:
        from audit.errors import ConfigError

        if name or kind or param or option or prompt:
            hint = "genaudit doctor --generator reference:gan"
            raise ConfigError("these settings need a generator", where="doctor", hint=hint)
        return _installation(as_json=as_json)
    from audit.contract import Inquiry, targets
    from audit.generators.address import parse_pairs

    found = targets(
        generator,
        Inquiry.of(prompt or [], images=images, tolerance=tolerance),
        name=name,
        kind=kind,
        params=parse_pairs(param or [], where="--param"),
        options=parse_pairs(option or [], where="--option"),
    )
    return _generators(found, as_json=as_json)


def _installation(*, as_json: bool) -> int:
    import json
    from dataclasses import asdict

    from audit.checks import examine

    checks = []
    for check in examine():
        checks.append(check)
        if as_json:
            continue
        typer.echo(f"{'ok  ' if check.ok else 'BAD '} {check.name}: {check.found}")
        if not check.ok:
            typer.echo(f"     hint: {check.hint}")
    if as_json:
        typer.echo(json.dumps([asdict(check) for check in checks], indent=1, sort_keys=True))
    return 0 if all(check.ok for check in checks) else 2


def _generators(found: list[tuple[GeneratorConfig, Inquiry]], *, as_json: bool) -> int:
    import json

    from audit.cli._console import progress
    from audit.contract import State, lines, opened, prove

    records, broken = [], False
    for block, inquiry in found:
        with progress(quiet=False) as tell:
            rows = prove(partial(opened, block), inquiry, tell=tell)
        broken |= any(row.state is State.BAD for row in rows)
        records += [row.record(block.name) for row in rows]
        if not as_json:
            typer.echo(f"{block.name} ({block.kind})")
            typer.echo("\n".join(line for row in rows for line in lines(row)))
    if as_json:
        typer.echo(json.dumps(records, indent=1))
    return 20 if broken else 0
