# SPDX-License-Identifier: Apache-2.0
"""``genaudit serve``: a generator as an endpoint whose pictures carry credentials."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NAME = "serve"
EXAMPLES = """Examples:  genaudit serve reference:diffusion --param steps=20;  genaudit serve ours --record log.jsonl.
Exit codes: 0 stopped by SIGTERM, 2 a wrong setting or address, 20 the model cannot be loaded, 130 Ctrl-C.
Where GENAUDIT_SERVE_KEY is set, clients must send it: Authorization: Bearer <key>."""


def command(
    model: Annotated[str, typer.Argument(help="Folder, hub id, or reference:<name>.")],
    *,
    kind: Annotated[str | None, typer.Option(help="Kind of generator; default: told from the folder.")] = None,
    param: Annotated[list[str] | None, typer.Option(help="Of every picture, e.g. steps=20; repeatable.")] = None,
    option: Annotated[list[str] | None, typer.Option(help="How to load, e.g. device=cuda; repeatable.")] = None,
    host: Annotated[str, typer.Option(help="Address; anything but loopback is open to others.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    batch_size: Annotated[int, typer.Option(help="Pictures drawn at once, at most.")] = 8,
    max_wait_ms: Annotated[float, typer.Option(help="How long a picture waits for others to join it.")] = 10,
    queue: Annotated[int, typer.Option(help="Pictures asked for and not yet answered; beyond that: 429.")] = 256,
    keys: Annotated[str | None, typer.Option(help="Folder with chain.pem and key.pem, or command:PROGRAM.")] = None,
    watermark: Annotated[str | None, typer.Option(help="Mark every picture, e.g. spread.")] = None,
    watermark_key: Annotated[
        Path | None, typer.Option(help="File with its secret key; default: the public one.")
    ] = None,
    manifests: Annotated[Path | None, typer.Option(help="File that keeps manifests, for genaudit recover.")] = None,
    tsa: Annotated[str | None, typer.Option(help="Time stamp authority (RFC 3161) to ask.")] = None,
    no_stamp: Annotated[bool, typer.Option("--no-stamp", help="Pictures without credentials.")] = False,
    name: Annotated[str | None, typer.Option(help="What clients call the model.")] = None,
    record: Annotated[Path | None, typer.Option(help="File that gets one JSON line a picture.")] = None,
    record_prompts: Annotated[bool, typer.Option("--record-prompts", help="Put prompts into it, too.")] = False,
    no_auth: Annotated[bool, typer.Option("--no-auth", help="Let other machines in without a key.")] = False,
) -> int:
    """Offer a generator as an OpenAI-compatible image endpoint that stamps what it returns."""
    from audit.generators.address import parse_pairs
    from audit.serving import Settings
    from audit.serving.command import serve

    settings = Settings(
        model,
        kind=kind,
        name=name,
        params=parse_pairs(param or [], where="--param"),
        options=parse_pairs(option or [], where="--option"),
        batch_size=batch_size,
        max_wait_ms=max_wait_ms,
        queue=queue,
        keys=keys,
        watermark=watermark,
        watermark_key=watermark_key,
        manifests=manifests,
        time_stamps=tsa,
        stamp=not no_stamp,
        record=record,
        record_prompts=record_prompts,
    )
    return serve(settings, host=host, port=port, no_auth=no_auth, tell=typer.echo)
