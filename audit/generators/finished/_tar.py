# SPDX-License-Identifier: Apache-2.0
"""WebDataset archives: members are found once and read at their offsets; nothing is ever extracted to a path."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from audit.errors import GeneratorError
from audit.generators.finished._rows import Names, Row, Unreadable, row_of
from audit.types import Outcome

__all__ = ["TarLayout"]

_IMAGES = frozenset({"png", "jpg", "jpeg", "webp"})
_WORDS = ("json", "txt", "text", "caption")
_MAX_WORDS = 2**20  # bytes of a prompt or of the metadata of one image
_HINT = "fetch or pack the archive again"


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    offset: int
    size: int


class TarLayout:
    """Samples of one or more archives, in the order in which they stand there.

    Args:
        base: folder that places are relative to.
        files: archives, not compressed.
        names: columns and limits.
    """

    name = "webdataset"

    def __init__(self, base: Path, files: Sequence[Path], names: Names) -> None:
        self._base, self._files, self._names = base, files, names

    def rows(self) -> Iterator[Row]:
        """All answers in order. Raises GeneratorError for a broken archive or a sample without a prompt."""
        for path in self._files:
            label = path.relative_to(self._base).as_posix()
            for key, parts in _samples(path).items():
                yield self._row(path, f"{label}: {key}", parts)

    def read(self, row: Row) -> bytes:
        """Bytes of a member. Raises Unreadable or OSError."""
        path, member = row.at
        if member.size > self._names.max_bytes:
            raise Unreadable(f"{member.size} bytes, more than {self._names.max_bytes} (option max_bytes)")
        return _bytes(path, member)

    def files(self, _: Iterable[Row]) -> list[Path]:
        """None but the files themselves."""
        return []

    def close(self) -> None:
        """Nothing is open."""

    def _row(self, path: Path, place: str, parts: dict[str, _Member]) -> Row:
        where = f"{path.parent}/{place}" if path.parent == self._base else str(self._base / place)
        values: dict[str, Any] = {}
        for kind in _WORDS:
            if kind in parts:
                values = {**self._words(path, parts[kind], kind, where), **values}
        images = [member for kind, member in parts.items() if kind in _IMAGES]
        if len(images) == 1:
            return replace(self._of(values, where, images[0], path), place=place)
        reason = "several images under one key" if images else "no image member"
        stated = values.get("outcome") not in (None, "", "image")
        told = values if stated and not images else {**values, "outcome": str(Outcome.ERROR), "message": reason}
        return replace(self._of(told, where, None, path), place=place)

    def _of(self, values: dict[str, Any], where: str, member: _Member | None, path: Path) -> Row:
        image = None if member is None else (member.name, (path, member))
        given = {name: value for name, value in values.items() if name not in ("file_name", "image_path", "path")}
        return row_of(given, place=where, names=self._names, image=image)

    def _words(self, path: Path, member: _Member, kind: str, where: str) -> dict[str, Any]:
        if member.size > _MAX_WORDS:
            raise GeneratorError(f"{member.name} has {member.size} bytes, too many for a prompt", where=where)
        try:
            text = _bytes(path, member).decode("utf-8-sig")
            found = json.loads(text) if kind == "json" else {self._names.text or "text": text}
        except (ValueError, RecursionError, Unreadable) as error:
            raise GeneratorError(f"{member.name} cannot be read: {error}", where=where, hint=_HINT) from None
        if not isinstance(found, dict):
            raise GeneratorError(f"{member.name} is not a JSON object", where=where, hint='{"prompt": "a red bench"}')
        return found


def _bytes(path: Path, member: _Member) -> bytes:
    with path.open("rb") as stream:
        stream.seek(member.offset)
        data = stream.read(member.size)
    if len(data) != member.size:
        raise Unreadable("the archive ends in the middle of it")
    return data


def _samples(path: Path) -> dict[str, dict[str, _Member]]:
    """Members by key - the path up to the first dot of its last part - and by what follows, in lower case."""
    samples: dict[str, dict[str, _Member]] = {}
    last = "its beginning"
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                last = member.name
                if not member.isreg() or member.issparse():
                    continue  # links and devices hold no image; nothing is followed
                name = PurePosixPath(member.name)
                key, _, kind = name.name.partition(".")
                if key:
                    of = samples.setdefault(str(name.parent / key), {})
                    of.setdefault(kind.lower(), _Member(member.name, member.offset_data, member.size))
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        where = f"{path}, after {last}"
        raise GeneratorError(f"cannot be read: {error}", where=where, hint=_HINT) from None
    return {key: parts for key, parts in samples.items() if _IMAGES & parts.keys() or set(_WORDS) & parts.keys()}
