# SPDX-License-Identifier: Apache-2.0
"""What people said of images: rows of a table, settled to one answer an image.

Two shapes are read. Long, as `genaudit labels read` writes it: a row an answer, with columns ``attribute`` and
``label``. Wide, as a spreadsheet holds it: a row an image (or an image and a rater), with a column an attribute.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit.annotators._operating import COULD_NOT_TELL
from audit.annotators._rows import rows_of, text_of
from audit.errors import ConfigError

__all__ = ["KEYS", "Attributes", "Vote", "Votes", "majority", "read_votes"]

#: Columns that say which image is meant; the first one that a table has counts.
KEYS = ("request_id", "sha256", "pixels")
Attributes = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Vote:
    """One answer, or what several come to.

    Attributes:
        label: a group, or "could not tell".
        weight: images that this one stands for: the inverse of its probability of being drawn for labelling.
        raters: people behind it.
    """

    label: str
    weight: float
    raters: int


@dataclass(frozen=True, slots=True)
class Votes:
    """Settled answers of one table.

    Attributes:
        key: of `KEYS`, by which images are found.
        attributes: groups by attribute, as declared.
        found: attribute -> value of the key -> the answer.
        pixels: value of the key -> digest of the picture that was labelled, where the table tells it.
    """

    key: str
    attributes: Mapping[str, tuple[str, ...]]
    found: Mapping[str, Mapping[str, Vote]]
    pixels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Said:
    place: str
    rater: str
    label: str
    weight: float
    raters: int


def majority(labels: Iterable[str]) -> str:
    """The most frequent answer; "could not tell" where two are equally frequent.

    >>> majority(["feminine", "feminine", "could not tell"]), majority(["feminine", "masculine"])
    ('feminine', 'could not tell')
    """
    ranked = Counter(labels).most_common(2)
    if not ranked:
        raise ValueError("no labels, no majority")
    return COULD_NOT_TELL if len(ranked) > 1 and ranked[0][1] == ranked[1][1] else ranked[0][0]


def read_votes(path: Path, attributes: Attributes | None) -> Votes:
    """The settled answers of a table.

    Args:
        path: see `rows_of`.
        attributes: groups by attribute; None: as the card beside the table declares them.

    Raises:
        ConfigError: the table cannot be read, declares nothing, holds an answer that was not declared, or two answers
            of one rater about one image.
    """
    rows = rows_of(path)
    columns = {name for _, row in rows for name in row}
    declared = {name: tuple(map(str, groups)) for name, groups in (attributes or _declared(path)).items()}
    key = next((name for name in KEYS if name in columns), None)
    if key is None:
        hint = f"a column {', '.join(KEYS[:-1])} or {KEYS[-1]}"
        raise ConfigError("says nowhere which images are meant", where=str(path), hint=hint)
    said: dict[str, dict[str, list[_Said]]] = {name: {} for name in declared}
    pixels: dict[str, str] = {}
    for place, row in rows:
        if not (who := text_of(row.get(key))):
            raise ConfigError(f"no {key}", where=place, hint="every row needs one")
        if picture := text_of(row.get("pixels")):
            pixels[who] = picture
        for name, answer in _answers(place, row, declared):
            said[name].setdefault(who, []).append(answer)
    found = {name: {who: _settle(name, who, given) for who, given in by.items()} for name, by in said.items()}
    return Votes(key, declared, found, pixels)


def _declared(path: Path) -> Attributes:
    card = path.with_suffix(".json")
    try:
        raw = json.loads(card.read_text(encoding="utf-8"))["attributes"]
        return {str(name): list(groups) for name, groups in raw.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        hint = "groups are declared, never read off answers: attributes: {presentation: [feminine, masculine]}"
        raise ConfigError(f"no option `attributes`, and no card {card.name}", where=str(path), hint=hint) from None


def _answers(place: str, row: Mapping[str, Any], declared: Attributes) -> Iterable[tuple[str, _Said]]:
    """The answers of one row; a repeat that was shown to tell how steady a rater is does not count again."""
    if text_of(row.get("occasion")) not in {"", "1", "1.0"}:
        return
    long = "attribute" in row and "label" in row
    names = [text_of(row["attribute"])] if long else list(declared)
    for name in names:
        if name not in declared:
            continue
        label = text_of(row.get("label" if long else name))
        if not label:
            continue
        if label not in (*declared[name], COULD_NOT_TELL):
            hint = f"one of: {', '.join((*declared[name], COULD_NOT_TELL))}"
            raise ConfigError(f"{label!r} is no answer for {name}", where=place, hint=hint)
        weight = _number(place, row.get(f"{name}_weight", row.get("weight")))
        raters = int(_number(place, row.get("raters")))
        yield name, _Said(place, text_of(row.get("rater")), label, weight, raters)


def _number(place: str, cell: Any) -> float:
    """A positive number; an empty cell is 1."""
    if not (text := text_of(cell)):
        return 1.0
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise ConfigError(f"{text!r} is no weight", where=place, hint="images that this one stands for, above 0")
    return value


def _settle(name: str, who: str, given: Sequence[_Said]) -> Vote:
    raters = [answer.rater for answer in given if answer.rater]
    if len(set(raters)) < len(raters):
        twice = next(answer for answer in given if raters.count(answer.rater) > 1)
        hint = "keep one row; mark repeats by a column `occasion` with 2"
        raise ConfigError(f"{twice.rater} answers {name} of {who} twice", where=given[-1].place, hint=hint)
    return Vote(majority(a.label for a in given), given[0].weight, sum(answer.raters for answer in given))
