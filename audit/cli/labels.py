# SPDX-License-Identifier: Apache-2.0
"""``genaudit labels``: people look at a sample of a run's images, and what they say enters the numbers."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from audit.labels import Agreement, Summary
    from audit.stats.intervals import Interval

NAME = "labels"
_CODES = "Exit codes: 0 done, 2 usage or a wrong sheet, 20 the run or export is damaged or the disk says no."

app = typer.Typer(
    help="Let people label a sample of a run's images: blinded sheets out, checked labels in, agreement, errors.",
    epilog="Start with: genaudit labels export runs/quickstart --out labels/quickstart",
    no_args_is_help=True,
    rich_markup_mode=None,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary.")]
Level = Annotated[float, typer.Option(min=0.5, max=0.9999, help="Confidence level of all intervals.")]


class _Form(StrEnum):
    CSV = "csv"
    JSONL = "jsonl"


@app.command(
    epilog="Examples:  genaudit labels export runs/quickstart --out labels/quickstart;  genaudit labels export "
    "runs/quickstart --out labels/p --attribute presentation=feminine,masculine --n 400 --raters 3 --repeat 0.05;  "
    f"genaudit labels export runs/quickstart --out labels/q --by-answer attributes.presentation.  {_CODES}"
)
def export(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    *,
    out: Annotated[Path, typer.Option(help="Folder to make: one a rater, and the key.")],
    attribute: Annotated[
        list[str] | None,
        typer.Option(help="name=group,group, or a declared name. Repeatable; default: all declared by the sets."),
    ] = None,
    n: Annotated[int, typer.Option(min=1, help="Images to draw.")] = 200,
    per_slice: Annotated[
        int, typer.Option(min=0, help="Images of each generator and slice at least, or all of them.")
    ] = 10,
    raters: Annotated[int, typer.Option(min=1, max=99, help="People; each is shown all images drawn.")] = 2,
    repeat: Annotated[float, typer.Option(min=0, max=1, help="Share of the images shown twice to each rater.")] = 0.0,
    by_answer: Annotated[
        str | None, typer.Option(help="Column whose answers are strata, too, e.g. attributes.presentation.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same sample.")] = 0,
    form: Annotated[_Form, typer.Option("--format", help="Of the sheets.")] = _Form.CSV,
    allow_race: Annotated[bool, typer.Option("--allow-race", help="Ask about race all the same.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Draw a random, blinded, stratified sample and write a folder for each rater."""
    import json

    from audit import labels
    from audit.cli import _console
    from audit.runs.store import Run

    design = labels.Design(
        attributes=tuple(attribute or ()),
        n=n,
        per_slice=per_slice,
        raters=raters,
        repeat=repeat,
        by_answer=by_answer,
        allow_race=allow_race,
        seed=seed,
        form=form.value,
    )
    with _console.progress(quiet=quiet or as_json) as progress:
        done = labels.export(Run.open(run), out, design, progress=progress)
    if as_json:
        typer.echo(json.dumps(done.card, sort_keys=True))
    elif not quiet:
        typer.echo(f"drawn\t{done.card['images']} of {sum(done.strata.values())} images\t{len(done.strata)} strata")
        for name, groups in done.attributes.items():
            typer.echo(f"asked\t{name}\t{', '.join(groups)}, could not tell")
        for folder in sorted(out.glob("rater-*"), key=lambda path: int(path.name.rpartition("-")[2])):
            typer.echo(f"rater\t{folder / 'index.html'}")
        typer.echo(f"keep {out / 'key'} to yourself; next: genaudit labels read {out} SHEET... --into {run}", err=True)


