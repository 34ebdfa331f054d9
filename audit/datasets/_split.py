# SPDX-License-Identifier: Apache-2.0
"""Split: parts that share no image, no near duplicate, no parent, and no value of a column that must not straddle."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.datasets._near import BITS, LEVELS, Signature, groups, join, signature
from audit.datasets._pixels import pixels, sift
from audit.datasets._records import CORE, Dropped, Progress, Record
from audit.datasets._store import Dataset, Summary, building, digest_records, finish, open_set, put, summary, write_text
from audit.errors import ConfigError

__all__ = ["parse_parts", "split"]

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


def parse_parts(text: str) -> dict[str, float]:
    """``train=0.8,test=0.2`` to shares. Raises ConfigError unless they are above 0 and sum to 1."""
    parts: dict[str, float] = {}
    for item in text.split(","):
        name, _, share = (word.strip() for word in item.partition("="))
        if not _NAME.fullmatch(name) or name in parts:
            raise ConfigError(
                f"{name!r} is no name for a part, or stands twice", where="--parts", hint="a-z, 0-9, -, _"
            )
        try:
            parts[name] = float(share)
        except ValueError:
            raise ConfigError(f"{share!r} is no share", where="--parts", hint="train=0.8,test=0.2") from None
    if not all(0 < share <= 1 for share in parts.values()) or not math.isclose(sum(parts.values()), 1, abs_tol=1e-6):
        hint = "shares are above 0 and sum to 1"
        raise ConfigError(f"{text!r} sums to {sum(parts.values()):g}", where="--parts", hint=hint)
    return parts


def split(
    source: Path,
    out: Path,
    *,
    parts: Mapping[str, float],
    seed: int = 0,
    by: str | None = None,
    force: bool = False,
    progress: Progress = lambda *_: None,
) -> Summary:
    """Divide a set into sets, one folder a part, so that no group straddles.

    Args:
        source: folder of the set.
        out: folder of the parts, with ``split.json`` that says what was reached.
        parts: name to share, sum 1.
        seed: decides which group goes where.
        by: column whose values must not straddle; rows without a value are groups of their own.
        force: replace a split at ``out``.
        progress: told what, how many are done, of how many.

    Raises:
        ConfigError: no such column; ``out`` is taken.
        StoreError: ``source`` is no set or damaged, or the disk says no.
    """
    before = open_set(source)
    _check_column(by, before)
    options = {"parts": dict(parts), "seed": seed, "by": by}
    with building(out, force=force, inputs=[source]) as folder:
        compared, dropped = sift(before, _signature, step="split", progress=progress)
        good = [record for record, _ in compared]
        labels = _labels(good, [signature for _, signature in compared], by)
        chosen = _assign(labels, parts, seed)
        marked = [replace(record, meta={**record.meta, "group": int(label)}) for record, label in _zip(good, labels)]
        for number, name in enumerate(parts):
            mine = [record for record, part in _zip(marked, chosen) if part == number]
            line = _write(before, folder / name, mine, dropped, {**options, "part": name})
            progress("write", number + 1, len(parts))
        found = _reached(parts, chosen, labels)
        line |= {"kept": len(good), "given": len(before.records), "digest": digest_records(marked), "options": options}
        write_text(folder / "split.json", json.dumps({**line, "parts": found}, sort_keys=True, indent=1) + "\n")
    return summary(line, out, parts=found)


def _check_column(by: str | None, dataset: Dataset) -> None:
    known = {*CORE, *(name for record in dataset.records for name in record.meta)}
    if by is not None and by not in known:
        raise ConfigError(f"the set has no column {by!r}", where="--by", hint=f"it has: {', '.join(sorted(known))}")


def _signature(_: Record, data: bytes) -> Signature:
    return signature(pixels(data))


def _labels(records: Sequence[Record], signatures: Sequence[Signature], by: str | None) -> NDArray[np.int64]:
    """(n,) the first index of the group of each record."""
    labels = groups(signatures, bits=BITS, levels=LEVELS)
    for column in ("sha256", "origin", by):
        if column is not None:
            labels = _joined(labels, [_value(record, column) for record in records])
    return labels


def _joined(labels: NDArray[np.int64], values: Sequence[Any]) -> NDArray[np.int64]:
    """Unite records with one value; None is no value."""
    first: dict[Any, int] = {}
    i, j = np.arange(len(values)), np.arange(len(values))
    for index, value in enumerate(values):
        if value is not None:
            j[index] = first.setdefault(value, index)
    return join(labels, i, j)


def _value(record: Record, column: str) -> Any:
    return getattr(record, column) if column in CORE else record.meta.get(column)


def _assign(labels: NDArray[np.int64], parts: Mapping[str, float], seed: int) -> NDArray[np.int64]:
    """(n,) number of the part of each record: large groups first, each to the part that lacks most."""
    members: dict[int, list[int]] = defaultdict(list)
    for index, label in enumerate(labels.tolist()):
        members[label].append(index)
    order = list(np.random.default_rng(seed).permutation(sorted(members)))
    order.sort(key=lambda label: -len(members[int(label)]))  # stable: groups of one size stay shuffled
    lacking = np.array(list(parts.values())) * len(labels)
    chosen = np.empty(len(labels), np.int64)
    for label in order:
        part = int(lacking.argmax())
        chosen[members[int(label)]] = part
        lacking[part] -= len(members[int(label)])
    return chosen


def _write(
    before: Dataset, folder: Path, records: Sequence[Record], dropped: Sequence[Dropped], options: Mapping[str, Any]
) -> dict[str, Any]:
    """One part as a set of its own; what cannot be compared is in no part and is told in each."""
    folder.mkdir()
    for record in records:
        put(folder, before.read(record), record)
    keys = [record.key for record in records]
    return finish(
        folder,
        step="split",
        options=options,
        given=[*keys, *(row.key for row in dropped)],
        origins=keys,
        records=records,
        dropped=dropped,
        before=before,
    )


def _reached(
    parts: Mapping[str, float], chosen: NDArray[np.int64], labels: NDArray[np.int64]
) -> dict[str, dict[str, float]]:
    found = {}
    for number, (name, asked) in enumerate(parts.items()):
        mine = chosen == number
        share = float(mine.mean()) if len(chosen) else 0.0
        groups_in = len(np.unique(labels[mine]))
        found[name] = {"asked": asked, "reached": share, "images": int(mine.sum()), "groups": groups_in}
    return found


def _zip(records: Sequence[Record], values: NDArray[np.int64]) -> list[tuple[Record, int]]:
    return list(zip(records, values.tolist(), strict=True))
