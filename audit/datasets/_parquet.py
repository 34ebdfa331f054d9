# SPDX-License-Identifier: Apache-2.0
"""Rows of a Parquet file that holds images: a struct of bytes and path, as Hugging Face writes it, or plain bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from audit.errors import ConfigError, StoreError

__all__ = ["rows_of"]

_BATCH = 32  # rows at a time: each may be megabytes

Row = tuple[str, bytes | None, dict[str, Any]]


def rows_of(path: Path, *, label: str, column: str | None) -> tuple[int, Iterator[Row]]:
    """How many rows there are, and each as name, image bytes and the other columns.

    Args:
        path: the file.
        label: of the source, for messages.
        column: that holds the images; None: the first that can.

    Raises:
        ConfigError: no column holds images.
        StoreError: the file is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"cannot be read: {error}", where=label, hint="fetch or write the file again") from None
    able = [field.name for field in file.schema_arrow if _holds_images(field.type)]
    if column is not None and column not in able:
        raise ConfigError(f"column {column!r} holds no images", where=label, hint=f"those that do: {_words(able)}")
    if not able:
        raise ConfigError("no column holds image bytes", where=label, hint="a struct {bytes, path}, or binary")
    chosen = column or ("image" if "image" in able else able[0])
    return file.metadata.num_rows, _read(file, chosen, label)


def _read(file: Any, column: str, label: str) -> Iterator[Row]:
    import pyarrow as pa

    number = 0
    try:
        for batch in file.iter_batches(batch_size=_BATCH):
            for row in batch.to_pylist():
                yield _row(row, column, number)
                number += 1
    except (OSError, pa.ArrowException) as error:
        where, hint = f"{label}, after row {number}", "fetch or write the file again"
        raise StoreError(f"cannot be read: {error}", where=where, hint=hint) from None
    finally:
        file.close()


def _row(row: dict[str, Any], column: str, number: int) -> Row:
    cell = row.pop(column)
    given = cell.get("path") if isinstance(cell, dict) else None
    data = cell.get("bytes") if isinstance(cell, dict) else cell
    name = PurePosixPath(str(given)).as_posix() if given else f"row-{number:08d}"
    return name, data, {key: value for key, value in row.items() if not isinstance(value, bytes)}


def _holds_images(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        inner = {field.name: field.type for field in kind}
        return "bytes" in inner and _holds_images(inner["bytes"])
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _words(names: list[str]) -> str:
    return ", ".join(names) or "none"