@app.command(
    epilog="Examples:  genaudit labels read labels/quickstart rater-1.csv rater-2.csv --into runs/quickstart;  "
    f"genaudit labels read labels/quickstart rater-1.csv --into labels.csv.  {_CODES}"
)
def read(
    folder: Annotated[Path, typer.Argument(help="Folder that `labels export` made.")],
    sheets: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[SHEET]...", help="Files that raters sent back; default: filled ones in the folder."),
    ] = None,
    *,
    into: Annotated[Path, typer.Option(help="Run folder, or a table: .csv, .jsonl or .parquet.")],
    force: Annotated[bool, typer.Option("--force", help="Replace labels of another export.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Check sheets, un-blind them and keep every answer; sheets that end early are counted as such."""
    import json
    from dataclasses import asdict

    from audit.labels import filled_sheets, open_export, read_into

    opened = open_export(folder)
    done = read_into(opened, sheets or filled_sheets(opened), into, force=force)
    if as_json:
        typer.echo(json.dumps(asdict(done), sort_keys=True))
    elif not quiet:
        _tell_read(done)


@app.command(
    epilog="Examples:  genaudit labels agreement runs/quickstart;  genaudit labels agreement labels.csv --json.  "
    + _CODES
)
def agreement(
    source: Annotated[Path, typer.Argument(help="Run with labels, table of labels, or export with filled sheets.")],
    *,
    level: Level = 0.95,
    as_json: AsJson = False,
) -> None:
    """How far raters agree: Krippendorff's alpha and equal answers, by attribute and slice, with intervals."""
    import json
    from dataclasses import asdict

    from audit.labels import agreement as measure
    from audit.labels import open_labels

    found = measure(open_labels(source), level=level)
    if as_json:
        typer.echo(json.dumps(asdict(found), sort_keys=True))
    else:
        _tell_agreement(found)


@app.command(
    epilog="Examples:  genaudit labels error runs/quickstart --attribute presentation --out operating.json;  genaudit "
    f"labels error runs/quickstart --attribute age --column attributes.age --generator gan.  {_CODES}"
)
def error(
    run: Annotated[Path, typer.Argument(help="Run with labels.")],
    *,
    attribute: Annotated[str, typer.Option(help="That people and the instrument answer.")],
    column: Annotated[str | None, typer.Option(help="Of the instrument; default: the only one of that name.")] = None,
    generator: Annotated[str | None, typer.Option(help="Whose images; default: all.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="JSON file for an instrument's option `operating`.", dir_okay=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """How often an instrument says what on the labelled images: confusion counts by people's labels."""
    import json
    from dataclasses import asdict

    from audit.labels import confusion_from_labels
    from audit.runs.store import Run

    found = confusion_from_labels(Run.open(run), attribute, column=column, generator=generator)
    if out is not None:
        found.write(out)
    if as_json:
        typer.echo(json.dumps(asdict(found), sort_keys=True))
        return
    oc = found.operating
    typer.echo("\t".join(["truth", *oc.answers, "labelled", "worth"]))
    for group, counts, n, worth in zip(oc.truth, oc.counts, found.labelled, found.effective, strict=True):
        typer.echo("\t".join([group, *map(str, counts), str(n), f"{worth:.1f}"]))
    typer.echo(f"{found.column}: {oc.measured_on}; people could not tell {found.untold}", err=True)


def _tell_read(done: Summary) -> None:
    """A line a rater and a line an attribute; what the user must know on standard error."""
    for sheet in done.sheets:
        counts = f"{sheet.answered} answered, {sheet.untold} of them could not tell, {sheet.unanswered} not answered"
        typer.echo(f"{sheet.rater}\t{sheet.name}\t{sheet.rows} of {sheet.items} rows\t{counts}")
    for name, images in done.labelled.items():
        typer.echo(f"labelled\t{name}\t{images} of {done.images} images")
        if empty := done.unlabelled_strata[name]:
            typer.echo(f"note: {name}: no label in {empty} strata: the labels say nothing of their images", err=True)
    if done.replaced:
        typer.echo(f"note: earlier answers of {', '.join(done.replaced)} were replaced", err=True)
    typer.echo(f"wrote {done.table}; next: genaudit labels agreement", err=True)


def _tell_agreement(found: Agreement) -> None:
    """Rows by tabs: what, slice, n, alpha, equal answers."""
    for row in found.rows:
        where = ", ".join(f"{key}={value}" for key, value in row.slice.items()) or "all images"
        alpha = _words(row.alpha) if row.alpha else str(row.why)
        typer.echo(f"{row.attribute}\t{where}\tn={row.n}\talpha {alpha}\tequal {_words(row.same)}")
    for pair in found.pairs:
        n = sum(map(sum, pair.counts))
        typer.echo(f"{pair.attribute}\t{pair.first}, {pair.second}\tn={n}\tequal {_words(pair.same)}")
        for label, counts in zip(pair.answers, pair.counts, strict=True):
            typer.echo(f"\t{label}\t" + "\t".join(map(str, counts)))
    for steady in found.steadiness:
        typer.echo(f"{steady.attribute}\t{steady.rater} again\tn={steady.same.n}\tequal {_words(steady.same)}")
    for name, wider in found.widening.items():
        what = "no alpha above 0: the labels carry no share" if wider is None else f"{wider:.2f} times as wide"
        typer.echo(f"{name}\tinterval of a share\t{found.labels_an_image[name]:.1f} labels an image\t{what}")


def _words(interval: Interval | None) -> str:
    found: Any = interval
    return "none" if found is None else f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"
