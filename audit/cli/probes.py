# SPDX-License-Identifier: Apache-2.0
"""``genaudit probes``: prompt lists of others as probe sets, and a look into a set."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from audit.probes.importers import Imported, Target

NAME = "probes"
_FORMATS = "auto, images, partiprompts, drawbench, geneval, t2i-compbench, i2p, heim, csv, tsv, jsonl, json or txt"

app = typer.Typer(
    help="Make probe sets of published prompt lists and of finished images; look into a set.",
    epilog="Start with: genaudit probes import auto prompts.csv --out my-probes.yaml",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class _Purpose(StrEnum):
    BIAS = "bias"
    QUALITY = "quality"
    LIKENESS = "likeness"


class _Count(StrEnum):
    FEWEST = "fewest"
    MOST = "most"


@app.command(
    "import",
    epilog="Examples:  genaudit probes import partiprompts PartiPrompts.tsv --licence Apache-2.0 --out parti.yaml;  "
    "genaudit probes import t2i-compbench color_val.txt shape_val.txt --out comp.yaml;  genaudit probes import csv "
    "mine.csv --text-column caption --axis topic --out mine.yaml;  genaudit probes import images outputs --out "
    "outputs.yaml.  Exit codes: 0 written, 2 usage or a row that cannot be kept, 20 finished images are damaged.",
)
def import_(
    form: Annotated[str, typer.Argument(metavar="FORMAT", help=f"{_FORMATS}.")],
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Files of the list; images: one folder or file.")],
    *,
    out: Annotated[Path, typer.Option(help="Probe set to write (.yaml); the prompts go beside it (.jsonl).")],
    name: Annotated[str | None, typer.Option(help="Of the set; default: the name of --out.")] = None,
    licence: Annotated[str | None, typer.Option(help="SPDX id of the prompts; unknown if not given.")] = None,
    title: Annotated[str | None, typer.Option(help="Of the set.")] = None,
    language: Annotated[str | None, typer.Option(help="Of the prompts, e.g. en.")] = None,
    purpose: Annotated[_Purpose, typer.Option(help="Decides which metrics read it.")] = _Purpose.QUALITY,
    repetitions: Annotated[int | None, typer.Option(min=1, help="Images a prompt; default 4; images: --count.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Keep the first so many prompts.")] = None,
    text_column: Annotated[str | None, typer.Option(help="Which holds the prompt.")] = None,
    axis: Annotated[list[str] | None, typer.Option(help="Column that becomes an axis. Repeatable.")] = None,
    id_column: Annotated[str | None, typer.Option(help="Which holds ids; default: made of the text.")] = None,
    encoding: Annotated[str | None, typer.Option(help="Of the files, e.g. cp1252; default UTF-8.")] = None,
    layout: Annotated[str | None, typer.Option(help="Of images, where it is not found by itself.")] = None,
    count: Annotated[_Count, typer.Option(help="Images: repetitions that all prompts have, or any.")] = _Count.FEWEST,
    drop_duplicates: Annotated[
        bool, typer.Option("--drop-duplicates", help="Keep the first of equal prompts.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Write a probe set of a published prompt list, or of the prompts that finished images answer."""
    from audit.probes.importers import Columns, Target, import_prompts

    target = Target(
        out,
        name=name,
        licence=licence,
        title=title,
        language=language,
        purpose=purpose.value,
        repetitions=repetitions,
        limit=limit,
        drop_duplicates=drop_duplicates,
        force=force,
    )
    if form == "images":
        done = _images(files, target, layout=layout, text_column=text_column, count=count)
    else:
        columns = Columns(text_column, tuple(axis or ()), id_column)
        paths = [Path(file) for file in files]
        done = import_prompts(paths, target, form=form, columns=columns, encoding=encoding)
    _tell(done, as_json=as_json)


@app.command(epilog="Examples:  genaudit probes show portraits;  genaudit probes show my-probes.yaml --first 20")
def show(
    probe_set: Annotated[str, typer.Argument(metavar="SET", help="Name of a bundled set, or path of a YAML file.")],
    first: Annotated[int, typer.Option(min=0, help="Print so many prompts.")] = 5,
) -> None:
    """What a set asks: counts, axes with their values, the first prompts."""
    from collections import Counter

    from audit.probes import load_probe_set

    found = load_probe_set(probe_set)
    for key in ("name", "version", "title", "purpose", "licence", "repetitions"):
        typer.echo(f"{key}\t{getattr(found, key)}")
    typer.echo(f"source\t{found.card['source']}")
    typer.echo(f"prompts\t{len(found.prompts)}")
    for axis in dict.fromkeys(axis for prompt in found.prompts for axis in prompt.axes):
        values = Counter(prompt.axes[axis] for prompt in found.prompts if axis in prompt.axes)
        sliced = "sliced" if axis in found.by else "not sliced"
        most = ", ".join(f"{value} {number}" for value, number in values.most_common(10))
        typer.echo(f"axis\t{axis}\t{len(values)} values\t{sliced}\t{most}{' ...' if len(values) > 10 else ''}")
    for prompt in found.prompts[:first]:
        typer.echo(f"{prompt.id}\t{' '.join(prompt.text.split())}")


def _images(
    files: list[str], target: Target, *, layout: str | None, text_column: str | None, count: _Count
) -> Imported:
    from audit.errors import ConfigError
    from audit.generators.finished import prompts_of
    from audit.probes.importers import write_set

    if len(files) != 1:
        hint = "import each alone, each with an --out of its own"
        raise ConfigError(f"give one folder or file, not {len(files)}", where="FILE", hint=hint)
    target.check()
    drafts, origin = prompts_of(files[0], options={"layout": layout, "text_column": text_column}, count=count.value)
    return write_set(drafts, target, origin)


def _tell(done: Imported, *, as_json: bool) -> None:
    """Counts by tabs on standard output; what the user must know on standard error."""
    import json
    from dataclasses import asdict

    if as_json:
        typer.echo(json.dumps(asdict(done), sort_keys=True, default=str))
        return
    typer.echo(f"wrote\t{done.prompts} prompts x {done.repetitions}\t{done.path}")
    for axis, values in done.axes.items():
        typer.echo(f"axis\t{axis}\t{values} values\t{'sliced' if axis in done.by else 'not sliced'}")
    for note in done.notes:
        typer.echo(f"note: {note}", err=True)
    typer.echo(f"next: genaudit run, with probes: [{{set: {done.path}}}] in the audit file", err=True)
