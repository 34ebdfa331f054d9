# SPDX-License-Identifier: Apache-2.0
"""Parquet files with image bytes: the small columns are read at once, images a few rows at a time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from audit.errors import ConfigError, GeneratorError
from audit.generators.finished._rows import FILES, OTHERS, TEXTS, Names, Row, Unreadable, row_of

__all__ = ["ParquetLayout"]

_BATCH = 16  # rows decoded at once: each may be megabytes
_READERS = 4  # places in a file that are read on from: repetitions of a prompt often lie far apart
_KEPT = 256 * 2**20  # bytes of images kept for rows that are asked for out of order
_HINT = "fetch or write the file again"


class ParquetLayout:
    """Rows of one or more files, in the order of their names.

    Args:
        base: folder that places are relative to.
        files: shards.
        names: columns and limits.
    """

    name = "parquet"

    def __init__(self, base: Path, files: Sequence[Path], names: Names) -> None:
        self._base, self._files, self._names = base, files, names
        self._readers: dict[Path, _Shard] = {}

    def rows(self) -> Iterator[Row]:
        """All answers in order."""
        for path in self._files:
            yield from self._shard(path).rows()

    def read(self, row: Row) -> bytes:
        """Bytes of an image. Raises Unreadable or OSError."""
        path, group, number = row.at
        data = self._shard(path).image(group, number)
        if data is None:
            raise Unreadable("the row holds no image bytes")
        if len(data) > self._names.max_bytes:
            raise Unreadable(f"{len(data)} bytes, more than {self._names.max_bytes} (option max_bytes)")
        return data

    def files(self, _: Iterable[Row]) -> list[Path]:
        """None but the files themselves."""
        return []

    def close(self) -> None:
        """Close all shards."""
        for shard in self._readers.values():
            shard.close()
        self._readers.clear()

    def _shard(self, path: Path) -> _Shard:
        if path not in self._readers:
            self.close()  # rows are read in order: one open file and one store of images is enough
            self._readers[path] = _Shard(path, path.relative_to(self._base).as_posix(), self._names)
        return self._readers[path]


@dataclass(slots=True, eq=False)
class _Window:
    """A place in a row group: batches before ``next`` are read."""

    group: int
    reader: Iterator[Any]
    next: int = 0


class _Shard:
    """One file with a few windows of images that move forward through its row groups.

    A page of the file is decoded whole whatever is asked for, so a file written with huge pages needs their room.
    """

    def __init__(self, path: Path, label: str, names: Names) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._path, self._label, self._names = path, label, names
        try:
            self._file = pq.ParquetFile(path, buffer_size=2**20, pre_buffer=False)  # page by page
        except (OSError, pa.ArrowException) as error:
            raise GeneratorError(f"cannot be read: {error}", where=str(path), hint=_HINT) from None
        self._image = _image_column(self._file.schema_arrow, names, path)
        self._open: list[_Window] = []  # the one used last stands last
        self._kept: OrderedDict[tuple[int, int], list[bytes | None]] = OrderedDict()
        self._size = 0

    def rows(self) -> Iterator[Row]:
        import pyarrow as pa

        schema = self._file.schema_arrow
        wanted = {*TEXTS, *OTHERS, *FILES, *([self._names.text] if self._names.text else [])} - {self._image}
        columns = [field.name for field in schema if field.name in wanted and not pa.types.is_nested(field.type)]
        kind = schema.field(self._image).type
        has_path = pa.types.is_struct(kind) and "path" in {field.name for field in kind}
        before = 0
        for group in range(self._file.num_row_groups):
            try:
                found = self._file.read_row_group(group, columns=columns + [f"{self._image}.path"] * has_path)
            except (OSError, pa.ArrowException) as error:
                where = f"{self._path}, row group {group}"
                raise GeneratorError(f"cannot be read: {error}", where=where, hint=_HINT) from None
            for number in range(self._file.metadata.row_group(group).num_rows):
                values = {name: found.column(name)[number].as_py() for name in found.column_names}
                given = values.pop(self._image, None) or {}
                yield self._row(values, given.get("path"), (group, number), before + number)
            before += self._file.metadata.row_group(group).num_rows

    def _row(self, values: dict[str, Any], path: str | None, at: tuple[int, int], number: int) -> Row:
        name = str(path or values.get("file_name") or f"{self._label}#{number}")
        row = row_of(values, place=f"{self._path}, row {number}", names=self._names, image=(name, (self._path, *at)))
        return replace(row, place=f"{self._label}, row {number}")

    def image(self, group: int, number: int) -> bytes | None:
        wanted = (group, number // _BATCH)
        if wanted not in self._kept:
            self._advance(*wanted)
        self._kept.move_to_end(wanted)
        return self._kept[wanted][number % _BATCH]

    def _advance(self, group: int, batch: int) -> None:
        """Read on to a batch; Parquet cannot jump inside a row group, so going back begins it again."""
        import pyarrow as pa

        before = [window for window in self._open if window.group == group and window.next <= batch]
        window = max(before, key=lambda one: one.next, default=None)
        if window is None:
            batches = self._file.iter_batches(batch_size=_BATCH, row_groups=[group], columns=[self._image])
            window = _Window(group, iter(batches))
        self._open = [*(one for one in self._open if one is not window), window][-_READERS:]
        try:
            while window.next <= batch:
                cells = next(window.reader).column(0).to_pylist()
                self._keep((group, window.next), [c.get("bytes") if isinstance(c, dict) else c for c in cells])
                window.next += 1
        except (OSError, pa.ArrowException, StopIteration) as error:
            self._open.remove(window)
            raise Unreadable(f"row group {group} cannot be read: {error}") from None

    def _keep(self, key: tuple[int, int], images: list[bytes | None]) -> None:
        self._size += _weight(images) - _weight(self._kept.pop(key, []))
        self._kept[key] = images
        while self._size > _KEPT and len(self._kept) > 1:
            self._size -= _weight(self._kept.popitem(last=False)[1])

    def close(self) -> None:
        self._file.close()


def _weight(images: Sequence[bytes | None]) -> int:
    return sum(len(image) for image in images if image)


def _image_column(schema: Any, names: Names, path: Path) -> str:
    able = [field.name for field in schema if _holds_images(field.type)]
    there = f"columns that hold bytes: {', '.join(able) or 'none'}"
    if names.image:
        if names.image not in able:
            raise ConfigError(f"column {names.image!r} holds no images", where=str(path), hint=there)
        return names.image
    if not able:
        hint = "a struct {bytes, path} as Hugging Face datasets write it, or binary"
        raise ConfigError("no column holds image bytes", where=str(path), hint=hint)
    if "image" not in able and len(able) > 1:
        raise ConfigError("several columns hold bytes", where=str(path), hint=f"set option image_column; {there}")
    return "image" if "image" in able else able[0]


def _holds_images(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        inner = {field.name: field.type for field in kind}
        return "bytes" in inner and _holds_images(inner["bytes"])
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
