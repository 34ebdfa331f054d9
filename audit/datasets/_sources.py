# SPDX-License-Identifier: Apache-2.0
"""What users have: folders, Parquet files with image bytes, WebDataset archives. Nothing is extracted to a path."""

from __future__ import annotations

import os
import stat
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from audit.datasets._records import Dropped, Reason, Refused
from audit.datasets._sidecars import METADATA, SIDECARS, read_metadata, read_sidecar
from audit.errors import ConfigError, StoreError

__all__ = ["Item", "Limits", "Source", "open_sources"]


@dataclass(frozen=True, slots=True)
class Item:
    """One file or row of a source, with what is said about it.

    Attributes:
        name: in the source.
        data: its bytes.
        meta: columns, as found.
    """

    name: str
    data: bytes
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Limits:
    """What is read.

    Attributes:
        max_bytes: of one file.
        image_column: of Parquet files; None: the first that holds images.
    """

    max_bytes: int = 64 * 2**20
    image_column: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """One folder or file.

    Attributes:
        label: as the user wrote it (with the inner path, for a file in a folder).
        total: how many items, about; for the progress bar.
        items: what it holds, or what of it is left out.
    """

    label: str
    total: int
    items: Iterator[Item | Dropped]


@dataclass(frozen=True, slots=True)
class _Entry:
    """A file in a folder or an archive; ``problem`` where it must not be read."""

    name: str
    size: int
    read: Callable[[], bytes]
    problem: Refused | None = None


def open_sources(path: Path, label: str, limits: Limits) -> list[Source]:
    """The sources at a path: a folder with the Parquet and tar files in it, or one such file.

    Raises:
        ConfigError: there is nothing there, or nothing that is known.
        StoreError: a file cannot be read or is damaged.
    """
    if path.is_dir():
        return _folder(path, label, limits)
    if not path.exists():
        raise ConfigError("does not exist", where=label, hint="check the path")
    opened = _container(path, label, limits)
    if opened is None:
        hint = "give a folder, a .parquet file, or a WebDataset .tar"
        raise ConfigError("is not a kind of source that is known", where=label, hint=hint)
    return [opened]


def _container(path: Path, label: str, limits: Limits) -> Source | None:
    if path.suffix.lower() == ".parquet":
        from audit.datasets._parquet import rows_of

        total, rows = rows_of(path, label=label, column=limits.image_column)
        return Source(label, total, _rows(rows, label, limits))
    if path.name.lower().endswith((".tar", ".tar.gz", ".tgz")):
        return _archive(path, label, limits)
    return None


def _rows(rows: Iterator[tuple[str, bytes | None, dict[str, Any]]], label: str, limits: Limits) -> Iterator[Any]:
    for name, data, meta in rows:
        if data is None:
            yield Dropped(name, label, "", "collect", str(Reason.MISSING), "the row holds no bytes")
        elif len(data) > limits.max_bytes:
            yield _lost(name, label, _too_many(len(data), limits))
        else:
            yield Item(name, data, meta)


def _folder(path: Path, label: str, limits: Limits) -> list[Source]:
    if (path / "records.parquet").is_file() and (path / "steps.jsonl").is_file():
        hint = "use it as it is: genaudit data clean, normalise, augment, split or card"
        raise ConfigError("is a data set already", where=label, hint=hint)
    entries, containers = [], []
    for relative, file in _walk(path):
        inner = _container(file, f"{label}/{relative}", limits) if file.is_file() and not file.is_symlink() else None
        if inner is None or PurePosixPath(relative).name.startswith("."):
            entries.append(_file(file, relative))
        else:
            containers.append(inner)
    return [Source(label, len(entries), _items(entries, label, limits, _stem)), *containers]


def _walk(path: Path) -> Iterator[tuple[str, Path]]:
    """Files, links and hidden things under a folder by relative name; links to folders are not followed."""
    for parent, folders, files in os.walk(path):
        closed = [f for f in folders if f.startswith(".") or Path(parent, f).is_symlink()]
        folders[:] = sorted(set(folders) - set(closed))
        for name in sorted([*files, *closed]):
            file = Path(parent, name)
            yield file.relative_to(path).as_posix(), file


def _file(path: Path, relative: str) -> _Entry:
    name = _text(relative)
    if path.name.startswith("."):
        return _Entry(name, 0, bytes, Refused(Reason.HIDDEN, "its name begins with a dot"))
    try:
        found = path.lstat()
    except OSError as error:
        return _Entry(name, 0, bytes, Refused(Reason.UNREADABLE, str(error.strerror)))
    if not stat.S_ISREG(found.st_mode):
        return _Entry(name, 0, bytes, Refused(Reason.LINK, "a link or device; only plain files are read"))
    return _Entry(name, found.st_size, path.read_bytes)


