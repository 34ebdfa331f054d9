# SPDX-License-Identifier: Apache-2.0
"""A data set on disk: opened, checked, and built under a temporary name so that no half of one is ever left.

``images/ab/<sha256>.<ext>`` - ``records.parquet`` - ``steps.jsonl`` (what was done, oldest first) - ``dropped.csv``.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from audit.datasets._records import CORE, Dropped, Record, from_table, to_table
from audit.errors import ConfigError, StoreError

__all__ = ["Dataset", "Summary", "building", "digest_records", "finish", "open_set", "put", "summary", "write_text"]

_SUFFIXES = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "image/gif": "gif",
    "image/bmp": "bmp",
    "image/tiff": "tiff",
    "image/x-portable-anymap": "ppm",
    "image/avif": "avif",
}
_OURS = ("records.parquet", "split.json")  # a folder with one of them is a set or a split, and may be replaced


@dataclass(frozen=True, slots=True)
class Dataset:
    """A set that lies on disk.

    Attributes:
        path: its folder.
        records: what it holds, in order.
        dropped: what was left out on the way to it, by every step so far.
        steps: what was done, oldest first.
    """

    path: Path
    records: tuple[Record, ...]
    dropped: tuple[Dropped, ...]
    steps: tuple[Mapping[str, Any], ...]

    def image_path(self, record: Record) -> Path:
        """Where the file is."""
        return _place(self.path, record)

    def read(self, record: Record) -> bytes:
        """Bytes of the file. Raises StoreError where it is gone or not what it was."""
        path = self.image_path(record)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise StoreError(f"cannot be read: {error.strerror}", where=str(path), hint="collect again") from None
        if hashlib.sha256(data).hexdigest() != record.sha256:
            hint = "collect again; files of a set are never edited"
            raise StoreError("has changed since it was stored", where=str(path), hint=hint)
        return data


@dataclass(frozen=True, slots=True)
class Summary:
    """What one step did.

    Attributes:
        step: its name.
        out: the folder it wrote.
        given: how many images (or files) it was given.
        kept: how many images the new set holds.
        dropped: how many this step left out, by reason.
        digest: of the new set.
        details: anything else worth knowing.
    """

    step: str
    out: str
    given: int
    kept: int
    dropped: Mapping[str, int]
    digest: str
    details: Mapping[str, Any] = field(default_factory=dict)


def open_set(path: Path) -> Dataset:
    """The set in a folder. Raises StoreError where there is none or it is damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not (path / "records.parquet").is_file():
        hint = "make one with `genaudit data collect`"
        raise StoreError("is not a data set (no records.parquet)", where=str(path), hint=hint)
    try:
        records = from_table(pq.read_table(path / "records.parquet", partitioning=None))
        with (path / "dropped.csv").open(encoding="utf-8", newline="") as file:
            dropped = [Dropped(**row) for row in csv.DictReader(file)]
        steps = [json.loads(line) for line in (path / "steps.jsonl").read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError, TypeError, pa.ArrowException) as error:
        raise StoreError(f"is damaged: {error}", where=str(path), hint="make the set again") from None
    return Dataset(path, tuple(records), tuple(dropped), tuple(steps))


@contextmanager
def building(out: Path, *, force: bool, inputs: Iterable[Path]) -> Iterator[Path]:
    """A temporary folder that becomes ``out`` when the block ends well, and vanishes otherwise.

    Args:
        out: the folder to make.
        force: replace a set or a split that lies there; nothing else is ever replaced.
        inputs: what is read meanwhile; ``out`` must not lie in it, nor it in ``out``.

    Raises:
        ConfigError: ``out`` is taken, or lies in an input.
        StoreError: the disk says no.
    """
    _check_free(out, force=force)
    _check_apart(out, inputs)
    folder = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}-"))
        folder.chmod(0o755)  # mkdtemp keeps others out; a set is an ordinary folder
        yield folder
        _replace(folder, out)
    except OSError as error:
        hint = "check the disk, or choose another folder with --out"
        raise StoreError(f"cannot write: {error.strerror or error}", where=str(out), hint=hint) from None
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def put(folder: Path, data: bytes, record: Record) -> None:
    """Store a file of a set under its digest; one that is there already is the same."""
    path = _place(folder, record)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def finish(
    folder: Path,
    *,
    step: str,
    options: Mapping[str, Any],
    given: Sequence[tuple[str, str]],
    origins: Sequence[tuple[str, str]],
    records: Sequence[Record],
    dropped: Sequence[Dropped],
    before: Dataset | None,
) -> dict[str, Any]:
    """Write the tables and the log; everything given must be kept or dropped.

    Args:
        folder: that is being built.
        step: name of the command.
        options: as declared.
        given: keys of what the step was given.
        origins: keys of those that it made ``records`` from.
        records: what the set holds.
        dropped: what this step leaves out.
        before: the set it was made from, None for the first.

    Returns:
        The new line of the log.
    """
    _account(given, origins, dropped)
    import pyarrow.parquet as pq

    from audit import __version__

    _prune(folder, records)
    line = {
        "step": step,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": __version__,
        "options": dict(options),
        "input": digest_records(before.records) if before else None,
        "given": len(given),
        "kept": len(records),
        "dropped": dict(sorted(Counter(row.reason for row in dropped).items())),
        "digest": digest_records(records),
    }
    pq.write_table(to_table(records), folder / "records.parquet", compression="zstd")
    steps = [*(before.steps if before else ()), line]
    (folder / "steps.jsonl").write_text("".join(json.dumps(s, sort_keys=True) + "\n" for s in steps), encoding="utf-8")
    history = [*(before.dropped if before else ()), *dropped]
    write_text(folder / "dropped.csv", _csv(history))
    return line


