# SPDX-License-Identifier: Apache-2.0
"""Collect: bytes as they came, under their digest, with all that is said about them. Judging them is `clean`'s work."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from audit.datasets._pixels import header, quiet_pillow
from audit.datasets._records import CORE, Dropped, Progress, Record, Refused, plain
from audit.datasets._sources import Item, Limits, Source, open_sources
from audit.datasets._store import Summary, building, finish, put, summary
from audit.errors import ConfigError

__all__ = ["CollectOptions", "collect"]

_CAPTIONS = ("caption", "text", "prompt")
_LICENCES = ("licence", "license")


@dataclass(frozen=True, slots=True)
class CollectOptions:
    """How sources are read.

    Attributes:
        licence: of all that states none itself.
        max_bytes: of one file; larger ones are left out.
        image_column: of Parquet files; None: the first that holds images.
        caption_column: metadata column that holds the caption; None: caption, text or prompt.
    """

    licence: str | None = None
    max_bytes: int = 64 * 2**20
    image_column: str | None = None
    caption_column: str | None = None


def collect(
    sources: Sequence[str],
    out: Path,
    *,
    options: CollectOptions | None = None,
    force: bool = False,
    progress: Progress = lambda *_: None,
) -> Summary:
    """Make a set of everything in the sources.

    Args:
        sources: folders, Parquet files, tar archives; the words become the column ``source``.
        out: folder of the set.
        options: how to read.
        force: replace a set at ``out``.
        progress: told what, how many are done, of how many.

    Raises:
        ConfigError: a source is not there, unknown or named twice; ``out`` is taken; metadata is malformed.
        StoreError: a source is damaged, or the disk says no.
    """
    options = options or CollectOptions()
    if len(set(sources)) < len(sources):
        raise ConfigError("a source is named twice", where=" ".join(sources), hint="name each once")
    paths = [Path(source).expanduser() for source in sources]
    limits = Limits(options.max_bytes, options.image_column)
    opened = [one for path, label in zip(paths, sources, strict=True) for one in open_sources(path, label, limits)]
    with building(out, force=force, inputs=paths) as folder, quiet_pillow():
        records, dropped = _take(opened, folder, options, progress)
        line = finish(
            folder,
            step="collect",
            options={"sources": list(sources), **{name: getattr(options, name) for name in options.__slots__}},
            given=[*(record.key for record in records), *(row.key for row in dropped)],
            origins=[record.key for record in records],
            records=records,
            dropped=dropped,
            before=None,
        )
    return summary(line, out)


def _take(
    opened: Sequence[Source], folder: Path, options: CollectOptions, progress: Progress
) -> tuple[list[Record], list[Dropped]]:
    records: list[Record] = []
    dropped: list[Dropped] = []
    total, seen = sum(source.total for source in opened), Counter[tuple[str, str]]()
    for source in opened:
        for item in source.items:
            name = _unique(item.name, source.label, seen)
            if isinstance(item, Dropped):
                dropped.append(replace(item, name=name))
            else:
                record = _record(replace(item, name=name), source.label, options)
                put(folder, item.data, record)
                records.append(record)
            done = len(records) + len(dropped)
            progress("collect", done, max(total, done))
    return records, dropped


def _unique(name: str, label: str, seen: Counter[tuple[str, str]]) -> str:
    """Archives may hold one name twice, tables one path: the second becomes ``name#2``."""
    seen[label, name] += 1
    while seen[label, name] > 1:
        name = f"{name}#{seen[label, name]}"
        seen[label, name] += 1
    return name


def _record(item: Item, label: str, options: CollectOptions) -> Record:
    meta = {str(name): plain(value) for name, value in item.meta.items()}
    captions = (options.caption_column,) if options.caption_column else _CAPTIONS
    caption = _first(meta, captions)
    licence = _first(meta, _LICENCES) or options.licence
    core: dict[str, Any] = {"caption": caption, "licence": licence, **_shape(item.data)}
    taken = {*captions[:1], *_LICENCES, *CORE}
    rest = {f"{name}_given" if name in taken else name: value for name, value in meta.items() if value is not None}
    digest = hashlib.sha256(item.data).hexdigest()
    return Record(digest, label, item.name, origin=digest, **core, meta=rest)


def _first(meta: dict[str, Any], names: Sequence[str]) -> str | None:
    """The first of some columns that says something; it is taken out of the others."""
    found = next((name for name in names if meta.get(name) is not None), None)
    return None if found is None else str(meta.pop(found))


def _shape(data: bytes) -> Mapping[str, Any]:
    try:
        found = header(data)
    except Refused:
        return {}
    return {"width": found.width, "height": found.height, "mode": found.mode, "media_type": found.media_type}
