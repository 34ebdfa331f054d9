# SPDX-License-Identifier: Apache-2.0
"""What stands beside images: metadata.jsonl and metadata.csv of a folder, and one .json or .txt an image."""

from __future__ import annotations

import csv
import io
import json
import posixpath
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from audit.datasets._records import Reason, Refused
from audit.errors import ConfigError

__all__ = ["METADATA", "SIDECARS", "read_metadata", "read_sidecar"]

METADATA = frozenset({"metadata.jsonl", "metadata.csv"})
SIDECARS = frozenset({".json", ".txt", ".caption", ".cls"})
_HINT = 'one line an image: {"file_name": "0001.png", "text": "a portrait of a nurse"}'


def read_metadata(files: Mapping[str, bytes], *, label: str) -> dict[str, dict[str, Any]]:
    """Rows of all metadata files by the name of the image, relative to the source.

    Args:
        files: name in the source -> content.
        label: of the source, for messages.

    Raises:
        ConfigError: a file is not UTF-8, a line is not an object with ``file_name``, or an image is named twice.
    """
    rows: dict[str, dict[str, Any]] = {}
    for name, data in files.items():
        for line, raw in _lines(name, data, label):
            where = f"{label}/{name}:{line}"
            given = raw.pop("file_name", None) if isinstance(raw, dict) else None
            if not isinstance(given, str) or not given:
                raise ConfigError("the row has no file_name", where=where, hint=_HINT)
            folder = str(PurePosixPath(name).parent)
            if None in raw:
                raise ConfigError("the row has more cells than the header", where=where, hint="quote cells with commas")
            image = posixpath.normpath(posixpath.join(folder, given))
            if image in rows:
                raise ConfigError(f"{given!r} is named twice", where=where, hint="keep one row an image")
            rows[image] = raw
    return rows


def read_sidecar(name: str, data: bytes) -> dict[str, Any]:
    """Columns from one file that stands beside an image. Raises Refused where it cannot be read."""
    try:
        text = data.decode("utf-8-sig")
        if PurePosixPath(name).suffix.lower() != ".json":
            return {"cls" if name.lower().endswith(".cls") else "caption": text.strip()}
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refused(Reason.BAD_METADATA, f"{name}: {error}") from None
    if not isinstance(found, dict):
        raise Refused(Reason.BAD_METADATA, f"{name}: not a JSON object")
    return found


def _lines(name: str, data: bytes, label: str) -> Iterator[tuple[int, Any]]:
    try:
        text = data.decode("utf-8-sig")
        if name.endswith(".csv"):
            yield from enumerate(csv.DictReader(io.StringIO(text, newline="")), start=2)
            return
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"cannot be read: {error}", where=f"{label}/{name}", hint="save it as UTF-8") from None
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                where = f"{label}/{name}:{number}"
                raise ConfigError(f"not a JSON object: {error}", where=where, hint=_HINT) from None
