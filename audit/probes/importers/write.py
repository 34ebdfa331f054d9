# SPDX-License-Identifier: Apache-2.0
"""Prompts to a probe set on disk: ids, duplicates, slices, the card - and what of it the user must know."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import yaml

from audit.errors import ProbeError
from audit.probes._expand import _slug
from audit.probes.importers.drafts import Draft
from audit.probes.load import load_probe_set

__all__ = ["Imported", "Origin", "Target", "few", "write_set"]

MAX_SLICES = 40  # values of an axis that results are sliced by; more make tables that nobody reads
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LONGEST = 110  # of an id, so that there is room for a number
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class Target:
    """The set that is to be written.

    Attributes:
        out: YAML file; the rows go beside it, with the suffix .jsonl.
        name: of the set; None: the stem of ``out``.
        licence: SPDX id of the prompts; None is written down as unknown.
        title, language, repetitions: None leaves them to the format.
        purpose: decides which metrics read it.
        limit: keep only the first so many prompts.
        drop_duplicates: keep only the first of equal prompts.
        force: replace files that are there.
    """

    out: Path
    name: str | None = None
    licence: str | None = None
    title: str | None = None
    language: str | None = None
    purpose: Literal["bias", "quality", "likeness"] = "quality"
    repetitions: int | None = None
    limit: int | None = None
    drop_duplicates: bool = False
    force: bool = False

    @property
    def rows(self) -> Path:
        """The file of the prompts."""
        return self.out.with_suffix(".jsonl")

    def check(self) -> None:
        """Refuse what could not be written, before anything is read. Raises ProbeError."""
        if self.out.suffix not in (".yaml", ".yml"):
            raise ProbeError("a probe set is a YAML file", where="--out", hint=f"{self.out.stem or 'prompts'}.yaml")
        for name, where in ((self.out.stem, "--out"), (self.name, "--name")):
            if name is not None and not _NAME.fullmatch(name):
                hint = "letters, digits, dots, hyphens and underscores, at most 64"
                raise ProbeError(f"{name!r} cannot be the name of a probe set", where=where, hint=hint)
        for number, where in ((self.repetitions, "--repetitions"), (self.limit, "--limit")):
            if number is not None and number < 1:
                raise ProbeError(f"must be at least 1, got {number}", where=where)
        for path in (self.out, self.rows):
            if path.exists() and not (self.force and path.is_file()):
                raise ProbeError("is there already", where=str(path), hint="choose another --out, or give --force")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where prompts come from.

    Attributes:
        form: name of the format.
        about: what the source is, in words.
        source: names and digests of the files.
        language: BCP 47 tag.
        tags: of every prompt.
        notes: what reading the source brought up.
        repetitions: images a prompt, unless the user says otherwise.
    """

    form: str
    about: str
    source: str
    language: str = "und"
    tags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    repetitions: int = 4


@dataclass(frozen=True, slots=True)
class Imported:
    """What was written.

    Attributes:
        path, rows: the two files.
        name, form: of the set, and the format it was read as.
        prompts, repetitions: how many, and images each.
        axes: axis -> number of its values.
        by: axes that results are sliced by.
        notes: everything that was left out, doubled, guessed or is doubtful.
    """

    path: Path
    rows: Path
    name: str
    form: str
    prompts: int
    repetitions: int
    axes: Mapping[str, int]
    by: tuple[str, ...]
    notes: tuple[str, ...]


def write_set(drafts: Sequence[Draft], target: Target, origin: Origin) -> Imported:
    """Write the set, read it back, and put it in place only if it is what was meant.

    Args:
        drafts: prompts in order, those without text too.
        target: where it goes.
        origin: what is said about the source.

    Raises:
        ProbeError: no prompt is left, ids clash, or the files cannot be written.
    """
    target.check()
    notes = list(origin.notes)
    kept = _with_text(drafts, notes)
    kept = _duplicates(kept, notes, drop=target.drop_duplicates)
    if target.limit is not None and target.limit < len(kept):
        notes.append(f"only the first {target.limit} of {len(kept)} prompts are kept (--limit)")
        kept = kept[: target.limit]
    kept = _with_ids(kept)
    by = _slices(kept, notes)
    _check_values(kept, notes)
    if target.licence is None:
        notes.append("the licence is not known: look it up at the source and give --licence before you publish results")
    head = _head(kept, target, origin, by)
    _write(head, kept, target)
    values = _values(kept)
    return Imported(
        target.out,
        target.rows,
        head["name"],
        origin.form,
        prompts=len(kept),
        repetitions=head["repetitions"],
        axes={axis: len(found) for axis, found in values.items()},
        by=tuple(by),
        notes=tuple(notes),
    )


