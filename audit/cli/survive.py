# SPDX-License-Identifier: Apache-2.0
"""``genaudit survive``: which provenance layer survives which edit?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from audit.provenance.survive import Plan
    from audit.provenance.watermark import Watermark

NAME = "survive"
EXAMPLES = """Examples:  genaudit survive runs/quickstart;  genaudit survive images --restamp --sample 200 --seed 1
--edits compression,chain;  genaudit survive a.png b.jpg --watermark none --out survival/test --json.
Families of edits: copy, container, compression, geometry, colour, noise, chain.  Exit codes: 0 done, 2 usage, no images
or a key that cannot sign, 20 the disk says no or a worker died, 130 interrupted: finished images are kept, and the same
command goes on."""


def command(
    paths: Annotated[list[Path], typer.Argument(help="Run folders, folders of images, image files.")],
    *,
    sample: Annotated[int, typer.Option(min=1, help="Images to draw.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same sample.")] = 0,
    edits: Annotated[str | None, typer.Option(help="Edits or families, comma between them; default: all.")] = None,
    watermark: Annotated[str, typer.Option(help="Name of the watermark, or none.")] = "spread",
    watermark_key: Annotated[
        Path | None, typer.Option(help="File with its secret key; default: the public one.")
    ] = None,
    restamp: Annotated[bool, typer.Option("--restamp", help="Stamp fresh copies of all images, in memory.")] = False,
    keys: Annotated[str | None, typer.Option(help="What stamps: folder, command:... or callable:...")] = None,
    anchors: Annotated[Path | None, typer.Option(help="PEM file of roots to trust.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the results; default: survival in the folder.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes.")] = 2,
    force: Annotated[bool, typer.Option("--force", help="Forget what was measured in another way.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no table.")] = False,
) -> None:
    """Edit copies of images and say which layers are kept, broken or gone.

    Images with credentials or a watermark are measured as they are; of others, copies with all layers are stamped.
    """
    import json

    from audit.cli import _console
    from audit.provenance.survive import draw, find_images, home, run
    from audit.render.survival import write_page

    drawn = draw(find_images(paths), n=sample, seed=seed)
    plan = _plan(edits=edits, mark=_watermark(watermark, watermark_key), restamp=restamp, keys=keys, anchors=anchors)
    folder = out or home(paths)
    with _console.progress(quiet=quiet or as_json) as progress:
        _, summary = run(drawn, plan, folder, workers=workers, force=force, progress=progress)
    page = write_page(folder, summary)
    _round_trips(paths, drawn.images, plan, folder)
    if as_json:
        typer.echo(json.dumps(summary, sort_keys=True))
    elif not quiet:
        _show(summary, page)


def _round_trips(paths: list[Path], images: Mapping[str, Path], plan: Plan, folder: Path) -> None:
    """Of a run that kept its manifests: what a reader of the dashboard sees of a few images, all the way."""
    from audit.provenance import ManifestStore
    from audit.provenance.round_trip import round_trips, write
    from audit.provenance.store import STORE_NAME

    kept = paths[0] / STORE_NAME
    if len(paths) == 1 and kept.is_file() and plan.watermark is not None:
        with ManifestStore(kept, readonly=True) as store:
            write(folder, round_trips(images, store=store, watermark=plan.watermark, anchors=plan.anchors))


def _plan(*, edits: str | None, mark: Watermark | None, restamp: bool, keys: str | None, anchors: Path | None) -> Plan:
    from audit.provenance import Stamper
    from audit.provenance.survive import LAYERS, Layer, Plan, select_edits

    return Plan(
        edits=select_edits([name.strip() for name in edits.split(",")] if edits is not None else None),
        layers=LAYERS if mark else tuple(layer for layer in LAYERS if layer is not Layer.WATERMARK),
        watermark=mark,
        anchors=_read(anchors) if anchors else None,
        stamper=Stamper(keys),
        restamp=restamp,
    )


def _watermark(name: str, key: Path | None) -> Watermark | None:
    if name == "none":
        return None
    from audit.provenance.watermark import find_keyed

    return find_keyed(name, key)


def _show(summary: Mapping[str, Any], page: Path) -> None:
    """The matrix: a row an edit, a column a layer."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from audit.render.survival import section

    console = Console()
    if not console.is_terminal:  # in a log or a pipe there is no width to keep to
        console = Console(width=170)
    said = section(summary)
    table = Table(title="what survives", title_justify="left", caption=said.cost, caption_justify="left")
    table.add_column("edit", max_width=44)
    for layer in said.layers:
        table.add_column(layer)
    family = said.lines[0].family
    for line in said.lines:
        if line.family != family:
            table.add_section()
        family = line.family
        table.add_row(Text(line.edit), *(Text(cell, style=_style(cell)) for cell in line.cells))
    console.print(table)
    places = [f"results    {page.with_name('survival.json')}", f"page       {page}"]
    if (page.parent.parent / "manifest.json").is_file():
        places.append(f"report     genaudit report {page.parent.parent}")
    for words in (said.lead, *said.notes, *places):
        console.print(Text(words), soft_wrap=True)
    for name, note in summary["images"]["notes"].items():
        typer.echo(f"{name}: {note}", err=True)


def _style(cell: str) -> str:
    """Red for broken, faint for gone."""
    return "red" if "broken" in cell else "" if cell.startswith("kept") and not cell.startswith("kept 0") else "dim"


def _read(path: Path) -> str:
    from audit.errors import ConfigError

    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read trust anchors: {error}", where=str(path), hint="give a PEM file") from None
