# SPDX-License-Identifier: Apache-2.0
"""The SQLite file under a manifest store: open it, make or check its tables, tell its errors in our words."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from audit.errors import StoreError

__all__ = ["Database"]

_KIND: Final = 0x67614D53  # "gaMS": says in the file's header what the file is
_VERSION: Final = 1
_SCHEMA: Final = (
    """CREATE TABLE kept (
    id INTEGER PRIMARY KEY, manifest_id TEXT NOT NULL UNIQUE, payload BLOB, algorithm TEXT, phash INTEGER NOT NULL,
    sketch BLOB NOT NULL, media_type TEXT NOT NULL, sha256 TEXT NOT NULL, width INTEGER NOT NULL,
    height INTEGER NOT NULL, request_id TEXT, run_id TEXT, title TEXT, kept_at TEXT NOT NULL,
    manifest_sha256 TEXT NOT NULL, manifest BLOB NOT NULL)""",
    "CREATE INDEX by_payload ON kept (payload, algorithm) WHERE payload IS NOT NULL",
    "CREATE INDEX by_phash ON kept (phash)",
    "CREATE TRIGGER never_changed BEFORE UPDATE ON kept BEGIN SELECT RAISE(ABORT, 'append only'); END",
    "CREATE TRIGGER never_deleted BEFORE DELETE ON kept BEGIN SELECT RAISE(ABORT, 'append only'); END",
    f"PRAGMA application_id = {_KIND}",
    f"PRAGMA user_version = {_VERSION}",
)
_LOCKED: Final = ("it is locked by another process", "try again; keep the store on a local disk")
_CLOSED: Final = ("it cannot be opened", "check the path and its permissions")
_WORDS: Final = {
    "SQLITE_BUSY": _LOCKED,
    "SQLITE_LOCKED": _LOCKED,
    "SQLITE_FULL": ("the disk is full", "make room and do the same again; what was kept before is safe"),
    "SQLITE_IOERR": ("the disk fails", "look at its room and health; what was kept before is safe"),
    "SQLITE_READONLY": ("it cannot be written", "check the permissions of the file and its folder"),
    "SQLITE_CANTOPEN": _CLOSED,
    "SQLITE_PERM": _CLOSED,
    "SQLITE_NOTADB": ("this is no manifest store", "give a file that --store or a run made"),
    "SQLITE_CORRUPT": ("the file is damaged", "restore a copy"),
}
_PAUSE: Final = 0.02  # seconds


class Database:
    """One connection, shared by the threads of one process, which take turns.

    Raises:
        StoreError: as `audit.provenance.store.ManifestStore`.
    """

    def __init__(self, path: Path, *, readonly: bool, timeout: float) -> None:
        self.path, self._lock = path, threading.RLock()
        with _told(path):
            self._db = _readable(path, timeout) if readonly else _writable(path, timeout)

    @contextmanager
    def use(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one thread at a time."""
        with self._lock, _told(self.path):
            yield self._db

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of the block's changes or none."""
        with self.use() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:  # a full disk has ended it already
                    db.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._db.close()


def _writable(path: Path, timeout: float) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # the log beside it takes the file's mode over
    except OSError as error:
        raise _error(path, f"it cannot be opened: {error.strerror}", _CLOSED[1]) from None
    db = _connect(f"{path.absolute().as_uri()}?mode=rw", timeout)
    try:
        _check(db, path, empty=True)
        if not _is_made(db):  # else nothing is written, so that nobody who writes is waited for
            _retry(lambda: db.execute("PRAGMA journal_mode = WAL"), timeout)
            _retry(lambda: _make(db), timeout)
        db.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        db.close()
        raise
    return db


def _readable(path: Path, timeout: float) -> sqlite3.Connection:
    if not path.is_file():
        raise _error(path, "there is no such file", "give a file that --store or a run made")
    address = path.absolute().as_uri()
    db = _connect(f"{address}?mode=ro", timeout)
    try:
        _check(db, path, empty=False)
    except sqlite3.OperationalError:
        db.close()
        # A log cannot be opened in a folder that cannot be written; without a log there is nothing in it to miss.
        if os.access(path.parent, os.W_OK) or path.with_name(f"{path.name}-wal").exists():
            raise
        db = _connect(f"{address}?immutable=1", timeout)
        _check(db, path, empty=False)
    return db


def _connect(address: str, timeout: float) -> sqlite3.Connection:
    db = sqlite3.connect(address, uri=True, timeout=timeout, isolation_level=None, check_same_thread=False)
    db.row_factory = sqlite3.Row
    return db


def _check(db: sqlite3.Connection, path: Path, *, empty: bool) -> None:
    """Whether this is a store that we know how to read, or ``empty`` and to become one."""
    kind = db.execute("PRAGMA application_id").fetchone()[0]
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if empty and kind == 0 and not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        return
    if kind != _KIND:
        raise _error(path, *_WORDS["SQLITE_NOTADB"])
    if version != _VERSION:
        raise _error(path, f"it is of version {version}, and this is version {_VERSION}", "use a later genaudit")


def _is_made(db: sqlite3.Connection) -> bool:
    return bool(db.execute("PRAGMA application_id").fetchone()[0] == _KIND)


def _make(db: sqlite3.Connection) -> None:
    """Make the tables in one transaction: of several processes one makes them, and the others find them."""
    db.execute("BEGIN IMMEDIATE")
    try:
        if not _is_made(db):
            for statement in _SCHEMA:
                db.execute(statement)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _retry(step: Callable[[], object], timeout: float) -> None:
    """SQLite does not wait by itself where two processes change the kind of log, or make the tables, at once."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        with suppress(sqlite3.OperationalError):
            step()
            return
        time.sleep(_PAUSE)
    step()


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        for start, (words, hint) in _WORDS.items():
            if name.startswith(start):
                raise _error(path, words, hint) from None
        raise _error(path, str(error), "this is unexpected: restore a copy, or start a new store") from None


def _error(path: Path, words: str, hint: str) -> StoreError:
    return StoreError(f"the manifest store cannot be used: {words}", where=str(path), hint=hint)