def few(words: Sequence[str], most: int = 5) -> str:
    """The first of many words, and how many more there are.

    >>> few(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    rest = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + rest


def _with_text(drafts: Sequence[Draft], notes: list[str]) -> list[Draft]:
    empty = [draft.place for draft in drafts if not draft.text]
    if len(empty) == len(drafts):
        raise ProbeError("no row holds a prompt", where=drafts[0].place if drafts else None, hint="check the column")
    if empty:
        notes.append(f"{len(empty)} rows hold no prompt and are left out: {few(empty)}")
    return [draft for draft in drafts if draft.text]


def _duplicates(drafts: list[Draft], notes: list[str], *, drop: bool) -> list[Draft]:
    first: dict[str, Draft] = {}
    again = [draft for draft in drafts if first.setdefault(draft.text, draft) is not draft]
    if not again:
        return drafts
    pairs = [f"{draft.place} = {first[draft.text].place}" for draft in again]
    done = "dropped" if drop else "kept, each under an id of its own"
    notes.append(f"{len(again)} prompts stand in the source before ({done}): {few(pairs)}")
    differ = [f"{d.place} and {first[d.text].place}" for d in again if dict(d.axes) != dict(first[d.text].axes)]
    if differ:
        notes.append(f"{len(differ)} of them have other axes than the first: {few(differ)}")
    return list(first.values()) if drop else drafts


def _with_ids(drafts: Sequence[Draft]) -> list[Draft]:
    """Ids of the source where it gives them, else made of the text; a number tells equal ones apart."""
    given: dict[str, Draft] = {}
    for draft in drafts:
        if draft.id is not None:
            _check_id(draft, given)
    taken, last, done = set(given), Counter[str](), []
    for draft in drafts:
        base = (draft.id or _slug(draft.text))[:_LONGEST]
        name = str(draft.id) if draft.id is not None and given[draft.id] is draft else base
        while name in taken and given.get(name) is not draft:
            last[base] += 1
            name = f"{base}-{last[base] + 1}"
        taken.add(name)
        done.append(replace(draft, id=name))
    return done


def _check_id(draft: Draft, given: dict[str, Draft]) -> None:
    assert draft.id is not None
    if not _ID.fullmatch(draft.id):
        hint = "letters, digits, dots, hyphens and underscores; or leave the id column out"
        raise ProbeError(f"{draft.id!r} cannot be the id of a prompt", where=draft.place, hint=hint)
    first = given.setdefault(draft.id, draft)
    if first.text != draft.text:
        message = f"id {draft.id!r} stands for another prompt at {first.place}"
        raise ProbeError(message, where=draft.place, hint="mend one of them, or leave the id column out")


def _values(drafts: Sequence[Draft]) -> dict[str, Counter[str]]:
    values: dict[str, Counter[str]] = {}
    for draft in drafts:
        for axis, value in draft.axes.items():
            values.setdefault(axis, Counter())[value] += 1
    return values


def _slices(drafts: Sequence[Draft], notes: list[str]) -> list[str]:
    """Axes on every prompt, with more than one value and not too many of them."""
    by = []
    for axis, found in _values(drafts).items():
        missing = len(drafts) - found.total()
        if missing:
            notes.append(f"{missing} prompts have no {axis}: results are not sliced by it")
        elif len(found) > MAX_SLICES:
            notes.append(f"{axis} has {len(found)} values: results are not sliced by it")
        elif len(found) > 1:
            by.append(axis)
    return by


def _check_values(drafts: Sequence[Draft], notes: list[str]) -> None:
    for axis, found in _values(drafts).items():
        folded: dict[str, list[str]] = {}
        for value in found:
            folded.setdefault(value.casefold(), []).append(value)
        alike = [" / ".join(same) for same in folded.values() if len(same) > 1]
        if alike:
            notes.append(f"values of {axis} that differ only in capitals stay apart: {few(alike)}")


def _head(drafts: Sequence[Draft], target: Target, origin: Origin, by: Sequence[str]) -> dict[str, Any]:
    name = target.name or target.out.stem
    repetitions = target.repetitions or origin.repetitions
    limits = "What the source cannot show; the import adds nothing to it and checks none of its wording."
    if target.licence is None:
        limits += " The licence of the prompts is not known."
    return {
        "schema": 1,
        "name": name,
        "version": "1.0.0",
        "title": target.title or f"Prompts imported from {origin.form}",
        "purpose": target.purpose,
        "licence": target.licence or "unknown",
        "card": {
            "description": f"Prompts of somebody else: {origin.about}.",
            "source": origin.source,
            "design": f"{len(drafts)} prompts as the source has them, {repetitions} images each. Its categories are "
            "axes, its other columns tags.",
            "limits": limits,
            "language": target.language or origin.language,
            "created": datetime.now(UTC).date(),
        },
        "rows": target.rows.name,
        "repetitions": repetitions,
        "by": list(by),
        "tags": list(origin.tags),
    }


def _write(head: Mapping[str, Any], drafts: Sequence[Draft], target: Target) -> None:
    """Both files are written aside and read back first: what is in place is always whole and valid."""
    rows = "".join(json.dumps(_row(draft), ensure_ascii=False) + "\n" for draft in drafts)
    text = yaml.safe_dump(dict(head), sort_keys=False, allow_unicode=True, width=110)
    try:
        target.out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.out.parent, prefix=".import-") as aside:
            yaml_file, rows_file = Path(aside) / target.out.name, Path(aside) / target.rows.name
            rows_file.write_text(rows, encoding="utf-8", newline="\n")
            yaml_file.write_text(text, encoding="utf-8", newline="\n")
            found = load_probe_set(yaml_file).prompts
            if [prompt.text for prompt in found] != [draft.text for draft in drafts]:
                raise ProbeError("the set does not read back as it was written", where=str(target.out))
            rows_file.replace(target.rows)
            yaml_file.replace(target.out)
    except OSError as error:
        message = f"cannot be written: {error.strerror or os.fspath(target.out)}"
        raise ProbeError(message, where=str(target.out), hint="check folder, space and permissions") from None


def _row(draft: Draft) -> dict[str, Any]:
    row: dict[str, Any] = {"id": draft.id, "text": draft.text}
    if draft.axes:
        row["axes"] = dict(draft.axes)
    if draft.tags:
        row["tags"] = list(draft.tags)
    if draft.negative:
        row["negative"] = draft.negative
    return row
