# SPDX-License-Identifier: Apache-2.0
"""Part files of the feature store: one npy array of keys with checksums, then one of rows, in one file."""

from __future__ import annotations

import os
import secrets
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

__all__ = ["Part", "all_files", "listed", "read", "whole", "write"]

_KEYS: Final = np.dtype([("key", "V32"), ("crc", "<u4")])


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One file, its rows left on disk until they are asked for.

    Attributes:
        path: of the file.
        keys: 32 bytes each.
        checks: CRC-32 of each row.
        table: float32 (n, D).
    """

    path: Path
    keys: tuple[bytes, ...]
    checks: NDArray[np.uint32]
    table: NDArray[np.float32]

    @property
    def width(self) -> int:
        """D."""
        return int(self.table.shape[1])

    def row(self, index: int) -> NDArray[np.float32] | None:
        """One row, None where its bytes are not those that were written."""
        row = np.array(self.table[index])
        return row if zlib.crc32(row.tobytes()) == self.checks[index] else None

    def rows(self) -> Iterator[tuple[bytes, NDArray[np.float32]]]:
        """All rows that are as they were written, with their keys."""
        for index, key in enumerate(self.keys):
            row = self.row(index)
            if row is not None:
                yield key, row


def listed(folder: Path) -> list[Path]:
    """The parts in a folder; none where there is no folder."""
    return sorted(folder.glob("part-*.rows"))


def all_files(root: Path) -> list[tuple[Path, int, float]]:
    """Path, bytes and time of last use of every part under ``root``."""
    found = []
    for path in root.glob("*/part-*.rows"):
        with suppress(OSError):  # deleted by another process meanwhile
            stat = path.stat()
            found.append((path, stat.st_size, stat.st_mtime))
    return found


def write(folder: Path, keys: Sequence[bytes], rows: NDArray[np.float32]) -> Path:
    """A new part; a reader sees the whole of it or nothing. Raises OSError."""
    table = np.ascontiguousarray(rows, dtype="<f4")
    head = np.empty(len(keys), _KEYS)
    head["key"] = np.frombuffer(b"".join(keys), "V32")
    head["crc"] = [zlib.crc32(row.tobytes()) for row in table]
    path = folder / f"part-{secrets.token_hex(12)}.rows"
    with _aside(path) as stream:
        np.save(stream, head, allow_pickle=False)
        np.save(stream, table, allow_pickle=False)
    return path


def read(path: Path) -> Part | None:
    """A part, None where the file is not whole or has gone."""
    try:
        with path.open("rb") as stream:
            head = npy.read_array(stream, allow_pickle=False)
            npy.read_magic(stream)
            shape, _, dtype = npy.read_array_header_1_0(stream)
            start = stream.tell()
        if head.dtype != _KEYS or len(shape) != 2 or shape[0] != len(head) or dtype != np.dtype("<f4"):
            return None
        table = np.memmap(path, dtype, mode="r", offset=start, shape=shape)
        with suppress(OSError):
            os.utime(path)  # what was used last goes last
    except (OSError, ValueError, EOFError):
        return None
    return Part(path, tuple(bytes(key) for key in head["key"]), head["crc"], table)


def whole(path: Path, data: bytes) -> None:
    """Write a file so that readers see all of it or nothing. Raises OSError."""
    with _aside(path) as stream:
        stream.write(data)


@contextmanager
def _aside(path: Path) -> Iterator[BinaryIO]:
    """A stream to a file of another name, renamed to ``path`` when all is written, removed when it is not."""
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
