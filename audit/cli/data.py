# SPDX-License-Identifier: Apache-2.0
"""``genaudit data``: reference sets of one's own, prepared step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from audit.datasets import Summary

NAME = "data"
_CODES = "Exit codes: 0 done, 2 usage, 20 a set or source is damaged or the disk says no, 130 interrupted."

app = typer.Typer(
    help="Collect, clean, normalise, augment, split and describe image sets. Nothing is lost without a reason.",
    epilog="Start with: genaudit data collect photos --out data/raw",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Source = Annotated[Path, typer.Argument(help="Folder of a data set.", show_default=False)]
Out = Annotated[Path, typer.Option(help="Folder of the new set.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the data set that lies at --out.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary.")]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same result.")]


class _Animated(StrEnum):
    FIRST = "first"
    DROP = "drop"


class _Keep(StrEnum):
    LARGEST = "largest"
    FIRST = "first"


class _Kernel(StrEnum):
    BICUBIC = "bicubic"
    BILINEAR = "bilinear"
    LANCZOS = "lanczos"
    BOX = "box"


class _Fit(StrEnum):
    CROP = "crop"
    PAD = "pad"
    STRETCH = "stretch"


class _Levels(StrEnum):
    BYTE = "0..255"
    UNIT = "0..1"
    SIGNED = "-1..1"


class _Attributes(StrEnum):
    BUNDLED = "bundled"
    NONE = "none"


@app.command(
    epilog="Examples:  genaudit data collect photos --out data/raw;  genaudit data collect faces.parquet 000.tar "
    f"--licence CC-BY-4.0 --out data/raw.  {_CODES}"
)
def collect(
    sources: Annotated[
        list[str],
        typer.Argument(help="Folders (with metadata.jsonl or .csv), Parquet files, WebDataset tars.", metavar="SOURCE"),
    ],
    *,
    out: Out,
    licence: Annotated[str | None, typer.Option(help="Licence of all that states none itself.")] = None,
    max_bytes: Annotated[int, typer.Option(min=1, help="Leave out larger files.")] = 64 * 2**20,
    image_column: Annotated[str | None, typer.Option(help="Of Parquet files; found by type if not given.")] = None,
    caption_column: Annotated[str | None, typer.Option(help="Metadata column; else caption, text or prompt.")] = None,
    force: Force = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make a set: original bytes under their digest, and everything that is said about them."""
    from audit import datasets

    options = datasets.CollectOptions(licence, max_bytes, image_column, caption_column)
    with _progress(quiet) as progress:
        done = datasets.collect(sources, out, options=options, force=force, progress=progress)
    _tell(done, as_json=as_json, quiet=quiet)


