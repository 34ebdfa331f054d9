# SPDX-License-Identifier: Apache-2.0
"""From file to file: whole or not at all, and never onto what it is made from."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from audit.errors import ConfigError, StoreError

__all__ = ["checked_target", "read_source", "replace_file"]


def checked_target(source: Path, target: Path) -> None:
    """Raises ConfigError where ``target`` is ``source`` by whatever name (link, hard link), or is a folder."""
    if target.is_dir():
        raise ConfigError("this is a folder", where=str(target), hint="name a file to write")
    if target.exists() and source.exists() and target.samefile(source):
        hint = "write to another file: a signed image must not replace the one it is made from"
        raise ConfigError(f"this is the source itself ({source})", where=str(target), hint=hint)


def read_source(source: Path) -> bytes:
    """The whole file. Raises StoreError where it cannot be read."""
    try:
        return source.read_bytes()
    except OSError as error:
        raise StoreError(f"cannot be read: {error.strerror}", where=str(source), hint="check the path") from None


def replace_file(target: Path, data: bytes) -> None:
    """Write to a temporary name in the same folder, make sure that it is on the disk, then rename.

    Raises:
        StoreError: the disk says no.
    """
    temporary = target.with_name(f".{target.name[:200]}.{uuid.uuid4().hex[:8]}")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        hint = "check that the folder is there and can be written, and that the disk has space"
        raise StoreError(f"cannot be written: {error.strerror}", where=str(target), hint=hint) from None
    except BaseException:  # an interrupt: nothing half-written stays
        temporary.unlink(missing_ok=True)
        raise
