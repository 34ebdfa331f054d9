# SPDX-License-Identifier: Apache-2.0
"""How often an instrument errs: confusion counts from the file of a bundled model or of a sample that people labelled.

A JSON file holds, by attribute, ``{"truth": [...], "answers": [...], "counts": [[...], ...]}``, optionally with
``"within": {"tone_band=dark": [[...], ...]}`` (the part of the same counts that shows one value of another attribute),
and may say under ``"measured_on"`` what was labelled. A CSV file holds the same in columns ``attribute, truth, answer,
count`` and, where wanted, ``within``; its rows with a ``within`` are parts of those without.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.errors import ConfigError
from audit.types import OperatingCharacteristics

__all__ = ["COULD_NOT_TELL", "about_words", "measured", "table"]

COULD_NOT_TELL = "could not tell"

_Rows = tuple[tuple[int, ...], ...]
_COLUMNS = ("attribute", "truth", "answer", "count")
_HINT = "label a sample of the generator's images and count truth against answer; docs/annotators.md shows the format"


def table(attribute: str, raw: Mapping[str, Any], measured_on: str) -> OperatingCharacteristics:
    """Counts of one attribute as they stand in a file.

    Args:
        attribute: e.g. "presentation".
        raw: ``truth``, ``answers``, ``counts`` and perhaps ``within``.
        measured_on: in words.

    Raises:
        TypeError, ValueError: no table, a wrong shape, a cell that is no count, or parts that exceed the whole.
    """
    missing = [name for name in ("truth", "answers", "counts") if not isinstance(raw.get(name), list)]
    if missing:
        raise ValueError(f"{attribute}: {missing[0]} must be a list")
    truth, answers = tuple(map(str, raw["truth"])), tuple(map(str, raw["answers"]))
    for what, names in (("truth", truth), ("answers", answers)):
        if len(set(names)) < len(names):
            raise ValueError(f"{attribute}: a name occurs twice in {what}")
    counts = _rows(raw["counts"], shape=(len(truth), len(answers)), where=attribute)
    parts = raw.get("within") or {}
    if not isinstance(parts, Mapping):
        raise TypeError(f'{attribute}: within must map "axis=value" to counts')
    within = {str(name): _part(part, truth, answers, f"{attribute}: within {name}") for name, part in parts.items()}
    _check_parts(attribute, np.array(counts), {name: np.array(rows) for name, rows in within.items()})
    return OperatingCharacteristics(attribute, truth, answers, counts, measured_on, within)


def _rows(raw: Any, *, shape: tuple[int, int], where: str) -> _Rows:
    if (
        not isinstance(raw, list)
        or len(raw) != shape[0]
        or any(not isinstance(row, list) or len(row) != shape[1] for row in raw)
    ):
        raise ValueError(f"{where}: the table is not {shape[0]} rows of {shape[1]} counts")
    for cell in (cell for row in raw for cell in row):
        if isinstance(cell, bool) or not isinstance(cell, int) or cell < 0:
            raise ValueError(f"{where}: {cell!r} is not a count")
    return tuple(tuple(row) for row in raw)


def _part(raw: Any, truth: tuple[str, ...], answers: tuple[str, ...], where: str) -> _Rows:
    """Counts within one group: rows, or a table whose names are those of the whole."""
    if isinstance(raw, Mapping):
        for name, names in (("truth", truth), ("answers", answers)):
            if name in raw and tuple(map(str, raw[name])) != names:
                raise ValueError(f"{where}: {name} differs from that of the whole")
        raw = raw.get("counts")
    return _rows(raw, shape=(len(truth), len(answers)), where=where)


def _check_parts(attribute: str, whole: NDArray[np.int64], within: Mapping[str, NDArray[np.int64]]) -> None:
    """The values of an axis share out the same images, so that together they cannot count more of them."""
    sums: dict[str, NDArray[np.int64]] = {}
    for name, part in within.items():
        axis, equals, value = name.partition("=")
        if not (axis.strip() and equals and value.strip()):
            raise ValueError(f'{attribute}: within must name groups as "axis=value", got {name!r}')
        sums[axis] = sums.get(axis, 0) + part
    for axis, total in sums.items():
        if (total > whole).any():
            raise ValueError(f"{attribute}: the parts by {axis} count more images than the whole")


def measured(
    path: str | None, groups: Mapping[str, Sequence[str]], *, where: str
) -> dict[str, OperatingCharacteristics]:
    """Confusion counts of declared attributes from a user's file; attributes that it leaves out were not measured.

    Args:
        path: of a JSON or CSV file; None: nothing was measured.
        groups: the instrument's groups by attribute.
        where: place for messages.

    Raises:
        ConfigError: no such file, another format, or counts that are not of this instrument's answers.
    """
    if path is None:
        return {}
    file = Path(path).expanduser()
    raw, about = _read(file, where=f"{where}: operating")
    found = [name for name in groups if name in raw]
    if not found:
        message = f"counts nothing of {', '.join(groups)}; it counts {', '.join(sorted(raw)) or 'nothing'}"
        raise ConfigError(message, where=str(file), hint=_HINT)
    out = {}
    for name in found:
        try:
            out[name] = _mine(
                table(name, _mapping(name, raw[name]), about or f"labelled images in {file.name}"), groups[name]
            )
        except (TypeError, ValueError) as error:
            raise ConfigError(str(error), where=str(file), hint=_HINT) from error
    return out


def _mapping(name: str, raw: Any) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping):
        raise TypeError(f"{name}: needs truth, answers and counts")
    return raw


def _mine(found: OperatingCharacteristics, groups: Sequence[str]) -> OperatingCharacteristics:
    """The counts, if they are of exactly the answers that the instrument can give. Raises ValueError."""
    answers = (*groups, COULD_NOT_TELL)
    strange = [answer for answer in found.answers if answer not in answers]
    if strange:
        raise ValueError(f"{found.attribute}: the answer {strange[0]!r} is none of {', '.join(answers)}")
    lacking = [answer for answer in answers if answer not in found.answers]
    if lacking:
        raise ValueError(f"{found.attribute}: no count of the answer {lacking[0]!r} (0 where it was never given)")
    if COULD_NOT_TELL in found.truth:
        raise ValueError(f"{found.attribute}: {COULD_NOT_TELL!r} is an answer, not a truth; leave those images out")
    seen = dict(zip(found.truth, found.matrix().sum(axis=1), strict=True))
    unseen = [group for group in groups if not seen.get(group)]
    if unseen:
        raise ValueError(f"{found.attribute}: no labelled image whose truth is {unseen[0]!r}")
    return found


def _read(file: Path, *, where: str) -> tuple[dict[str, Any], str]:
    """Tables by attribute, and what they were measured on, "" where the file does not say."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}", where=where, hint=_HINT) from error
    if file.suffix.lower() == ".csv":
        return _from_csv(file, text), ""
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"not JSON: {error}", where=str(file), hint="name a .json or a .csv file") from error
    if not isinstance(raw, dict):
        raise ConfigError("not an object of tables by attribute", where=str(file), hint=_HINT)
    about = raw.pop("measured_on", "")
    return raw, about_words(about) if about else ""


