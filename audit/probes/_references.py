# SPDX-License-Identifier: Apache-2.0
"""Reference shares in a table beside the probe set: labour statistics and the like, with source and year."""

from __future__ import annotations

import csv
import difflib
import math
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from audit.errors import ProbeError
from audit.types import OtherReference, ReferenceRow

__all__ = ["read_references"]

_COLUMNS = ("attribute", "group", "share", "source", "year")
_TOLERANCE = 0.005  # published with one or two decimals of a per cent


def read_references(
    path: Path, *, axis: str, attribute: str, groups: Sequence[str], values: Collection[str]
) -> OtherReference:
    """The shares of ``groups`` of ``attribute`` for each value of ``axis`` that has rows.

    Args:
        path: CSV with the columns ``axis``, attribute, group, share, source, year (empty for a policy choice); more
            columns are for readers. Lines that begin with # are comments.
        axis: template axis that the rows are for.
        attribute: rows of other attributes are passed over.
        groups: declared groups; every value of the axis that has a row needs all of them.
        values: of the axis in the probe set. Some may have no row; a row for any other is an error, most likely a
            misspelt one.

    Raises:
        ProbeError: unreadable file, missing column, wrong number, no source, missing or unknown group, unknown value of
            the axis, shares that do not sum to 1, or a value of the axis with two sources; with the file, and the line
            where one is to blame.
    """
    cells: dict[str, dict[str, tuple[float, str, int | None]]] = {}
    for row, place in _rows(path, axis):
        if row["attribute"] != attribute:
            continue
        group = row["group"]
        if group not in groups:
            raise ProbeError(f"{group!r} is no group of {attribute!r}", where=place, hint=_nearest(group, groups))
        if row[axis] not in values:
            raise ProbeError(f"no prompt has {axis} {row[axis]!r}", where=place, hint=_nearest(row[axis], values))
        cell = cells.setdefault(row[axis], {})
        if group in cell:
            raise ProbeError(f"{row[axis]}: {group!r} stands twice", where=place)
        if not row["source"]:
            raise ProbeError(f"{row[axis]}: no source", where=place, hint="say where the share comes from")
        cell[group] = _share(row["share"], place), row["source"], _year(row["year"], place)
    if not cells:
        raise ProbeError(f"no row is about {attribute!r}", where=str(path))
    return OtherReference(axis, {value: _row(path, value, cell, groups) for value, cell in cells.items()})


def _row(path: Path, value: str, cell: dict[str, tuple[float, str, int | None]], groups: Sequence[str]) -> ReferenceRow:
    lacking = [group for group in groups if group not in cell]
    if lacking:
        raise ProbeError(f"{value}: no share of {lacking[0]!r}", where=str(path), hint="give every declared group")
    total = math.fsum(share for share, _, _ in cell.values())
    if abs(total - 1) > _TOLERANCE:
        raise ProbeError(f"{value}: shares sum to {total:.6g}, not to 1", where=str(path))
    sources = {(source, year) for _, source, year in cell.values()}
    if len(sources) > 1:
        raise ProbeError(f"{value}: its groups have several sources or years", where=str(path))
    ((source, year),) = sources
    return ReferenceRow({group: cell[group][0] / total for group in groups}, source, year)


def _rows(path: Path, axis: str) -> Iterator[tuple[dict[str, str], str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = list(file)
    except (OSError, UnicodeDecodeError) as error:
        raise ProbeError(
            f"reference cannot be read: {error}", where=str(path), hint="`file` names a CSV beside the probe set"
        ) from None
    kept = [(number, line) for number, line in enumerate(lines, start=1) if line.strip() and not line.startswith("#")]
    table = csv.DictReader([line for _, line in kept], strict=True)
    try:
        header = list(table.fieldnames or [])
        _check_header(header, axis, path)
        for row in table:
            place = f"{path}:{kept[table.line_num - 1][0]}"
            if None in row or None in row.values():
                raise ProbeError(f"needs {len(header)} cells", where=place, hint="quote cells that hold a comma")
            yield {name: cell.strip() for name, cell in row.items()}, place
    except csv.Error as error:
        raise ProbeError(f"no CSV: {error}", where=str(path)) from None


def _check_header(header: Sequence[str], axis: str, path: Path) -> None:
    for name in (axis, *_COLUMNS):
        if name not in header:
            raise ProbeError(f"has no column {name!r}", where=str(path), hint=f"columns: {axis}, {', '.join(_COLUMNS)}")
    if len(set(header)) != len(header):
        raise ProbeError("two columns have the same name", where=str(path))


def _share(text: str, place: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise ProbeError(f"share {text!r} is no number from 0 to 1", where=place, hint="0.87, not 87 %")
    return share


def _year(text: str, place: str) -> int | None:
    if text and not (text.isdecimal() and 1900 <= int(text) <= 2200):
        raise ProbeError(f"year {text!r} is none", where=place)
    return int(text) if text else None


def _nearest(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    shown = ", ".join(list(known)[:12])
    return f"known: {shown}{', ...' if len(known) > 12 else ''}"