def summary(line: Mapping[str, Any], out: Path, **details: Any) -> Summary:
    """A line of the log, for people and scripts."""
    own = {name: line[name] for name in ("step", "given", "kept", "dropped", "digest")}
    return Summary(out=str(out), **own, details=details)


def digest_records(records: Iterable[Record]) -> str:
    """sha256 (hex) over what the images and their records are, whatever their order and wherever they came from."""
    lines = []
    for record in records:
        content = {name: getattr(record, name) for name in CORE if name != "source"}
        content["meta"] = {name: value for name, value in record.meta.items() if value is not None}
        lines.append(hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest())
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def write_text(path: Path, text: str) -> None:
    """``text`` at ``path``, whole or not at all. Raises StoreError."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8", newline="")
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise StoreError(f"cannot write: {error.strerror or error}", where=str(path), hint="check the disk") from None


def _place(folder: Path, record: Record) -> Path:
    suffix = _SUFFIXES.get(record.media_type, "bin")
    return folder / "images" / record.sha256[:2] / f"{record.sha256}.{suffix}"


def _csv(rows: Iterable[Dropped]) -> str:
    sink = io.StringIO()
    writer = csv.DictWriter(sink, [f.name for f in fields(Dropped)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return sink.getvalue()


def _account(given: Sequence[tuple[str, str]], origins: Sequence[tuple[str, str]], dropped: Sequence[Dropped]) -> None:
    """The promise of every step, checked each time: nothing vanishes and nothing appears."""
    told = Counter(origins) + Counter(row.key for row in dropped)
    if told != Counter(given):
        odd = next(iter((Counter(given) - told) or (told - Counter(given))))
        raise RuntimeError(f"{odd} is neither kept nor dropped exactly once")


def _prune(folder: Path, records: Iterable[Record]) -> None:
    """Remove files that were stored before it was known that nobody needs them."""
    needed = {_place(folder, record) for record in records}
    (folder / "images").mkdir(exist_ok=True)
    for path in (folder / "images").glob("*/*"):
        if path not in needed:
            path.unlink()
    for path in (folder / "images").iterdir():
        with suppress(OSError):
            path.rmdir()  # refuses unless empty


def _check_free(out: Path, *, force: bool) -> None:
    if not out.exists() and not out.is_symlink():
        return
    if not out.is_dir() or out.is_symlink():
        raise ConfigError("is not a folder", where=str(out), hint="choose another folder with --out")
    if not any(out.iterdir()):
        return
    if not any((out / name).is_file() for name in _OURS):
        hint = "choose another folder with --out; --force replaces data sets only"
        raise ConfigError("is not empty and not a data set", where=str(out), hint=hint)
    if not force:
        raise ConfigError("holds a data set already", where=str(out), hint="choose another --out, or use --force")


def _check_apart(out: Path, inputs: Iterable[Path]) -> None:
    ours = out.resolve()
    for path in inputs:
        theirs = path.resolve()
        if ours == theirs or ours.is_relative_to(theirs) or theirs.is_relative_to(ours):
            raise ConfigError(f"and the input {path} lie in one another", where=str(out), hint="choose another --out")


def _replace(folder: Path, out: Path) -> None:
    if not out.exists() or not any(out.iterdir()):
        os.replace(folder, out)  # noqa: PTH105 - Path.replace does the same; this one is known to take empty folders
        return
    old = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}-old-"))
    os.replace(out, old)  # noqa: PTH105
    try:
        os.replace(folder, out)  # noqa: PTH105
    except OSError:
        os.replace(old, out)  # noqa: PTH105
        raise
    shutil.rmtree(old, ignore_errors=True)