def about_words(raw: Any) -> str:
    """What counts were measured on, in words, from ``measured_on`` of a file."""
    if not isinstance(raw, Mapping):
        return str(raw)
    parts = [f"{raw['n']} {raw.get('what', 'held-out images')}" if "n" in raw else str(raw.get("what", ""))]
    if raw.get("degradation"):
        parts.append(f"degraded: {raw['degradation']}")
    return "; ".join(part for part in parts if part)


def _from_csv(file: Path, text: str) -> dict[str, Any]:
    reader = csv.DictReader(text.splitlines(), restkey="more")
    header = reader.fieldnames or []
    if lacking := [name for name in _COLUMNS if name not in header]:
        message = f"no column {lacking[0]!r}; columns: {', '.join(header) or 'none'}"
        raise ConfigError(message, where=f"{file}:1", hint=f"columns are {', '.join(_COLUMNS)} and, optional, within")
    cells: dict[str, dict[tuple[str, str, str], int]] = {}
    for row in reader:
        place = f"{file}:{reader.line_num}"
        attribute, truth, answer, count, part = (str(row.get(k) or "").strip() for k in (*_COLUMNS, "within"))
        if "more" in row or not (attribute and truth and answer) or not re.fullmatch(r"\d{1,12}", count):
            message = f"attribute {attribute!r}, truth {truth!r}, answer {answer!r}, count {count!r}: cannot be counted"
            raise ConfigError(message, where=place, hint="every row names all three and counts with a whole number")
        mine = cells.setdefault(attribute, {})
        if (part, truth, answer) in mine:
            raise ConfigError("this truth and answer are counted twice", where=place, hint="add the two up")
        mine[part, truth, answer] = int(count)
    return {attribute: _square(mine) for attribute, mine in cells.items()}


def _square(cells: Mapping[tuple[str, str, str], int]) -> dict[str, Any]:
    """One table of all combinations from those that were counted; what is not listed never happened."""
    truth = list(dict.fromkeys(t for _, t, _ in cells))
    answers = list(dict.fromkeys([*(a for _, _, a in cells), *truth, COULD_NOT_TELL]))
    by_part = {
        part: [[cells.get((part, t, a), 0) for a in answers] for t in truth]
        for part in dict.fromkeys(("", *(p for p, _, _ in cells)))
    }
    whole = by_part.pop("")
    return {"truth": truth, "answers": answers, "counts": whole, "within": by_part}
