# SPDX-License-Identifier: Apache-2.0
"""Sheets that raters sent back: checked row by row, un-blinded, and kept with everything that is missing counted."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from audit.annotators._operating import COULD_NOT_TELL
from audit.annotators._rows import Row, rows_of, text_of
from audit.errors import ConfigError, StoreError
from audit.labels._key import SCHEMA, Export, Item
from audit.labels._table import Answer, Labels, load, place_of, save, weighed
from audit.runs.store import Run

__all__ = ["Sheet", "Summary", "read_into", "read_sheets"]

_SHOWN = 5  # wrong rows that a message lists


@dataclass(frozen=True, slots=True)
class Sheet:
    """What one rater sent back.

    Attributes:
        rater: by the items in it.
        name, sha256: of the file.
        items: that were asked of the rater, repeats included.
        rows: of these in the sheet.
        answered: questions with an answer, "could not tell" among them.
        unanswered: questions without one, those of rows that are not there included.
        untold: answers "could not tell".
    """

    rater: str
    name: str
    sha256: str
    items: int
    rows: int
    answered: int
    unanswered: int
    untold: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What `read_into` did.

    Attributes:
        table: file that was written.
        sheets: by rater, earlier ones that are still there included.
        replaced: raters whose earlier answers gave way to these.
        labelled: images with a label, by attribute.
        images: that were drawn.
        unlabelled_strata: strata without any label, by attribute; the numbers say nothing of them.
    """

    table: str
    sheets: tuple[Sheet, ...]
    replaced: tuple[str, ...]
    labelled: Mapping[str, int]
    images: int
    unlabelled_strata: Mapping[str, int]


def read_into(export: Export, sheets: Sequence[Path], into: Path, *, force: bool = False) -> Summary:
    """Checks sheets and puts their answers into a run or a table, beside those of other raters of the same export.

    Args:
        export: that the sheets answer.
        sheets: one a rater; they may end early.
        into: run folder, or table to write.
        force: replace labels of another export that are there.

    Raises:
        ConfigError: a sheet is wrong (file, line and what to do), or labels of another export are there.
        StoreError: the run does not hold the images that were labelled, or the disk says no.
    """
    path, run = place_of(into)
    answers, given = read_sheets(export, sheets)
    if run is not None:
        _same_images(run, export.items)
    with run.locked() if run is not None else nullcontext():
        before = _before(path, export, force=force)
        replaced = sorted({answer.rater for answer in before.answers} & set(given)) if before else []
        kept = [answer for answer in before.answers if answer.rater not in given] if before else []
        old = {row["rater"]: Sheet(**row) for row in before.card["sheets"]} if before else {}
        every = weighed(sorted([*kept, *answers], key=lambda answer: answer.rater), export.strata)
        all_sheets = tuple(sheet for _, sheet in sorted({**old, **given}.items()))
        card = _card(export, every, all_sheets)
        save(path, Labels(tuple(every), card))
        if run is not None:
            run.log("labels", raters=[sheet.rater for sheet in all_sheets], export=export.id)
    empty = {name: rows["strata_without_labels"] for name, rows in card["counts"].items()}
    labelled = {name: rows["labelled"] for name, rows in card["counts"].items()}
    return Summary(str(path), all_sheets, tuple(replaced), labelled, int(export.card["images"]), empty)


def read_sheets(export: Export, sheets: Sequence[Path]) -> tuple[list[Answer], dict[str, Sheet]]:
    """Answers of all sheets, without weights, and what each rater sent back.

    Raises:
        ConfigError: an unknown item or answer, a doubled row, items of two raters in a sheet, or two sheets of a rater.
    """
    answers: list[Answer] = []
    given: dict[str, Sheet] = {}
    for path in sheets:
        said, sheet = _read_one(export, path)
        if sheet.rater in given:
            hint = f"give one sheet a rater; {given[sheet.rater].name} is theirs as well"
            raise ConfigError(f"a second sheet of {sheet.rater}", where=str(path), hint=hint)
        answers += said
        given[sheet.rater] = sheet
    return answers, given


def _read_one(export: Export, path: Path) -> tuple[list[Answer], Sheet]:
    rows = rows_of(path)
    if not rows:
        raise ConfigError("holds no row", where=str(path), hint="give the file that the rater saved")
    known = {item.item: item for item in export.items}
    problems = [*_columns(rows, export), *(p for place, row in rows for p in _row(place, row, known, export))]
    found = [(place, text_of(row.get("item"))) for place, row in rows]
    problems += _doubled(found) + _mixed(found, known)
    _complain(problems)
    cells = {text_of(row.get("item")): row for _, row in rows}
    rater = known[found[0][1]].rater
    mine = sorted((item for item in export.items if item.rater == rater), key=lambda item: item.position)
    said = [_answer(item, name, cells.get(item.item, {}), export) for item in mine for name in export.attributes]
    answered = [answer.label for answer in said if answer.label is not None]
    sheet = Sheet(
        rater=rater,
        name=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        items=len(mine),
        rows=len(cells),
        answered=len(answered),
        unanswered=len(said) - len(answered),
        untold=answered.count(COULD_NOT_TELL),
    )
    return said, sheet


