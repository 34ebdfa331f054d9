# SPDX-License-Identifier: Apache-2.0
"""``genaudit recover``: find the credentials of images that lost them, through the watermark."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from audit.provenance.recover import Recovered
    from audit.provenance.watermark import Watermark

NAME = "recover"
EXAMPLES = """Examples:  genaudit recover download.jpg --store manifests.sqlite;
genaudit recover downloads/ --store runs/quickstart --trust roots.pem --json.
Exit codes: 0 all have credentials that hold (recovered, or in the file), 21 at least one has not, 2 usage,
20 the store cannot be read."""


def command(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Images, folders, run folders, tar archives (.tar, .tar.gz, .tgz), Parquet files."),
    ],
    *,
    store: Annotated[Path, typer.Option(help="Manifest store, or a run folder that has one.")],
    watermark: Annotated[
        list[str] | None, typer.Option(help="Mark to look for: spread or trustmark. Repeatable; default: spread.")
    ] = None,
    watermark_key: Annotated[
        Path | None, typer.Option(help="File with the secret key of the spread mark; default: the public key.")
    ] = None,
    trust: Annotated[
        list[Path] | None,
        typer.Option("--trust", "--anchors", help="List of who may sign: PEM bundle or C2PA JSON. Repeatable."),
    ] = None,
    trust_timestamps: Annotated[
        list[Path] | None, typer.Option(help="List of who may vouch for time: PEM or C2PA JSON. Repeatable.")
    ] = None,
    by_picture: Annotated[
        bool, typer.Option("--by-picture", help="Where nothing is found, name look-alikes: a hint, no evidence.")
    ] = False,
    workers: Annotated[int, typer.Option(min=0, max=64, help="At the same time; 0: one a core.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the summary.")] = False,
) -> int:
    """Read the mark in each image, look its manifest up, check it, and compare the picture with the signed one.

    "recovered" means that whoever signed says this of a picture like this one, not that it is unchanged.
    """
    import os
    import sys
    from collections import Counter

    from audit.cli import _console
    from audit.errors import ConfigError
    from audit.provenance._sources import find
    from audit.provenance.recover import recover_many
    from audit.provenance.store import STORE_NAME, ManifestStore
    from audit.provenance.trust import load_lists

    marks = _watermarks(watermark or ["spread"], watermark_key)
    lists = load_lists(trust, trust_timestamps)
    sources = find(paths)
    counts: Counter[str] = Counter()
    held = 0
    with (
        ManifestStore(store / STORE_NAME if store.is_dir() else store, readonly=True) as kept,
        _console.progress(quiet=quiet or sys.stdout.isatty()) as progress,  # lines that come need no bar beside them
    ):
        found = recover_many(
            sources,
            store=kept,
            watermarks=marks,
            trust=lists,
            by_picture=by_picture,
            workers=workers or os.cpu_count() or 1,
        )
        for number, (name, one) in enumerate(found, 1):
            counts[one.outcome] += 1
            held += one.verified
            progress("looked at", number, number)
            if as_json or not quiet:
                typer.echo(_json(name, one) if as_json else _line(name, one))
    if not counts:
        hint = "give image files, folders of them, tar archives or Parquet files"
        raise ConfigError("no images found", where=", ".join(map(str, paths)), hint=hint)
    told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    typer.echo(f"{counts.total()} images: {told}; {held} have credentials that hold", err=True)
    return 0 if held == counts.total() else 21


def _watermarks(names: list[str], key: Path | None) -> list[Watermark]:
    from audit.provenance.watermark import find_keyed

    return [find_keyed(name, key if name == "spread" else None) for name in dict.fromkeys(names)]


def _facts(one: Recovered) -> dict[str, object]:
    """What is known of one image; what the credentials say is only said where they hold."""
    said = one.credentials if one.kept is not None else one.embedded
    holds = said is not None and said.state.verified
    kept = one.kept
    return {
        "manifest_id": kept.manifest_id if kept else one.embedded.manifest_id,
        "state": said.state.value if said else None,
        "issuer": said.issuer if said and holds else None,
        "generator": said.generator if said and holds else None,
        "signed_at": said.signed_at if said and holds else None,
        "request_id": (said.request_id if said and holds else None) or (kept.request_id if kept else None),
        "run_id": (said.run_id if said and holds else None) or (kept.run_id if kept else None),
        "watermark": one.algorithm,
        "payload": one.payload,
        "p_value": one.p_value,
        "likeness": one.likeness,
        "distance": one.distance,
        "similar": list(one.similar),
    }


def _line(name: str, one: Recovered) -> str:
    from audit.render.format import clean

    facts = {key: value for key, value in _facts(one).items() if value not in (None, [])}
    facts |= {key: f"{facts[key]:.2g}" for key in ("p_value", "likeness") if key in facts}
    if one.similar:
        facts["similar"] = ",".join(one.similar)
    return "\t".join(map(clean, (one.outcome, name, one.message, *(f"{key}={value}" for key, value in facts.items()))))


def _json(name: str, one: Recovered) -> str:
    import json

    row = {
        "path": name,
        "outcome": one.outcome.value,
        "verified": one.verified,
        "message": one.message,
        "embedded": one.embedded.state.value,
        "codes": list(one.credentials.codes if one.credentials else one.embedded.codes),
        **_facts(one),
    }
    return json.dumps(row, sort_keys=True)
