# SPDX-License-Identifier: Apache-2.0
"""``genaudit verify``: do these images carry credentials that hold?"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from audit.provenance import Verified
    from audit.provenance._sources import Source
    from audit.provenance.trust import TrustList
    from audit.render.credentials import Row

NAME = "verify"
EXAMPLES = """Examples:  genaudit verify image.png;  genaudit verify runs/quickstart --json;
genaudit verify photos/ shard-000.tar data.parquet --trust C2PA-TRUST-LIST.json
--trust-timestamps C2PA-TSA-TRUST-LIST.json --require trusted --junit credentials.xml.
Exit codes: 0 all hold what is required, 21 at least one does not, 2 nothing to check."""


class Require(StrEnum):
    """What must hold for every image."""

    VERIFIED = "verified"
    TRUSTED_SIGNER = "trusted-signer"
    TRUSTED = "trusted"
    AI = "ai"
    ANY = "any-credentials"


def command(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Images, folders, run folders, tar archives (.tar, .tar.gz, .tgz), Parquet files."),
    ],
    *,
    trust: Annotated[
        list[Path] | None,
        typer.Option("--trust", "--anchors", help="List of who may sign: PEM bundle or C2PA JSON. Repeatable."),
    ] = None,
    trust_timestamps: Annotated[
        list[Path] | None, typer.Option(help="List of who may vouch for time: PEM or C2PA JSON. Repeatable.")
    ] = None,
    require: Annotated[
        Require,
        typer.Option(
            help="verified: intact and signed; trusted-signer: and the signer is on a list; trusted: and the time is "
            "vouched for; ai: verified and declared as made by a model; any-credentials: there are some at all."
        ),
    ] = Require.VERIFIED,
    rubric: Annotated[bool, typer.Option("--rubric", help="Also list failing checks of the C2PA rubrics.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML to this file.")] = None,
    sarif: Annotated[Path | None, typer.Option(help="Write SARIF 2.1.0 to this file.")] = None,
    workers: Annotated[int, typer.Option(min=0, max=256, help="At the same time; 0: one a core.")] = 0,
    in_process: Annotated[
        bool, typer.Option("--in-process", help="Without child processes: faster, for files you made yourself.")
    ] = False,
    time_limit: Annotated[float, typer.Option(min=0.001, help="Seconds a file may take.")] = 10.0,
    memory_limit: Annotated[int, typer.Option(min=1, help="MiB of memory that reading a file may take.")] = 2048,
    max_bytes: Annotated[int, typer.Option(min=1, help="Larger files are not looked into.")] = 512 * 2**20,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the summary.")] = False,
) -> int:
    """Check Content Credentials. Nothing is fetched; untrusted files are read in child processes with limits.

    "valid_untrusted" means: intact, signed by a key that no given list vouches for; the signer's name is a claim.
    """
    import os

    from audit.cli import _console
    from audit.errors import ConfigError
    from audit.provenance import verify_many
    from audit.provenance._limits import Limits
    from audit.provenance._sources import find
    from audit.provenance.trust import load_lists
    from audit.render.credentials import Row

    lists = load_lists(trust, trust_timestamps)
    names: deque[str] = deque()
    verdicts = verify_many(
        _noted(find(paths, max_bytes=max_bytes), names),
        workers=workers or os.cpu_count() or 1,
        trust=lists,
        max_bytes=max_bytes,
        isolated=not in_process,
        limits=Limits(seconds=time_limit, memory=memory_limit * 2**20),
        rubric=rubric,
    )
    rows: list[Row] = []
    counts: Counter[tuple[str, bool, str]] = Counter()
    # Lines that are read as they come need no bar beside them.
    with _console.progress(quiet=quiet or not _to_file()) as progress:
        for done, verdict in enumerate(verdicts, 1):
            row = Row(names.popleft(), verdict, _met(verdict, require))
            counts[verdict.state.value, row.met, verdict.hint] += 1
            if junit is not None or sarif is not None:
                rows.append(row)
            progress("checked", done, done + len(names))
            if as_json or not quiet:
                typer.echo(_json(row) if as_json else _line(row))
    if not counts:
        hint = "give image files, folders of them, tar archives or Parquet files"
        raise ConfigError("no images found", where=", ".join(map(str, paths)), hint=hint)
    _write(junit, sarif, rows, require)
    _summary(counts, lists, require)
    return 0 if all(met for _, met, _ in counts) else 21


def _to_file() -> bool:
    import sys

    return not sys.stdout.isatty() and sys.stderr.isatty()


def _noted(found: Iterator[Source], names: deque[str]) -> Iterator[Source]:
    """``found``, with the names kept for whoever prints the verdicts."""
    for source in found:
        names.append(source.name)
        yield source


def _met(verdict: Verified, require: Require) -> bool:
    from audit.provenance import State

    state = verdict.state
    nothing = {State.ABSENT, State.REMOTE_ONLY, State.UNREADABLE, State.UNDETERMINED}
    return {
        Require.VERIFIED: state.verified,
        Require.TRUSTED_SIGNER: state in {State.TRUSTED, State.NO_TIMESTAMP},
        Require.TRUSTED: state is State.TRUSTED,
        Require.AI: state.verified and verdict.ai,
        Require.ANY: state not in nothing,
    }[require]


def _line(row: Row) -> str:
    from audit.render.format import clean

    notes = [*row.verdict.warnings, *(f"rubric:{check}" for check in row.verdict.rubric or ())]
    return "\t".join(map(clean, (row.verdict.state, row.name, row.verdict.message, " ".join(notes)))).rstrip("\t")


def _json(row: Row) -> str:
    import json
    from dataclasses import asdict

    return json.dumps({"path": row.name, "met": row.met, **asdict(row.verdict)}, sort_keys=True)


def _write(junit: Path | None, sarif: Path | None, rows: list[Row], require: Require) -> None:
    from datetime import UTC, datetime

    from audit import __version__
    from audit.render import credentials
    from audit.runs._files import write_bytes

    if junit is not None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
        write_bytes(junit, credentials.junit(rows, required=require.value, when=now))
    if sarif is not None:
        write_bytes(sarif, credentials.sarif(rows, version=__version__))


def _summary(counts: Counter[tuple[str, bool, str]], lists: list[TrustList], require: Require) -> None:
    """How many in each state, what to do about those that do not hold, and what was trusted, on standard error."""
    states: dict[str, int] = {}
    for (state, _, _), count in sorted(counts.items()):
        states[state] = states.get(state, 0) + count
    held = sum(count for (_, met, _), count in counts.items() if met)
    told = ", ".join(f"{count} {state}" for state, count in states.items())
    typer.echo(f"{counts.total()} images: {told}; {held} meet --require {require}", err=True)
    for hint in dict.fromkeys(hint for _, met, hint in sorted(counts) if hint and not met):
        typer.echo(f"hint: {hint}", err=True)
    for each in lists:
        notes = "".join(
            (
                f", {each.expired} expired" if each.expired else "",
                f", {each.untrusted} left out as no longer trusted" if each.untrusted else "",
            )
        )
        dated = f", {each.date}" if each.date else ""
        digest = each.sha256[:12]
        line = f"trust: {each.kind}: {each.name}, {each.certificates} certificates{notes}{dated}, sha256 {digest}"
        typer.echo(line, err=True)
    if not lists:
        typer.echo("trust: no list given, so no signer is trusted (--trust FILE)", err=True)
