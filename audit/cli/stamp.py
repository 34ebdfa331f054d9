# SPDX-License-Identifier: Apache-2.0
"""``genaudit stamp``: sign images of any generator with Content Credentials."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from audit.provenance.batch import Done
    from audit.provenance.claim import Claim, Stamped
    from audit.provenance.watermark import Watermark

NAME = "stamp"
EXAMPLES = """Examples:  genaudit stamp image.png --out stamped.png --generator my-model --prompt "a cat" --seed 1;
genaudit stamp renders --out stamped --generator my-model --watermark spread --store manifests.sqlite.
Exit codes: 0 all stamped, 20 some not (each is named), 2 usage."""


class _Broken(StrEnum):
    REFUSE = "refuse"
    RECORD = "record"


class _Form(StrEnum):
    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"
    AVIF = "avif"
    TIFF = "tiff"
    GIF = "gif"


class _Mining(StrEnum):
    NOT_ALLOWED = "notAllowed"
    ALLOWED = "allowed"
    NOTHING = "nothing"


def command(
    paths: Annotated[list[Path], typer.Argument(help="Image files and folders; they are only read.")],
    *,
    out: Annotated[Path, typer.Option(help="Folder for the signed copies; or a file, where one image is given.")],
    generator: Annotated[str, typer.Option(help="Name of what drew the images.")] = "unnamed generator",
    generator_version: Annotated[str | None, typer.Option(help="Its version.")] = None,
    prompt: Annotated[str, typer.Option(help="What was asked. Only its digest is written.")] = "",
    prompt_file: Annotated[Path | None, typer.Option(help="A file that holds the prompt.", dir_okay=False)] = None,
    public_prompt: Annotated[
        bool, typer.Option("--public-prompt", help="Write the prompt itself, for everybody to read.")
    ] = False,
    seed: Annotated[str, typer.Option(help="Of the random numbers.")] = "",
    keys: Annotated[
        str | None, typer.Option(help="Key folder, command:... or callable:...; default: a development chain.")
    ] = None,
    tsa: Annotated[str | None, typer.Option(help="URL of a time stamp authority (RFC 3161).")] = None,
    watermark: Annotated[str | None, typer.Option(help="Name of a watermark to put in, e.g. spread.")] = None,
    watermark_key: Annotated[
        Path | None, typer.Option(help="File with its secret key; default: the public one.")
    ] = None,
    store: Annotated[Path | None, typer.Option(help="Manifest store that remembers what was signed.")] = None,
    training_mining: Annotated[
        _Mining, typer.Option(help="Use granted for training and data mining.")
    ] = _Mining.NOT_ALLOWED,
    broken_parents: Annotated[
        _Broken, typer.Option(help="Images whose own credentials are broken: refuse, or record that.")
    ] = _Broken.REFUSE,
    form: Annotated[_Form | None, typer.Option("--format", help="Write all as this; default: as they are.")] = None,
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of JPEG, WebP and AVIF written anew.")] = 95,
    workers: Annotated[int, typer.Option(min=0, max=64, help="Threads; 0: one for each core.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only what failed.")] = False,
) -> int:
    """Sign copies of images: watermark (if asked for), XMP, Content Credentials. Sources are never written to."""
    import os

    from audit.cli import _console
    from audit.provenance.batch import plan, stamp_files
    from audit.provenance.keys import TimeStamps, keys_from
    from audit.provenance.stamp import Stamper

    media_type = f"image/{form.value}" if form else None
    jobs = plan(paths, out, media_type=media_type)
    stamper = Stamper(
        keys_from(keys),
        watermark=_watermark(watermark, watermark_key),
        timestamps=TimeStamps(tsa) if tsa else None,
        training_mining=None if training_mining is _Mining.NOTHING else training_mining.value,
        broken_parents=broken_parents.value,
    )
    text = _prompt(prompt, prompt_file)
    claim = _claims(generator, text, seed, version=generator_version, public=public_prompt)
    failed = 0
    with _console.progress(quiet=quiet or as_json) as progress:
        found = stamp_files(
            jobs,
            stamper,
            claim,
            media_type=media_type,
            quality=quality,
            workers=workers or os.cpu_count() or 1,
            force=force,
            keep=_keeper(store),
        )
        for number, done in enumerate(found, 1):
            failed += done.stamped is None
            _tell(done, as_json=as_json, quiet=quiet)
            progress("stamping", number, len(jobs))
    if not quiet:
        typer.echo(f"{len(jobs) - failed} of {len(jobs)} stamped, signed by {stamper.chain.signer}", err=True)
    return 20 if failed else 0


def _claims(generator: str, prompt: str, seed: str, *, version: str | None, public: bool) -> Callable[[Path], Claim]:
    from dataclasses import replace

    from audit.provenance.claim import Claim

    def claim(path: Path) -> Claim:
        made = Claim.about(generator, prompt=prompt, seed=seed, public_prompt=public, version=version)
        return replace(made, title=path.name)

    return claim


def _prompt(text: str, file: Path | None) -> str:
    from audit.errors import ConfigError

    if file is None:
        return text
    if text:
        raise ConfigError("two prompts", where="--prompt, --prompt-file", hint="give one of them")
    try:
        return file.read_text(encoding="utf-8").strip("\ufeff\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read: {error}", where=str(file), hint="give a text file in UTF-8") from None


def _watermark(name: str | None, key: Path | None) -> Watermark | None:
    from audit.provenance import watermark

    return watermark.find_keyed(name, key) if name else None


def _keeper(path: Path | None) -> Callable[[Stamped, Claim], object] | None:
    """Enters what was stamped into a manifest store."""
    if path is None:
        return None
    from audit.provenance.store import ManifestStore

    store = ManifestStore(path)
    return lambda made, claim: store.add(made, rgb=made.rgb, request_id=claim.request_id, run_id=claim.run_id)


def _tell(done: Done, *, as_json: bool, quiet: bool) -> None:
    """A line a file: what became of it, and why where it failed."""
    import json

    made = done.stamped
    if as_json:
        row = {
            "path": str(done.job.source),
            "out": str(done.job.target),
            "stamped": made is not None,
            "error": done.error,
            "hint": done.hint,
            "manifest_id": made.manifest_id if made else None,
            "media_type": made.media_type if made else None,
            "parent": made.parent.value if made and made.parent else None,
            "watermark": made.watermark if made else None,
            "payload": made.payload if made else None,
            "timestamped": made.timestamped if made else None,
            "notes": list(made.notes) if made else [],
        }
        typer.echo(json.dumps(row, sort_keys=True))
    elif made is None:
        typer.echo(f"not stamped\t{done.job.source}\t{done.error}; {done.hint}")
    elif not quiet:
        notes = "".join(f"\t{note}" for note in made.notes)
        typer.echo(f"stamped\t{done.job.target}\t{made.manifest_id}{notes}")
