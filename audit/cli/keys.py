# SPDX-License-Identifier: Apache-2.0
"""``genaudit keys``: check a chain before it signs, make one for trials, run a time stamp authority for trials."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from audit.provenance.keys.check import Checked

NAME = "keys"
_CODES = "Exit codes: 0 the chain signs, 2 it cannot, or usage, 130 interrupted."

app = typer.Typer(
    help="Check a certificate chain that signs Content Credentials; make one, and a time stamp authority, for trials.",
    epilog="Start with: genaudit keys check FOLDER",
    no_args_is_help=True,
    rich_markup_mode=None,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@app.command(
    epilog="Examples:  genaudit keys check ~/keys;  genaudit keys check chain.pem --key key.pem --anchors roots.pem;  "
    'genaudit keys check "command:kms-signer --profile images" --json.  An encrypted key takes its password from '
    f"GENAUDIT_KEY_PASSWORD, or from the file in GENAUDIT_KEY_PASSWORD_FILE.  {_CODES}"
)
def check(
    path: Annotated[
        str, typer.Argument(help="Folder with chain.pem and key.pem; PEM file; command:... or callable:...")
    ],
    *,
    key: Annotated[Path | None, typer.Option(help="PEM file of the private key.", dir_okay=False)] = None,
    anchors: Annotated[
        Path | None, typer.Option(help="PEM file of roots that verifiers trust.", dir_okay=False, exists=True)
    ] = None,
    at: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="Time of signing, UTC; default: now."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Name every rule of C2PA that a chain and key break, and try to sign with them."""
    import json
    from datetime import UTC

    from audit.provenance.keys.check import check as look

    moment = at.replace(tzinfo=UTC) if at else None
    found = look(path, key=key, at=moment, anchors=anchors.read_bytes() if anchors else None)
    if as_json:
        typer.echo(json.dumps(_record(found), sort_keys=True))
    else:
        _tell(found)
    raise typer.Exit(0 if found.signs else 2)


@app.command(
    epilog="Examples:  genaudit keys dev;  genaudit keys dev --out trial-keys --tsa.  Exit codes: 0 made or shown, 2 "
    "the folder cannot be written, or what it holds cannot be used."
)
def dev(
    *,
    out: Annotated[Path | None, typer.Option(help="Folder; default: the user's key folder.", file_okay=False)] = None,
    tsa: Annotated[bool, typer.Option("--tsa", help="And a time stamp authority (see `keys tsa`).")] = False,
    as_json: AsJson = False,
) -> None:
    """Make or show a development chain: it signs, and nobody in the world trusts it."""
    import json

    from audit.provenance.keys.authority import development_authority
    from audit.provenance.keys.chain import development_chain

    chain = development_chain(out)
    folder = chain.folder or Path()
    said = {"folder": str(folder), "signer": chain.signer, "expires": chain.expires.date().isoformat()}
    if chain.root is not None:
        said["anchors"] = str(folder / "root.pem")
    if tsa:
        authority = development_authority(folder)
        said |= {"tsa_expires": authority.expires.date().isoformat(), "tsa_anchors": str(folder / "tsa-root.pem")}
    if as_json:
        typer.echo(json.dumps({**said, "development": chain.development}, sort_keys=True))
        return
    for name, value in said.items():
        typer.echo(f"{name}\t{value}")
    if chain.development:
        trust = f"--trust {folder / 'root.pem'}" + (f" --trust-timestamps {folder / 'tsa-root.pem'}" if tsa else "")
        typer.echo(f"note: for trials only; to see its images as trusted: genaudit verify IMAGE {trust}", err=True)
    else:
        typer.echo("note: this folder holds a chain that this tool did not make; it was left as it is", err=True)


@app.command(
    epilog="Examples:  genaudit keys tsa;  genaudit keys tsa --folder trial-keys --port 3161.  Exit codes: 2 usage or "
    "the port is taken, 130 interrupted (the only way it ends)."
)
def tsa(
    *,
    folder: Annotated[Path | None, typer.Option(help="As for `keys dev`; made where needed.", file_okay=False)] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="On 127.0.0.1; 0: any free one.")] = 3161,
) -> None:
    """Run a time stamp authority on this machine until it is interrupted; nobody in the world trusts it."""
    import threading

    from audit.provenance.keys.authority import development_authority, serve_authority

    found = development_authority(folder)
    server = serve_authority(found, port=port)
    typer.echo(f"{server.url}/")
    typer.echo(f"note: for trials only; its root is {found.folder / 'tsa-root.pem'}; Ctrl-C ends it", err=True)
    threading.Event().wait()


def _record(found: Checked) -> dict[str, object]:
    from dataclasses import asdict

    return {**asdict(found), "signs": found.signs}


def _tell(found: Checked) -> None:
    """A line a finding with its hint below; the verdict last."""
    for finding in found.findings:
        typer.echo(f"{finding.level.value}\t{finding.rule}\t{finding.message}\t[{finding.source}]")
        typer.echo(f"\thint: {finding.hint}")
    if found.refusal is not None:
        typer.echo(f"error\tsigning\t{found.refusal}")
    if found.certificates:
        count = f"{found.certificates} certificate{'s' if found.certificates > 1 else ''}"
        typer.echo(f"chain\t{count}, {found.algorithm}, {found.signer}, until {found.expires}")
    if not found.signs:
        typer.echo(f"verdict\t{found.where} cannot sign")
    elif found.milliseconds is not None:
        typer.echo(f"verdict\tsigns; tried on a tiny image in {found.milliseconds:.1f} ms")
    else:
        typer.echo(f"verdict\tno rule stands against signing; not tried{'' if found.key else ', no key was given'}")