@app.command(
    epilog="Examples:  genaudit data clean data/raw --out data/clean;  genaudit data clean data/raw --out data/clean "
    f"--min-side 256 --drop-mode cmyk --no-near.  What goes and why: dropped.csv.  {_CODES}"
)
def clean(
    source: Source,
    *,
    out: Out,
    min_side: Annotated[int, typer.Option(min=1, help="Pixels of the shorter side, at least.")] = 16,
    max_side: Annotated[int, typer.Option(min=1, help="Pixels of the longer side, at most.")] = 16384,
    max_aspect: Annotated[float, typer.Option(min=1.0, help="Longer by shorter side, at most.")] = 4.0,
    drop_mode: Annotated[
        list[str] | None,
        typer.Option(help="Drop instead of converting to RGB: alpha, cmyk, deep, grey, other, palette. Repeatable."),
    ] = None,
    animated: Annotated[_Animated, typer.Option(help="Keep the first frame, or drop.")] = _Animated.FIRST,
    keep: Annotated[_Keep, typer.Option(help="Which of several near duplicates.")] = _Keep.LARGEST,
    near: Annotated[bool, typer.Option("--near/--no-near", help="Whether to look for near duplicates.")] = True,
    near_bits: Annotated[int, typer.Option(min=0, max=32, help="Of 64 bits of the hash that may differ.")] = 8,
    near_levels: Annotated[float, typer.Option(min=0.0, help="Colour difference (of 255) that may remain.")] = 6.0,
    force: Force = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Leave out what is damaged, doubled or odd; make the rest RGB, upright and still."""
    from audit import datasets

    rules = datasets.CleanRules(
        min_side=min_side,
        max_side=max_side,
        max_aspect=max_aspect,
        drop_modes=tuple(drop_mode or ()),
        animated=animated.value,
        keep=keep.value,
        near=near,
        near_bits=near_bits,
        near_levels=near_levels,
    )
    with _progress(quiet) as progress:
        done = datasets.clean(source, out, rules=rules, force=force, progress=progress)
    _tell(done, as_json=as_json, quiet=quiet)


@app.command(
    epilog="Examples:  genaudit data normalise data/clean --out data/64 --size 64;  genaudit data normalise data/clean "
    f"--out data/wide --size 128x64 --kernel lanczos --fit pad.  {_CODES}"
)
def normalise(
    source: Source,
    *,
    out: Out,
    size: Annotated[str, typer.Option(help="Pixels: 64, or width x height as 128x64.")],
    kernel: Annotated[_Kernel, typer.Option(help="Of the resize, widened where it shrinks.")] = _Kernel.BICUBIC,
    fit: Annotated[_Fit, typer.Option(help="Crop the middle, pad with white, or stretch.")] = _Fit.CROP,
    levels: Annotated[
        _Levels, typer.Option("--range", help="What 0 to 255 stand for where the set is used; noted in each record.")
    ] = _Levels.BYTE,
    force: Force = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Bring all images to one size by one declared kernel, as PNG."""
    from audit import datasets

    width, height = _size(size)
    shape = datasets.Shape(width, height, kernel=kernel.value, fit=fit.value, levels=levels.value)
    with _progress(quiet) as progress:
        done = datasets.normalise(source, out, shape=shape, force=force, progress=progress)
    _tell(done, as_json=as_json, quiet=quiet)


@app.command(
    epilog="Examples:  genaudit data augment data/clean --out data/jpeg --transform jpeg:quality=60;  genaudit data "
    "augment data/clean --out data/rough --transform crop:share=0.8..1 --transform noise:sigma=2..8 --copies 3 "
    "--seed 7.  Transforms: blur:radius brightness:factor contrast:factor crop:share flip:p grey jpeg:quality "
    f"noise:sigma resize:scale rotate:degrees saturation:factor webp:quality.  {_CODES}"
)
def augment(
    source: Source,
    *,
    out: Out,
    transform: Annotated[list[str], typer.Option(help="name, or name:k=v,k=low..high. Repeatable; in this order.")],
    seed: Seed = 0,
    copies: Annotated[int, typer.Option(min=1, help="Of each image.")] = 1,
    force: Force = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make disturbed copies whose parents are known, to test instruments and credentials."""
    from audit import datasets

    with _progress(quiet) as progress:
        done = datasets.augment(
            source, out, transforms=transform, seed=seed, copies=copies, force=force, progress=progress
        )
    _tell(done, as_json=as_json, quiet=quiet)


@app.command(
    epilog="Examples:  genaudit data split data/clean --out data/parts --parts train=0.8,val=0.1,test=0.1 --seed 7;  "
    f"genaudit data split data/clean --out data/parts --parts a=0.5,b=0.5 --by photographer.  {_CODES}"
)
def split(
    source: Source,
    *,
    out: Annotated[Path, typer.Option(help="Folder of the parts: one set each, and split.json.")],
    parts: Annotated[str, typer.Option(help="Names and shares that sum to 1.")],
    seed: Seed = 0,
    by: Annotated[str | None, typer.Option(help="Column whose values must not straddle parts.")] = None,
    force: Force = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Divide a set so that no duplicate, near duplicate, parent or column value is in two parts."""
    from audit import datasets

    shares = datasets.parse_parts(parts)
    with _progress(quiet) as progress:
        done = datasets.split(source, out, parts=shares, seed=seed, by=by, force=force, progress=progress)
    _tell(done, as_json=as_json, quiet=quiet)


@app.command(
    epilog="Examples:  genaudit data card data/clean;  genaudit data card data/clean --attributes none --json.  "
    + _CODES
)
def card(
    source: Source,
    *,
    attributes: Annotated[
        _Attributes, typer.Option(help="Look at pictures with the bundled instruments, or not.")
    ] = _Attributes.BUNDLED,
    counts: Annotated[
        str | None, typer.Option(help="Which measured errors of the instruments fit, e.g. after_autoencoder.")
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write CARD.md and card.json: counts, licences, digest, and shares of perceived attributes with intervals."""
    import json

    from audit import datasets

    wanted = attributes is _Attributes.BUNDLED
    with _progress(quiet) as progress:
        content = datasets.card(source, attributes=wanted, counts=counts, progress=progress)
    if as_json:
        typer.echo(json.dumps(content, sort_keys=True))
    elif not quiet:
        typer.echo(f"{source / 'CARD.md'}\t{content['images']} images\t{content['digest']}")


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    from audit.cli import _console

    with _console.progress(quiet=quiet) as progress:
        yield progress


def _tell(done: Summary, *, as_json: bool, quiet: bool) -> None:
    """Counts by tabs on standard output, as `genaudit verify` does; where to read on beside them."""
    import json
    from dataclasses import asdict

    if as_json:
        typer.echo(json.dumps(asdict(done), sort_keys=True))
        return
    if quiet:
        return
    typer.echo(f"kept\t{done.kept}\t{done.out}")
    for reason, count in done.dropped.items():
        typer.echo(f"dropped\t{count}\t{reason}")
    for name, part in _parts(done).items():
        typer.echo(f"part\t{part['images']}\t{name}\t{part['reached']:.4f} reached, {part['asked']:g} asked")
    typer.echo(f"{done.step}: {done.given} given, {done.kept} kept, {sum(done.dropped.values())} dropped", err=True)


def _parts(done: Summary) -> dict[str, Any]:
    return dict(done.details.get("parts", {}))


def _size(text: str) -> tuple[int, int]:
    from audit.errors import ConfigError

    width, _, height = text.lower().partition("x")
    if not (width.isascii() and width.isdigit() and (height or width).isdigit()):
        raise ConfigError(f"{text!r} is no size", where="--size", hint="64, or 128x64")
    return int(width), int(height or width)
