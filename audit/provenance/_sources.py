# SPDX-License-Identifier: Apache-2.0
"""Where images to check come from: files, folders, run folders, tar archives, and Parquet tables.

Nothing is unpacked to disk, links to folders are not followed, and what cannot be opened is handed on as such: whoever
counts verdicts must not lose a file because it was hard to read.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from audit.errors import ConfigError
from audit.provenance._limits import MAX_BYTES

__all__ = ["SUFFIXES", "Source", "find", "named"]

SUFFIXES: Final = frozenset(
    {".avif", ".dng", ".gif", ".heic", ".heif", ".jpeg", ".jpg", ".jxl", ".png", ".tif", ".tiff", ".webp"}
)
_TABLE: Final = ".parquet"
_ARCHIVES: Final = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_COLUMNS: Final = frozenset({"bytes", "image", "image_bytes", "img", "jpg", "png", "webp"})
_ROWS: Final = 16
_LONGEST_HEADER: Final = 2**20


@dataclass(frozen=True, slots=True)
class Source:
    """One image to check.

    Attributes:
        name: as shown: a path, ``archive.tar::member`` or ``file.parquet::row 17``.
        path: of a file; None where the bytes are at hand.
        data: the bytes; None where they are still to be read.
        problem: why there is nothing to look into.
    """

    name: str
    path: Path | None = None
    data: bytes | None = field(default=None, repr=False)
    problem: str | None = None


def named(item: Path | str | Source) -> Source:
    """``item`` as a source."""
    return item if isinstance(item, Source) else Source(str(item), Path(item))


def find(paths: Iterable[Path], *, max_bytes: int = MAX_BYTES) -> Iterator[Source]:
    """Every image in ``paths``, in a fixed order, one at a time.

    A file that is named is always taken, whatever it is called. In folders, those with the suffix of an image format
    that can carry credentials are, and archives and tables are opened. Of a run folder only the images are taken.

    Args:
        paths: files, folders, run folders, tar archives (plain, gzip, bzip2, xz), Parquet files.
        max_bytes: larger members of archives and cells of tables are not read.

    Raises:
        ConfigError: a path does not exist, or a Parquet file that was named has no column of images.
    """
    for path in paths:
        if not path.exists():
            raise ConfigError("does not exist", where=str(path), hint="check the path")
        if path.is_dir():
            yield from _folder(_images_of_run(path) or path, max_bytes)
        else:
            yield from _file(path, max_bytes)


def _images_of_run(path: Path) -> Path | None:
    images = path / "images"
    return images if (path / "plan.json").is_file() and images.is_dir() else None


def _file(path: Path, max_bytes: int) -> Iterator[Source]:
    if path.name.lower().endswith(_ARCHIVES):
        yield from _archive(path, max_bytes)
    elif path.suffix.lower() == _TABLE:
        yield from _table(path, max_bytes)
    else:
        yield Source(str(path), path)


def _folder(path: Path, max_bytes: int) -> Iterator[Source]:
    unreadable: list[OSError] = []
    for folder, below, files in os.walk(path, onerror=unreadable.append):  # links to folders are not followed
        below.sort()
        for name in sorted(files):
            if _wanted(name):
                yield from _in_folder(Path(folder) / name, max_bytes)
    for error in unreadable:
        yield Source(str(error.filename or path), problem=f"folder cannot be opened: {error.strerror}")


def _in_folder(path: Path, max_bytes: int) -> Iterator[Source]:
    try:
        yield from _file(path, max_bytes)
    except ConfigError:  # a table of something else is none of our business
        return


def _wanted(name: str) -> bool:
    lower = name.lower()
    return Path(lower).suffix in SUFFIXES or lower.endswith((*_ARCHIVES, _TABLE))


# -- tar -------------------------------------------------------------------------------------------------------


class _Member(tarfile.TarInfo):
    """A member whose headers cannot be larger than headers are: the module reads them into memory as a whole."""

    def _proc_member(self, archive: tarfile.TarFile) -> Any:
        if self.type in _HEADERS and self.size > _LONGEST_HEADER:
            raise tarfile.ReadError(f"a header of {self.size} bytes")
        return super()._proc_member(archive)  # type: ignore[misc]


_HEADERS: Final = {
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
}


def _archive(path: Path, max_bytes: int) -> Iterator[Source]:
    try:
        # Not as a stream ("r|*"), although it is read from front to back: there the module skips a member of claimed
        # terabytes in blocks of kilobytes, also when the file has long ended.
        with tarfile.open(path, "r:*", tarinfo=_Member) as archive:
            for member in archive:
                archive.members = []  # type: ignore[attr-defined]  # else it keeps a record of every member
                if member.isfile() and Path(member.name.lower()).suffix in SUFFIXES:
                    yield _member(archive, member, f"{path}::{member.name}", max_bytes)
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        yield Source(str(path), problem=f"archive cannot be read to its end: {error}")


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo, name: str, max_bytes: int) -> Source:
    if member.size > max_bytes:
        return Source(name, problem=_too_large(member.size, max_bytes))
    file = archive.extractfile(member)
    return Source(name, data=file.read() if file is not None else b"")


# -- Parquet ---------------------------------------------------------------------------------------------------


def _table(path: Path, max_bytes: int) -> Iterator[Source]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            columns = [each.name for each in file.schema_arrow if _holds_images(each)]
            if not columns:
                hint = f"images are looked for in structs with a field 'bytes', and in columns {sorted(_COLUMNS)}"
                raise ConfigError("no column of images in this table", where=str(path), hint=hint)
            row = 0
            for batch in file.iter_batches(batch_size=_ROWS, columns=columns):
                for index in range(batch.num_rows):
                    for column in columns:
                        label = f"{path}::row {row + index}" + (f" {column}" if len(columns) > 1 else "")
                        yield from _cell(batch.column(column)[index], label, max_bytes)
                row += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        yield Source(str(path), problem=f"table cannot be read to its end: {' '.join(str(error).split())[:200]}")


def _holds_images(column: Any) -> bool:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_struct(kind):
        index = kind.get_field_index("bytes")
        return index >= 0 and _is_bytes(kind.field(index).type)
    return column.name.lower() in _COLUMNS and _is_bytes(kind)


def _is_bytes(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _cell(cell: Any, name: str, max_bytes: int) -> Iterator[Source]:
    """The image of one cell; nothing where the cell is empty, as in rows without an image."""
    import pyarrow as pa

    if not cell.is_valid:
        return
    if pa.types.is_struct(cell.type):
        elsewhere = "path" in {each.name for each in cell.type} and cell["path"].is_valid
        cell = cell["bytes"]
        if not cell.is_valid:
            if elsewhere:
                yield Source(name, problem="the row names a file outside the table")
            return
    size = len(cell.as_buffer())
    if size > max_bytes:
        yield Source(name, problem=_too_large(size, max_bytes))
    else:
        yield Source(name, data=cell.as_py())


def _too_large(size: int, most: int) -> str:
    return f"{size} bytes are more than the limit of {most}"
