# SPDX-License-Identifier: Apache-2.0
"""Tables that people fill in: CSV as spreadsheets save it, JSON lines, Parquet; every row with the place it stands."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from audit.errors import ConfigError

__all__ = ["Row", "rows_of", "text_of"]

Row = tuple[str, dict[str, Any]]
"""Place (``file:line``) and cells by column."""
_SUFFIXES = ".csv, .tsv, .jsonl or .parquet"


def rows_of(path: Path) -> list[Row]:
    """All rows of a table, in order, each with its place.

    Args:
        path: ``.csv`` or ``.tsv`` (UTF-8, commas, semicolons or tabs), ``.jsonl``, or ``.parquet``.

    Raises:
        ConfigError: the file is not there, has another suffix, or cannot be read.
    """
    reader = {".csv": _csv, ".tsv": _csv, ".jsonl": _jsonl, ".ndjson": _jsonl, ".parquet": _parquet}.get(
        path.suffix.lower()
    )
    if reader is None:
        raise ConfigError(f"cannot read {path.suffix or 'a file without suffix'}", where=str(path), hint=_SUFFIXES)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"cannot be read: {error.strerror or error}", where=str(path), hint="check the path"
        ) from None
    return list(reader(path, data))


def text_of(cell: Any) -> str:
    """A cell as a stripped word; None, NaN and blanks are the empty word."""
    if cell is None or (isinstance(cell, float) and cell != cell):  # noqa: PLR0124  NaN differs from itself
        return ""
    return str(cell).strip()


def _decoded(path: Path, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError("is not UTF-8", where=f"{path}:{line}", hint="save it as CSV UTF-8") from None


def _csv(path: Path, data: bytes) -> Iterator[Row]:
    text = _decoded(path, data)
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)  # spreadsheets write semicolons where the comma is a decimal mark
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    names = [name.strip() for name in reader.fieldnames or []]
    if len(set(names)) < len(names):
        raise ConfigError("a column stands twice", where=f"{path}:1", hint="keep the columns that were handed out")
    reader.fieldnames = names
    try:
        for row in reader:
            if None in row:
                hint = "put quotes around cells that hold the delimiter"
                raise ConfigError("more cells than columns", where=f"{path}:{reader.line_num}", hint=hint)
            if any(text_of(cell) for cell in row.values()):
                yield f"{path}:{reader.line_num}", dict(row)
    except csv.Error as error:
        raise ConfigError(f"cannot be read: {error}", where=f"{path}:{reader.line_num}", hint="save it again") from None


def _jsonl(path: Path, data: bytes) -> Iterator[Row]:
    for number, line in enumerate(_decoded(path, data).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ConfigError(f"is not JSON: {error}", where=f"{path}:{number}", hint="one object a line") from None
        if not isinstance(row, dict):
            raise ConfigError("is not an object", where=f"{path}:{number}", hint="one object a line")
        yield f"{path}:{number}", row


def _parquet(path: Path, data: bytes) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows = pq.read_table(pa.BufferReader(data)).to_pylist()
    except pa.ArrowException as error:
        raise ConfigError(f"cannot be read: {error}", where=str(path), hint="write the file again") from None
    yield from ((f"{path}, row {number}", row) for number, row in enumerate(rows, start=1))
