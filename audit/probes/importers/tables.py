# SPDX-License-Identifier: Apache-2.0
"""Tables as others write them - CSV, TSV, JSON lines, JSON, plain lines - each row with the place it stands at."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit.errors import AuditError
from audit.probes.importers.text import lines_of, read_text

__all__ = ["KINDS", "Record", "Table", "read_table"]

KINDS = {
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".tab": "tsv",
    ".tsv": "tsv",
    ".txt": "txt",
}
LINE = "text"  # name of the only column of a plain list


@dataclass(frozen=True, slots=True)
class Record:
    """One row.

    Attributes:
        place: ``file:line``, or the number of the item in a JSON file.
        values: by column, as found.
    """

    place: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """What a file holds.

    Attributes:
        path: the file.
        sha256: hex digest of its bytes.
        kind: csv, tsv, jsonl, json or txt.
        columns: names in order; of JSON in the order in which they first appear.
        records: rows in order.
        blank: line numbers that hold nothing.
        document: the whole value of a JSON file, None of others.
        quoted: whether quotes were read as quoting; of TSV both are met.
    """

    path: Path
    sha256: str
    kind: str
    columns: tuple[str, ...]
    records: tuple[Record, ...]
    blank: tuple[int, ...] = ()
    document: Any = None
    quoted: bool = True


def read_table(path: Path, *, error: type[AuditError], kind: str | None = None, encoding: str | None = None) -> Table:
    """Read all rows of ``path``.

    Args:
        path: the file.
        error: class to raise.
        kind: of file; default: from its suffix.
        encoding: default: by its byte order mark, else UTF-8.

    Raises:
        AuditError: of class ``error``: unreadable, an unknown kind, or a broken row with ``file:line``.
    """
    found = kind or KINDS.get(path.suffix.lower())
    if found is None:
        hint = f"known: {', '.join(sorted(KINDS))}; or name the format: csv, tsv, jsonl, txt"
        raise error(f"a file called *{path.suffix} is no table that is known", where=str(path), hint=hint)
    data, text = read_text(path, error=error, encoding=encoding)
    reader = _Reader(path, hashlib.sha256(data).hexdigest(), error)
    return {"csv": reader.csv, "tsv": reader.tsv, "jsonl": reader.jsonl, "json": reader.json, "txt": reader.txt}[found](
        text
    )


@dataclass(frozen=True, slots=True)
class _Reader:
    path: Path
    sha256: str
    error: type[AuditError]

    def txt(self, text: str) -> Table:
        lines = list(enumerate(lines_of(text), start=1))
        records = tuple(Record(self._at(number), {LINE: line.strip()}) for number, line in lines if line.strip())
        blank = tuple(number for number, line in lines if not line.strip())
        return Table(self.path, self.sha256, "txt", (LINE,), records, blank)

    def jsonl(self, text: str) -> Table:
        records, blank = [], []
        for number, line in enumerate(lines_of(text), start=1):
            if line.strip():
                records.append(Record(self._at(number), self._object(self._parse(line, number), self._at(number))))
            else:
                blank.append(number)
        return Table(self.path, self.sha256, "jsonl", _keys(records), tuple(records), tuple(blank))

    def json(self, text: str) -> Table:
        document = self._parse(text, 1)
        records = []
        if isinstance(document, list):
            for number, item in enumerate(document, start=1):
                place = f"{self.path}, item {number}"
                records.append(Record(place, {LINE: item} if isinstance(item, str) else self._object(item, place)))
        return Table(self.path, self.sha256, "json", _keys(records), tuple(records), document=document)

    def csv(self, text: str) -> Table:
        first = next(iter(lines_of(text)), "")
        # Spreadsheets write semicolons where the comma is the decimal sign.
        delimiter = ";" if ";" in first and "," not in first else ","
        return self._table(list(self._cells(text, delimiter=delimiter)), "csv", quoted=True)

    def tsv(self, text: str) -> Table:
        """Quotes are quoting if that reading works and something in the file needs it, else they are characters."""
        plain = [(number, line.split("\t")) for number, line in enumerate(lines_of(text), start=1)]
        if '"' in text:
            try:
                quoted = list(self._cells(text, delimiter="\t"))
            except AuditError:
                quoted = []
            if quoted and _even(quoted) and (not _even(plain) or _needs_quotes(plain)):
                return self._table(quoted, "tsv", quoted=True)
        return self._table(plain, "tsv", quoted=False)

    def _table(self, rows: Sequence[tuple[int, list[str]]], kind: str, *, quoted: bool) -> Table:
        header = self._header(rows)
        records, blank = [], []
        for number, cells in rows[1:]:
            if not any(cell.strip() for cell in cells) and len(cells) <= 1:
                blank.append(number)
            elif len(cells) != len(header):
                message = f"{len(cells)} cells under {len(header)} columns"
                hint = "put a cell that holds commas, tabs or line ends in double quotes, and double the quotes in it"
                raise self.error(message, where=self._at(number), hint=hint)
            else:
                values = dict(zip(header, (cell.strip() for cell in cells), strict=True))
                records.append(Record(self._at(number), values))
        return Table(self.path, self.sha256, kind, tuple(header), tuple(records), tuple(blank), quoted=quoted)

    def _header(self, rows: Sequence[tuple[int, list[str]]]) -> list[str]:
        if not rows or not any(cell.strip() for cell in rows[0][1]):
            raise self.error("the first line is no header", where=self._at(1), hint="name the columns: prompt,category")
        names = [cell.strip() or f"column_{number}" for number, cell in enumerate(rows[0][1], start=1)]
        for number, name in enumerate(names):
            if name in names[:number]:
                raise self.error(f"two columns are called {name!r}", where=self._at(1), hint="rename one of them")
        return names

    def _cells(self, text: str, *, delimiter: str) -> Iterator[tuple[int, list[str]]]:
        """Each row with the line it begins on: cells in quotes may hold line ends."""
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        start = 1
        try:
            for cells in reader:
                yield start, cells
                start = reader.line_num + 1
        except csv.Error as problem:
            hint = "a cell that begins with a quote must end with one; double the quotes in it"
            raise self.error(f"broken row: {problem}", where=self._at(start), hint=hint) from None

    def _parse(self, text: str, line: int) -> Any:
        try:
            return json.loads(text)
        except json.JSONDecodeError as problem:
            place = f"{self.path}:{line + problem.lineno - 1}:{problem.colno}"
            raise self.error(f"not JSON: {problem.msg}", where=place, hint="one JSON object a line") from None
        except (RecursionError, ValueError) as problem:
            raise self.error(f"not JSON: {problem}", where=self._at(line)) from None

    def _object(self, value: Any, place: str) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise self.error("not a JSON object", where=place, hint='for example {"prompt": "a red bench"}')
        return value

    def _at(self, line: int) -> str:
        return f"{self.path}:{line}"


def _even(rows: Sequence[tuple[int, list[str]]]) -> bool:
    return len({len(cells) for _, cells in rows if any(cells)}) == 1


def _needs_quotes(plain: Sequence[tuple[int, list[str]]]) -> bool:
    """Whether cells are written as a CSV writer writes them: doubled quotes within quotes, or quotes around all."""
    cells = [cell for _, row in plain for cell in row if cell]
    wrapped = [cell for cell in cells if len(cell) > 1 and cell[0] == cell[-1] == '"']
    return len(wrapped) == len(cells) or any('""' in cell[1:-1] for cell in wrapped)


def _keys(records: Sequence[Record]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key for record in records for key in record.values))
