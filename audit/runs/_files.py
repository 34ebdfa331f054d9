# SPDX-License-Identifier: Apache-2.0
"""Writing that survives being killed: temporary name, flush to disk, rename. And clear errors when the disk says no."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from audit.errors import StoreError

__all__ = ["disk_errors", "read_json", "read_parquet", "to_json", "write_bytes", "write_json", "write_parquet"]

_HINTS = {
    errno.ENOSPC: "free some space, then run the same command again: it goes on where it stopped",
    errno.EDQUOT: "free some space, then run the same command again: it goes on where it stopped",
    errno.EACCES: "choose a folder you may write to with --out",
    errno.EROFS: "choose a folder you may write to with --out",
    errno.EPERM: "choose a folder you may write to with --out",
}


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turns OSError into StoreError with the place and what to do."""
    try:
        yield
    except OSError as error:
        hint = _HINTS.get(error.errno or 0, "check the disk, or choose another folder with --out")
        raise StoreError(f"cannot write: {error.strerror or error}", where=str(path), hint=hint) from None


def write_bytes(path: Path, data: bytes) -> None:
    """``data`` at ``path``, whole or not at all."""
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".tmp-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(temporary).unlink()
            raise


def write_parquet(path: Path, table: pa.Table) -> None:
    """``table`` at ``path``, whole or not at all; same table, same bytes."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_bytes(path, sink.getvalue().to_pybytes())


def to_json(value: Any) -> str:
    """Canonical JSON: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plain)


def write_json(path: Path, value: Any) -> None:
    """Readable JSON with sorted keys at ``path``, whole or not at all."""
    text = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False, default=_plain)
    write_bytes(path, (text + "\n").encode())


def read_json(path: Path) -> Any:
    """Parsed JSON. Raises StoreError naming the file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(
            f"cannot be read: {error}", where=str(path), hint="the run folder is damaged or incomplete"
        ) from None


def read_parquet(path: Path) -> pa.Table:
    """The table in one file. Raises StoreError naming the file."""
    try:
        return pq.read_table(path, partitioning=None)
    except (OSError, pa.ArrowException) as error:
        raise StoreError(
            f"cannot be read: {error}", where=str(path), hint="delete this file and resume the run"
        ) from None


def _plain(value: Any) -> Any:
    if isinstance(value, frozenset | set):
        return sorted(value)
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} does not go into JSON")