_Problem = tuple[str, str, str]  # place, what is wrong, what to do


def _columns(rows: Sequence[Row], export: Export) -> list[_Problem]:
    place, row = rows[0]
    place = place.rpartition(":")[0] or place
    wanted = ["item", *export.attributes]
    missing = [
        (place, f"no column {name!r}", "keep the columns that were handed out") for name in wanted if name not in row
    ]
    strange = [name for name in row if name and name not in {*wanted, "image", "comment"}]
    return missing + [(place, f"column {name!r} was not asked for", f"asked: {', '.join(wanted)}") for name in strange]


def _row(place: str, row: Mapping[str, Any], known: Mapping[str, Item], export: Export) -> list[_Problem]:
    name = text_of(row.get("item"))
    if name not in known:
        hint = "give the export that the sheet belongs to, and leave the column `item` as it was"
        return [(place, f"unknown item {name!r}", hint)]
    return [
        (place, f"{said!r} is no answer for {attribute}", f"one of: {', '.join((*groups, COULD_NOT_TELL))}; or nothing")
        for attribute, groups in export.attributes.items()
        if (said := text_of(row.get(attribute))) and _settled(said, groups) is None
    ]


def _settled(said: str, groups: Sequence[str]) -> str | None:
    """The answer as it was declared; capitals do not matter where people type."""
    by_fold = {group.casefold(): group for group in (*groups, COULD_NOT_TELL)}
    return said if said in groups else by_fold.get(said.casefold())


def _doubled(found: Sequence[tuple[str, str]]) -> list[_Problem]:
    counts = Counter(name for _, name in found)
    first: set[str] = set()
    problems = []
    for place, name in found:
        if counts[name] > 1 and name in first:
            problems.append((place, f"item {name} stands twice", "keep one of the rows"))
        first.add(name)
    return problems


def _mixed(found: Sequence[tuple[str, str]], known: Mapping[str, Item]) -> list[_Problem]:
    raters = [(place, known[name].rater) for place, name in found if name in known]
    if not raters:
        return []
    most = Counter(rater for _, rater in raters).most_common(1)[0][0]
    hint = "a sheet holds the items of one rater"
    return [(place, f"item of {rater} in a sheet of {most}", hint) for place, rater in raters if rater != most]


def _complain(problems: Sequence[_Problem]) -> None:
    if not problems:
        return
    (where, what, hint), *others = problems
    listed = "".join(f"\n{place}: {said}" for place, said, _ in others[: _SHOWN - 1])
    more = f"\nand {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    raise ConfigError(f"{what}{listed}{more}", where=where, hint=hint)


def _answer(item: Item, name: str, row: Mapping[str, Any], export: Export) -> Answer:
    said = text_of(row.get(name))
    return Answer(
        rater=item.rater,
        item=item.item,
        occasion=item.occasion,
        attribute=name,
        label=_settled(said, export.attributes[name]) if said else None,
        comment=text_of(row.get("comment")),
        request_id=item.request_id,
        generator=item.generator,
        probe=item.probe,
        slice=item.slice,
        sha256=item.sha256,
        pixels=item.pixels,
        stratum=item.stratum,
        inclusion=item.inclusion,
    )


def _same_images(run: Run, items: Sequence[Item]) -> None:
    table = run.generations()
    shown = dict(zip(table["request_id"].to_pylist(), table["pixels"].to_pylist(), strict=True))
    other = {item.request_id for item in items if shown.get(item.request_id) != item.pixels}
    if other:
        message = f"{len(other)} of the labelled images are not in this run"
        raise StoreError(
            message, where=str(run.path), hint="give the run that was exported, or a file: --into labels.csv"
        )


def _before(path: Path, export: Export, *, force: bool) -> Labels | None:
    if not path.is_file():
        return None
    if not path.with_suffix(".json").is_file():
        raise ConfigError("is there already, and no table of labels", where=str(path), hint="choose another name")
    found = load(path)
    if found.card.get("export") == export.id:
        return found
    if force:
        return None
    hint = "two samples are not pooled; --force replaces the labels that are there"
    raise ConfigError("holds labels of another export", where=str(path), hint=hint)


def _card(export: Export, answers: Sequence[Answer], sheets: Sequence[Sheet]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "export": export.id,
        "run": export.card["run"],
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "attributes": {name: list(groups) for name, groups in export.attributes.items()},
        "images": export.card["images"],
        "strata": export.card["strata"],
        "seed": export.card["design"]["seed"],
        "sheets": [asdict(sheet) for sheet in sheets],
        "counts": {name: _counts(name, answers, export) for name in export.attributes},
        "settled": "majority of raters, first occasion; ties are 'could not tell'",
    }


def _counts(name: str, answers: Sequence[Answer], export: Export) -> dict[str, Any]:
    mine = [a for a in answers if a.attribute == name and a.label is not None and a.occasion == 1]
    return {
        "labelled": len({answer.request_id for answer in mine}),
        "answers": {label: sum(a.label == label for a in mine) for label in (*export.attributes[name], COULD_NOT_TELL)},
        "strata_without_labels": len(set(export.strata) - {answer.stratum for answer in mine}),
    }
