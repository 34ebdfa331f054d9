# SPDX-License-Identifier: Apache-2.0
"""Manifests kept outside of the images, so that an image that lost its credentials leads back to them.

One SQLite file, append only. C2PA calls this a manifest repository, and credentials that can be found again through a
soft binding such as a watermark *durable* (Technical Specification 2.4, 2.4.1, 9.3 and 18.10).
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from audit.errors import StoreError
from audit.provenance._database import Database
from audit.provenance.claim import Stamped

__all__ = ["STORE_NAME", "Kept", "ManifestStore"]

#: Name of the store in a run folder.
STORE_NAME: Final = "manifests.sqlite"
_BATCH: Final = 500
_ALL_BITS: Final = 2**64 - 1
_ADD: Final = """INSERT OR IGNORE INTO kept (manifest_id, payload, algorithm, phash, sketch, media_type, sha256, width,
    height, request_id, run_id, title, kept_at, manifest_sha256, manifest) VALUES (:manifest_id, :payload, :algorithm,
    :phash, :sketch, :media_type, :sha256, :width, :height, :request_id, :run_id, :title, :kept_at, :manifest_sha256,
    :manifest)"""


@dataclass(frozen=True, slots=True)
class Kept:
    """One manifest with what leads to it.

    Attributes:
        manifest_id: "urn:c2pa:...".
        payload: what the watermark carries (hex), None where there is none.
        algorithm: of the watermark as in the soft binding, None where there is none.
        phash: `audit.images.perceptual_hash` of the sketch.
        sketch: of the signed picture: 32 by 32 grey levels, row by row.
        media_type: of the signed file.
        sha256: (hex) of the whole signed file.
        width: pixels.
        height: pixels.
        request_id: that the image answers, where known.
        run_id: of the run or service, where known.
        title: of the image, where known.
        kept_at: UTC, ISO 8601.
        manifest_sha256: (hex) as it was when kept.
        manifest: the manifest store as embedded (JUMBF bytes).
    """

    manifest_id: str
    payload: str | None
    algorithm: str | None
    phash: str
    sketch: bytes = field(repr=False)
    media_type: str
    sha256: str
    width: int
    height: int
    request_id: str | None
    run_id: str | None
    title: str | None
    kept_at: str
    manifest_sha256: str
    manifest: bytes = field(repr=False)

    @classmethod
    def of(
        cls,
        stamped: Stamped,
        *,
        rgb: NDArray[np.uint8] | None = None,
        request_id: str | None = None,
        run_id: str | None = None,
        title: str | None = None,
        when: datetime | None = None,
    ) -> Self:
        """What is kept of a stamped image.

        Args:
            stamped: the signed file.
            rgb: its pixels (h, w, 3), where they are at hand; else ``stamped.rgb``, else the file is decoded.
            request_id: that the image answers.
            run_id: of the run or service.
            title: of the image. Whoever has the store can read it, so no private prompt belongs here.
            when: default: now.

        Raises:
            StoreError: the file cannot be decoded.
        """
        from audit.images import decode
        from audit.provenance._likeness import sketch, sketch_hash

        pixels = rgb if rgb is not None else stamped.rgb
        if pixels is None:
            try:
                pixels = decode(stamped.data)
            except ValueError as error:
                raise StoreError(str(error), where=stamped.manifest_id, hint="pass the pixels as rgb") from None
        cells = sketch(pixels)
        return cls(
            manifest_id=stamped.manifest_id,
            payload=stamped.payload,
            algorithm=stamped.watermark,
            phash=sketch_hash(cells),
            sketch=cells,
            media_type=stamped.media_type,
            sha256=hashlib.sha256(stamped.data).hexdigest(),
            width=pixels.shape[1],
            height=pixels.shape[0],
            request_id=request_id,
            run_id=run_id,
            title=title,
            kept_at=(when or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            manifest_sha256=hashlib.sha256(stamped.manifest).hexdigest(),
            manifest=stamped.manifest,
        )

    @property
    def intact(self) -> bool:
        """Whether the manifest is byte for byte the one that was kept."""
        return hashlib.sha256(self.manifest).hexdigest() == self.manifest_sha256


class ManifestStore:
    """An append-only store of manifests; can be shared by threads and processes, forked and pickled.

    What was kept survives a killed process; a power cut may cost the last few images (write-ahead log, synchronous
    NORMAL), never the store. It belongs on a local disk: SQLite's log does not work over network file systems.

    It holds manifests, digests, and of each picture a hash and a sketch of 32 by 32 grey cells; readable by its owner
    only (mode 0600). Prompts are in it only where the manifest says them publicly.

    Args:
        path: of the file; made, with its folder, where it is missing.
        readonly: never make or change anything; a missing file is an error.
        timeout: seconds to wait for another process that writes.

    Raises:
        StoreError: the file is no manifest store, was made by a later version, cannot be opened, or stayed locked.
    """

    def __init__(self, path: Path | str, *, readonly: bool = False, timeout: float = 10.0) -> None:
        self.path = Path(path)
        self.readonly, self.timeout = readonly, timeout
        # Connections do not survive a fork, so each process opens its own; those of a parent stay referenced here,
        # since closing them in a child would be its doing.
        self._opened: dict[int, Database] = {}
        self._database()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": {}}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        with self._database().use() as db:
            return int(db.execute("SELECT count(*) FROM kept").fetchone()[0])

    def __bool__(self) -> bool:
        """True: an empty store is a store, and ``if store`` must not ask the disk."""
        return True

    def __iter__(self) -> Iterator[Kept]:
        """All of them, oldest first, a few at a time."""
        last = 0
        while True:
            with self._database().use() as db:
                query = "SELECT * FROM kept WHERE id > ? ORDER BY id LIMIT ?"
                rows = db.execute(query, (last, _BATCH)).fetchall()
            if not rows:
                return
            last = rows[-1]["id"]
            yield from map(_kept, rows)

    def add(
        self,
        stamped: Stamped,
        *,
        rgb: NDArray[np.uint8] | None = None,
        request_id: str | None = None,
        run_id: str | None = None,
        title: str | None = None,
    ) -> Kept:
        """Keep the manifest of one image; see `Kept.of` for the arguments and `add_many` for errors."""
        kept = Kept.of(stamped, rgb=rgb, request_id=request_id, run_id=run_id, title=title)
        self.add_many([kept])
        return kept

    def add_many(self, rows: Iterable[Kept]) -> int:
        """Keep many, some hundred a transaction; what is there already is left as it is.

        Returns:
            How many were new.

        Raises:
            StoreError: the store cannot be written, or holds another manifest of the same name.
        """
        iterator, new = iter(rows), 0
        while batch := list(islice(iterator, _BATCH)):
            new += self._write(batch)
        return new

    def merge(self, other: ManifestStore) -> int:
        """Keep all that another store holds. Returns how many were new; raises as `add_many`."""
        return self.add_many(other)

    def get(self, manifest_id: str) -> Kept | None:
        """The manifest of this name."""
        found = self._query("SELECT * FROM kept WHERE manifest_id = ?", manifest_id)
        return found[0] if found else None

    def find(self, payload: bytes, algorithm: str) -> list[Kept]:
        """Manifests whose image carries this payload: usually one, more where the first bits of names agree."""
        return self._query("SELECT * FROM kept WHERE payload = ? AND algorithm = ? ORDER BY id", payload, algorithm)

    def near(self, phash: str, distance: int = 6, *, limit: int = 20) -> list[Kept]:
        """Manifests of pictures that look alike, nearest first: a hint for people, never evidence.

        Pictures of one model differ by 4 bits and more, and a crop of the same picture by up to 36.

        Args:
            phash: of the picture, 16 hexadecimal digits.
            distance: bits that may differ.
            limit: of the list.
        """
        wanted = np.uint64(int(phash, 16))
        found: list[tuple[int, int]] = []
        with self._database().use() as db:
            cursor = db.execute("SELECT phash, id FROM kept INDEXED BY by_phash")
            while rows := cursor.fetchmany(20_000):
                table = np.array(rows, dtype=np.int64)
                apart = np.bitwise_count(table[:, 0].view(np.uint64) ^ wanted)
                close = apart <= distance
                found += zip(apart[close].tolist(), table[close, 1].tolist(), strict=True)
        nearest = sorted(found)[:limit]
        return [kept for _, row in nearest for kept in self._query("SELECT * FROM kept WHERE id = ?", row)]

    def close(self) -> None:
        """Close this process's connection; the next call opens another."""
        if opened := self._opened.pop(os.getpid(), None):
            opened.close()

    def _write(self, batch: list[Kept]) -> int:
        new = 0
        with self._database().transaction() as db:
            for kept in batch:
                added = db.execute(_ADD, _row(kept)).rowcount
                new += added
                if not added:
                    self._must_be_same(db, kept)
        return new

    def _must_be_same(self, db: sqlite3.Connection, kept: Kept) -> None:
        query = "SELECT manifest_sha256 FROM kept WHERE manifest_id = ?"
        if db.execute(query, (kept.manifest_id,)).fetchone()["manifest_sha256"] != kept.manifest_sha256:
            hint = "names of manifests are never used twice: one of the two was made up"
            raise StoreError(f"another manifest is kept as {kept.manifest_id}", where=str(self.path), hint=hint)

    def _query(self, query: str, *values: object) -> list[Kept]:
        with self._database().use() as db:
            return [_kept(row) for row in db.execute(query, values).fetchall()]

    def _database(self) -> Database:
        process = os.getpid()
        if process not in self._opened:
            made = Database(self.path, readonly=self.readonly, timeout=self.timeout)
            if self._opened.setdefault(process, made) is not made:  # another thread was faster
                made.close()
        return self._opened[process]


def _row(kept: Kept) -> dict[str, object]:
    """As in the table: hashes of 64 bits as signed integers, payloads as bytes."""
    values = {each.name: getattr(kept, each.name) for each in fields(kept)}
    values["phash"] = int(np.uint64(int(kept.phash, 16)).astype(np.int64))
    values["payload"] = None if kept.payload is None else bytes.fromhex(kept.payload)
    return values


def _kept(row: sqlite3.Row) -> Kept:
    values: dict[str, Any] = {each.name: row[each.name] for each in fields(Kept)}
    values["phash"] = f"{values['phash'] & _ALL_BITS:016x}"
    values["payload"] = None if values["payload"] is None else values["payload"].hex()
    return Kept(**values)
