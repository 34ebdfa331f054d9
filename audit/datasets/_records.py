# SPDX-License-Identifier: Apache-2.0
"""What a data set holds, what it left out and why; records to Arrow tables and back."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

import pyarrow as pa

from audit.types import Scalar

__all__ = ["CORE", "Dropped", "Progress", "Reason", "Record", "Refused", "from_table", "plain", "to_table"]

Progress = Callable[[str, int, int], None]
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Reason(StrEnum):
    """Why something given is not in the set. A closed list: scripts may rely on the words."""

    HIDDEN = "hidden"  # its name begins with a dot
    LINK = "link"  # a link or device, which might lead anywhere
    OUTSIDE = "outside"  # metadata names a path that leads out of its folder
    MISSING = "missing"  # metadata names a file that is not there, or a row has no bytes
    UNREADABLE = "unreadable"
    TOO_MANY_BYTES = "too_many_bytes"
    BAD_METADATA = "bad_metadata"  # what stands beside the image cannot be read
    EMPTY = "empty"
    NOT_IMAGE = "not_image"
    TRUNCATED = "truncated"
    UNDECODABLE = "undecodable"
    BOMB = "bomb"  # claims more pixels than anything we handle
    TOO_SMALL = "too_small"
    TOO_LARGE = "too_large"
    ASPECT = "aspect"
    MODE = "mode"
    ANIMATED = "animated"
    CONSTANT = "constant"
    EXACT_DUPLICATE = "exact_duplicate"
    NEAR_DUPLICATE = "near_duplicate"


class Refused(Exception):  # noqa: N818 - a decision about one image, not an error of the command
    """One image is left out.

    Args:
        reason: the code.
        words: the particulars, for people.
    """

    def __init__(self, reason: Reason, words: str) -> None:
        super().__init__(words)
        self.reason, self.words = reason, words


@dataclass(frozen=True, slots=True)
class Record:
    """One image of a set.

    Attributes:
        sha256: of the file (hex); it is stored under this name.
        source: what it was collected from, as the user wrote it.
        name: its name in there; (source, name) is unique in a set.
        width, height: pixels as stored, None where the file cannot be read as an image.
        mode: Pillow's word for its channels, None likewise.
        media_type: e.g. "image/png"; "application/octet-stream" where it is no image.
        caption: text that came with it.
        licence: as stated by its metadata or by the user.
        parent: sha256 of the file it was made from, None for what was collected.
        origin: sha256 of the file that was collected, at the beginning of all that was done.
        meta: all other columns.
    """

    sha256: str
    source: str
    name: str
    width: int | None = None
    height: int | None = None
    mode: str | None = None
    media_type: str = "application/octet-stream"
    caption: str | None = None
    licence: str | None = None
    parent: str | None = None
    origin: str | None = None
    meta: Mapping[str, Scalar] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        """What names it: source and name."""
        return self.source, self.name


@dataclass(frozen=True, slots=True)
class Dropped:
    """One thing that was given and is not in the set.

    Attributes:
        name, source: as in `Record`.
        sha256: of its bytes, empty where they were never read.
        step: the command that left it out.
        reason: a code of `Reason`.
        words: the particulars, for people.
    """

    name: str
    source: str
    sha256: str
    step: str
    reason: str
    words: str

    @classmethod
    def of(cls, record: Record, refused: Refused, *, step: str) -> Dropped:
        """A record of the set before that ``step`` leaves out."""
        return cls(record.name, record.source, record.sha256, step, str(refused.reason), refused.words)

    @property
    def key(self) -> tuple[str, str]:
        """What names it: source and name."""
        return self.source, self.name


#: Columns that every set has; all others come from metadata or from a later step.
CORE = tuple(f.name for f in fields(Record) if f.name != "meta")
_SCHEMA = pa.schema([(name, pa.int32() if name in {"width", "height"} else pa.string()) for name in CORE])


def to_table(records: Sequence[Record]) -> pa.Table:
    """One row a record, in order; metadata columns sorted by name, of one type each."""
    rows = [{name: getattr(record, name) for name in CORE} for record in records]
    table = pa.Table.from_pylist(rows, schema=_SCHEMA)
    for name in sorted({name for record in records for name in record.meta}):
        table = table.append_column(name, _column([record.meta.get(name) for record in records]))
    return table


def from_table(table: pa.Table) -> list[Record]:
    """The inverse of `to_table`.

    Raises:
        ValueError: a core column is missing, a sha256 is none, or two rows have one name.
    """
    absent = [name for name in CORE if name not in table.column_names]
    if absent:
        raise ValueError(f"column {absent[0]!r} is missing")
    records = [_record(row) for row in table.to_pylist()]
    doubled = [key for key, count in Counter(record.key for record in records).items() if count > 1]
    if doubled:
        raise ValueError(f"{doubled[0]} stands twice")
    return records


def plain(value: Any) -> Scalar:
    """A metadata value as one cell: numbers, words and truth values as they are, all else as JSON, blank as None."""
    if value is None or value == "" or (isinstance(value, float) and value != value):  # noqa: PLR0124
        return None
    if isinstance(value, str | bool | int | float):
        return value
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)


def _record(row: Mapping[str, Any]) -> Record:
    # The digest becomes a path, and the table may come from anybody.
    for name in ("sha256", "parent", "origin"):
        value = row[name]
        if not (isinstance(value, str) and _SHA256.fullmatch(value)) and (name == "sha256" or value is not None):
            raise ValueError(f"{value!r} in column {name!r} is not a sha256")
    meta = {name: plain(value) for name, value in row.items() if name not in CORE and value is not None}
    return Record(**{name: row[name] for name in CORE}, meta=meta)


def _column(values: Iterable[Scalar]) -> pa.Array:
    values = list(values)
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) == 1 and (kind := kinds.pop()) in {bool, int, float}:
        fits = kind is not int or all(v is None or -(2**63) <= int(v) < 2**63 for v in values)
        if fits:
            return pa.array(values)
    return pa.array([None if value is None else str(value) for value in values], pa.string())
