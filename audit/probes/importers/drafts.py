# SPDX-License-Identifier: Apache-2.0
"""From rows of a table to prompts: category columns become axes, everything else is kept as tags."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from audit.errors import ProbeError
from audit.probes.importers.formats import Format, category_of
from audit.probes.importers.tables import LINE, Record, Table

__all__ = ["Columns", "Draft", "drafts_of"]

MAX_TEXT = 4000  # characters of a prompt, as the format of probe sets has it
_NOT_TAGS = frozenset({"tags", "negative", "negative_prompt"})


@dataclass(frozen=True, slots=True)
class Draft:
    """One prompt before it has an id.

    Attributes:
        text: stripped; empty where the row holds no prompt.
        place: ``file:line``.
        axes, tags, negative: of the prompt.
        id: that the source gives, None where it gives none.
    """

    text: str
    place: str
    axes: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    negative: str | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Columns:
    """What the user says about columns: the prompt, the axes, the id. None and () leave it to the format."""

    text: str | None = None
    axes: tuple[str, ...] = ()
    id: str | None = None


def drafts_of(table: Table, known: Format, columns: Columns) -> list[Draft]:
    """All rows of a table, those without a prompt too. Raises ProbeError with the place of what cannot be kept."""
    records, names = list(table.records), list(table.columns)
    if known.name == "heim" and table.kind in ("json", "jsonl"):
        records = list(_instances(table))
        names = list(dict.fromkeys(key for record in records for key in record.values))
    if known.name == "t2i-compbench":
        stated = category_of(table.path)
        records = [Record(record.place, {**record.values, **stated}) for record in records]
        names += list(stated)
    if not records:
        hint = "the file must be a list of rows" if table.kind == "json" else "check the file"
        raise ProbeError("the file holds no prompt", where=str(table.path), hint=hint)
    plan = _plan(names, known, columns, where=str(table.path))
    return [_draft(record, plan, known) for record in records]


@dataclass(frozen=True, slots=True)
class _Plan:
    text: str
    axes: Mapping[str, str]  # column -> axis
    id: str | None


def _plan(names: Sequence[str], known: Format, columns: Columns, *, where: str) -> _Plan:
    by_lower = {name.lower(): name for name in names}
    text = _column(columns.text, names, where) if columns.text else _text_column(by_lower, known, where)
    axes = {by_lower[column]: axis for column, axis in known.axes.items() if column in by_lower}
    for asked in columns.axes:
        axes.setdefault(_column(asked, names, where), _axis_name(asked))
    for axis in axes.values():
        twice = [column for column, name in axes.items() if name == axis]
        if len(twice) > 1:
            message = f"columns {' and '.join(map(repr, twice))} would both be the axis {axis!r}"
            raise ProbeError(message, where=where, hint="rename one of them")
    if text in axes:
        raise ProbeError(f"column {text!r} cannot be both prompt and axis", where=where)
    return _Plan(text, axes, _column(columns.id, names, where) if columns.id else None)


def _text_column(by_lower: Mapping[str, str], known: Format, where: str) -> str:
    there = [by_lower[name] for name in known.text if name in by_lower]
    have = f"columns: {', '.join(by_lower.values())}"
    if not there:
        raise ProbeError(f"no column {' or '.join(known.text)}", where=where, hint=f"give --text-column; {have}")
    if len(there) > 1 and known.kind is not None:
        message = f"any of {', '.join(there)} could be the prompt"
        raise ProbeError(message, where=where, hint=f"say which: --text-column {there[0]}")
    return there[0]


def _column(asked: str, names: Sequence[str], where: str) -> str:
    if asked in names:
        return asked
    same = [name for name in names if name.lower() == asked.lower()]
    if len(same) != 1:
        raise ProbeError(f"no column {asked!r}", where=where, hint=f"columns: {', '.join(names)}")
    return same[0]


def _axis_name(column: str) -> str:
    """A column as the name of an axis: lower case, underscores.

    >>> _axis_name("Sub-Category")
    'sub_category'
    """
    name = re.sub(r"[^a-z0-9]+", "_", column.lower()).strip("_")
    return name if re.match(r"[a-z]", name) else f"axis_{name}".rstrip("_")


def _draft(record: Record, plan: _Plan, known: Format) -> Draft:
    text = record.values.get(plan.text)
    if text is not None and not isinstance(text, str):
        raise ProbeError(f"the prompt is no text: {text!r:.60}", where=record.place)
    text = (text or "").strip()
    rest = {name: value for name, value in record.values.items() if name not in (plan.text, plan.id, *plan.axes)}
    negative = next(
        (rest[name] for name in rest if name.lower() in ("negative", "negative_prompt") and rest[name]), None
    )
    given = record.values.get(plan.id) if plan.id else None
    axes = dict(_axes(record, plan))
    tags = tuple(dict.fromkeys([*_tags(rest), *_list_tags(record, known)]))
    negative = None if negative is None else str(negative)
    for words in (text, *axes.values(), *tags, *([negative] if negative else [])):
        _check_words(words, record.place)
    return Draft(
        text, record.place, axes=axes, tags=tags, negative=negative, id=None if given in (None, "") else str(given)
    )


def _check_words(words: str, place: str) -> None:
    if len(words) > MAX_TEXT:
        message = f"{words[:40]!r}... has {len(words)} characters; at most {MAX_TEXT}"
        raise ProbeError(message, where=place, hint="shorten it, or take the row or the column out")
    try:
        words.encode()
    except UnicodeEncodeError:
        message = f"{words[:40]!r} holds half a character (a lone surrogate)"
        raise ProbeError(message, where=place, hint="mend the escape \\ud...") from None


def _axes(record: Record, plan: _Plan) -> Iterator[tuple[str, str]]:
    for column, axis in plan.axes.items():
        value = record.values.get(column)
        if isinstance(value, dict | list):
            raise ProbeError(f"column {column!r} holds no single value: {value!r:.60}", where=record.place)
        words = " ".join(_word(value).split())  # lists in the wild have category names that end in a space
        if words:
            yield axis, words


def _tags(rest: Mapping[str, Any]) -> Iterator[str]:
    for name, value in rest.items():
        if name.lower() == "tags":
            parts: Iterable[Any] = value if isinstance(value, list) else _word(value).split(",")
            yield from (_word(part).strip() for part in parts if _word(part).strip())
        elif name.lower() not in _NOT_TAGS and _word(value).strip():
            yield f"{name}={_word(value).strip()}"


def _list_tags(record: Record, known: Format) -> Iterator[str]:
    for name, value in record.values.items():
        if name.lower() in known.lists:
            yield from (f"{name}={part.strip()}" for part in _word(value).split(",") if part.strip())


def _word(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _instances(table: Table) -> Iterator[Record]:
    """HELM: ``request_states`` of scenario_state.json, or a list of its instances, or plain objects with ``text``."""
    document = table.document
    if isinstance(document, dict):
        states = document.get("request_states")
        if not isinstance(states, list):
            hint = "give HELM's scenario_state.json, or a list of instances"
            raise ProbeError("the file has no list request_states", where=str(table.path), hint=hint)
        for number, state in enumerate(states, start=1):
            place = f"{table.path}, request state {number}"
            yield _instance(_dict(state, "instance", place), _dict(state, "request", place), place)
    for record in table.records:
        yield _instance(record.values, {}, record.place)


def _instance(instance: Mapping[str, Any], request: Mapping[str, Any], place: str) -> Record:
    """What the model was told counts; the wording of the instance where no request is stated."""
    given = instance.get("input", instance.get(LINE, instance.get("prompt")))
    text = given.get("text") if isinstance(given, dict) else given
    perturbation = instance.get("perturbation")
    values = {
        LINE: request.get("prompt") or text,
        "instance": instance.get("id"),
        "split": instance.get("split"),
        "sub_split": instance.get("sub_split"),
        "perturbation": perturbation.get("name") if isinstance(perturbation, dict) else perturbation,
    }
    return Record(place, {name: value for name, value in values.items() if value is not None})


def _dict(state: Any, name: str, place: str) -> Mapping[str, Any]:
    value = state.get(name) if isinstance(state, dict) else None
    if not isinstance(value, dict):
        raise ProbeError(f"there is no {name}", where=place, hint="give the file as HELM wrote it")
    return value