def _archive(path: Path, label: str, limits: Limits) -> Source:
    """The list of members is read now, their bytes when they are taken."""
    try:
        with tarfile.open(path) as archive:
            members = [member for member in archive.getmembers() if not member.isdir()]
    except (tarfile.TarError, OSError, EOFError, ValueError, zlib.error) as error:
        raise StoreError(f"cannot be read: {error}", where=label, hint="fetch or pack the archive again") from None
    return Source(label, len(members), _members(path, members, label, limits))


def _members(path: Path, members: Sequence[tarfile.TarInfo], label: str, limits: Limits) -> Iterator[Item | Dropped]:
    with tarfile.open(path) as archive:
        yield from _items([_member(archive, member) for member in members], label, limits, _key)


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> _Entry:
    """The name is a label and never a path, so it may hold what it likes."""

    def read() -> bytes:
        stream = archive.extractfile(member)
        data = stream.read() if stream else b""
        if len(data) != member.size:
            raise OSError("the archive ends in the middle of it")
        return data

    name = _text(member.name)
    if not member.isreg():
        return _Entry(name, 0, bytes, Refused(Reason.LINK, "a link or device; only plain files are read"))
    if PurePosixPath(name).name.startswith("."):
        return _Entry(name, 0, bytes, Refused(Reason.HIDDEN, "its name begins with a dot"))
    return _Entry(name, member.size, read)


def _items(
    entries: Sequence[_Entry], label: str, limits: Limits, key: Callable[[str], str]
) -> Iterator[Item | Dropped]:
    """Files with the metadata that stands beside them; metadata that belongs to nothing is told."""
    rows = read_metadata({e.name: _table(e, label, limits) for e in entries if _is_table(e)}, label=label)
    rest = [entry for entry in entries if not _is_table(entry)]
    with_images = {key(entry.name) for entry in rest if not _is_sidecar(entry) and not entry.problem}
    beside: dict[str, list[_Entry]] = {}
    for entry in rest:
        if _is_sidecar(entry) and not entry.problem and key(entry.name) in with_images:
            beside.setdefault(key(entry.name), []).append(entry)
    attached = {id(entry) for group in beside.values() for entry in group}
    for entry in rest:
        if id(entry) not in attached:
            row = rows.pop(entry.name, {})
            yield _item(entry, beside.get(key(entry.name), ()), row, label=label, limits=limits)
    for name in rows:
        yield _lost(name, label, _absent(name))


def _item(
    entry: _Entry, beside: Sequence[_Entry], row: Mapping[str, Any], *, label: str, limits: Limits
) -> Item | Dropped:
    try:
        meta: dict[str, Any] = {}
        for sidecar in beside:
            meta |= read_sidecar(sidecar.name, _bytes(sidecar, limits))
        return Item(entry.name, _bytes(entry, limits), {**meta, **row})
    except Refused as refused:
        return _lost(entry.name, label, refused)


def _bytes(entry: _Entry, limits: Limits) -> bytes:
    if entry.problem:
        raise entry.problem
    if entry.size > limits.max_bytes:
        raise _too_many(entry.size, limits)
    try:
        return entry.read()
    except (OSError, tarfile.TarError, EOFError, zlib.error) as error:
        raise Refused(Reason.UNREADABLE, getattr(error, "strerror", None) or str(error)) from None


def _table(entry: _Entry, label: str, limits: Limits) -> bytes:
    """Content of a metadata file: without it nothing can be said of the whole folder, so it must be there."""
    try:
        return _bytes(entry, limits)
    except Refused as refused:
        where, hint = f"{label}/{entry.name}", "mend it, or raise --max-bytes"
        raise ConfigError(f"cannot be read: {refused.words}", where=where, hint=hint) from None


def _too_many(size: int, limits: Limits) -> Refused:
    return Refused(Reason.TOO_MANY_BYTES, f"{size} bytes, more than {limits.max_bytes}")


def _absent(name: str) -> Refused:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        return Refused(Reason.OUTSIDE, "metadata names a path that leads out of its folder")
    return Refused(Reason.MISSING, "metadata names it, and it is not there")


def _lost(name: str, label: str, refused: Refused) -> Dropped:
    return Dropped(name, label, "", "collect", str(refused.reason), refused.words)


def _is_table(entry: _Entry) -> bool:
    return PurePosixPath(entry.name).name in METADATA and not entry.problem


def _is_sidecar(entry: _Entry) -> bool:
    return PurePosixPath(entry.name).suffix.lower() in SIDECARS


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))


def _key(name: str) -> str:
    """WebDataset: everything up to the first dot of the last part."""
    path = PurePosixPath(name)
    return str(path.parent / path.name.partition(".")[0])


def _text(name: str) -> str:
    """A name that can be written as UTF-8; file systems and archives allow any bytes."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
