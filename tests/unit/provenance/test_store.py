# SPDX-License-Identifier: Apache-2.0
"""The manifest store against what SQLite itself says, with real processes, threads, locks and a full disk."""

from __future__ import annotations

import hashlib
import os
import pickle
import sqlite3
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from audit.errors import StoreError
from audit.images import perceptual_hash
from audit.provenance.claim import Stamped
from audit.provenance.store import Kept, ManifestStore

ALGORITHM = "org.genaudit.spread.1"
RGB = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def stamped(number: int, *, payload: str | None = None, manifest: bytes | None = None) -> Stamped:
    return Stamped(
        data=f"file {number}".encode(),
        media_type="image/png",
        manifest_id=f"urn:c2pa:{number:08d}",
        manifest=manifest if manifest is not None else hashlib.sha256(str(number).encode()).digest() * 100,
        payload=f"{number:010x}" if payload is None else payload,
        watermark=ALGORITHM,
    )


def rows(start: int, end: int) -> list[Kept]:
    first = Kept.of(stamped(0), rgb=RGB)
    made = []
    for i in range(start, end):
        one = stamped(i)
        same = {"manifest_id": one.manifest_id, "payload": one.payload, "manifest": one.manifest}
        digests = {
            "manifest_sha256": hashlib.sha256(one.manifest).hexdigest(),
            "phash": hashlib.sha256(b"%d" % i).hexdigest()[:16],
        }
        made.append(replace(first, **same, **digests, kept_at="2026-11-22T06:00:00Z"))
    return made


def test_what_is_kept_comes_back(tmp_path) -> None:
    when = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
    made = Kept.of(stamped(7), rgb=RGB, request_id="r-1", run_id="run", title="t", when=when)
    with ManifestStore(tmp_path / "new" / "m.sqlite") as store:
        assert store.add_many([made]) == 1
        assert store.find(bytes.fromhex("0000000007"), ALGORITHM) == [made]
        assert store.find(bytes.fromhex("0000000007"), "com.example.other") == []
        assert store.get("urn:c2pa:00000007") == made
        assert store.get("urn:c2pa:00000008") is None
        assert (len(store), list(store)) == (1, [made])
    assert (made.width, made.height, made.media_type) == (64, 48, "image/png")
    assert made.sha256 == hashlib.sha256(b"file 7").hexdigest()
    assert (made.kept_at, made.intact) == ("2026-11-22T06:00:00Z", True)


def test_pixels_are_decoded_where_they_are_not_at_hand(tmp_path, stamper, claim, encode) -> None:
    from audit.images import decode

    signed = stamper.stamp(encode(), claim)
    with ManifestStore(tmp_path / "m.sqlite") as store:
        kept = store.add(signed, request_id=claim.request_id)
        assert kept == Kept.of(signed, rgb=decode(signed.data), request_id="r-0001", when=_time(kept))
        assert store.get(signed.manifest_id) == kept
    assert kept.payload is None
    with pytest.raises(StoreError, match="decoded"):
        Kept.of(stamped(1))


def _time(kept: Kept) -> datetime:
    return datetime.fromisoformat(kept.kept_at)


def test_an_empty_store_is_a_store(tmp_path) -> None:
    with ManifestStore(tmp_path / "m.sqlite") as store:
        assert (bool(store), len(store), list(store)) == (True, 0, [])


def test_the_same_again_changes_nothing(tmp_path) -> None:
    with ManifestStore(tmp_path / "m.sqlite") as store:
        assert store.add_many(rows(0, 1200)) == 1200
        assert store.add_many(rows(0, 1201)) == 1
        assert len(store) == 1201
        assert [kept.manifest_id for kept in store] == [f"urn:c2pa:{i:08d}" for i in range(1201)]


def test_another_manifest_of_the_same_name_is_refused_and_takes_its_batch_back(tmp_path) -> None:
    with ManifestStore(tmp_path / "m.sqlite") as store:
        store.add_many(rows(0, 3))
        forged = Kept.of(stamped(1, manifest=b"made up"), rgb=RGB)
        with pytest.raises(StoreError, match="another manifest"):
            store.add_many([*rows(3, 5), forged])
        assert len(store) == 3
        assert store.get("urn:c2pa:00000001").intact


def test_two_images_may_share_a_payload(tmp_path) -> None:
    with ManifestStore(tmp_path / "m.sqlite") as store:
        store.add_many([Kept.of(stamped(i, payload="ff" * 5), rgb=RGB) for i in (2, 1)])
        found = store.find(b"\xff" * 5, ALGORITHM)
    assert [kept.manifest_id for kept in found] == ["urn:c2pa:00000002", "urn:c2pa:00000001"]


@pytest.mark.parametrize("change", ["UPDATE kept SET title = 'x'", "DELETE FROM kept"])
def test_nothing_is_changed_or_deleted(tmp_path, change) -> None:
    with ManifestStore(tmp_path / "m.sqlite") as store:
        store.add_many(rows(0, 2))
    other = sqlite3.connect(tmp_path / "m.sqlite")
    with pytest.raises(sqlite3.IntegrityError, match="append only"):
        other.execute(change)
    other.close()


def test_near_is_what_counting_bits_by_hand_finds(tmp_path) -> None:
    kept = rows(0, 500)
    with ManifestStore(tmp_path / "m.sqlite") as store:
        store.add_many(kept)
        wanted = kept[123].phash
        for distance in (0, 20, 26):
            apart = {k.manifest_id: (int(k.phash, 16) ^ int(wanted, 16)).bit_count() for k in kept}
            expected = sorted(n for n in apart.values() if n <= distance)
            found = store.near(wanted, distance, limit=1000)
            assert [apart[k.manifest_id] for k in found] == expected
        assert len(store.near(wanted, 64, limit=7)) == 7
        assert store.near(wanted, 0)[0].manifest_id == kept[123].manifest_id


def test_the_hash_is_that_of_the_sketch(tmp_path) -> None:
    kept = Kept.of(stamped(1), rgb=RGB)
    grey = np.frombuffer(kept.sketch, np.uint8).reshape(32, 32)
    assert kept.phash == perceptual_hash(np.stack([grey] * 3, axis=-1))


def test_merge(tmp_path) -> None:
    with ManifestStore(tmp_path / "a.sqlite") as a, ManifestStore(tmp_path / "b.sqlite") as b:
        a.add_many(rows(0, 700))
        b.add_many(rows(500, 1300))
        assert a.merge(b) == 600
        assert a.merge(b) == 0
        assert {kept.manifest_id for kept in a} == {f"urn:c2pa:{i:08d}" for i in range(1300)}


def test_only_the_owner_can_read_it(tmp_path) -> None:
    old = os.umask(0)
    try:
        with ManifestStore(tmp_path / "m.sqlite") as store:
            store.add_many(rows(0, 1))
            made = sorted(tmp_path.iterdir())
            assert [path.name for path in made] == ["m.sqlite", "m.sqlite-shm", "m.sqlite-wal"]
            assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o600}
    finally:
        os.umask(old)


# -- files that are no store, and disks that fail --------------------------------------------------------------


@pytest.mark.parametrize("content", [b"hello, world\n" * 100, b"\x89PNG\r\n\x1a\n" + b"\0" * 2000])
@pytest.mark.parametrize("readonly", [False, True])
def test_a_file_of_another_kind_is_refused_and_left_alone(tmp_path, content, readonly) -> None:
    path = tmp_path / "m.sqlite"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="no manifest store"):
        ManifestStore(path, readonly=readonly)
    assert path.read_bytes() == content


def test_somebody_elses_database_is_refused_and_left_alone(tmp_path) -> None:
    path = tmp_path / "m.sqlite"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs (x)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="no manifest store"):
        ManifestStore(path)
    assert path.read_bytes() == before


def test_a_store_of_a_later_version_is_refused(tmp_path) -> None:
    path = tmp_path / "m.sqlite"
    ManifestStore(path).close()
    other = sqlite3.connect(path)
    other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(StoreError, match="version 99") as told:
        ManifestStore(path)
    assert "later" in (told.value.hint or "")


def test_reading_makes_nothing(tmp_path) -> None:
    with pytest.raises(StoreError, match="no such file"):
        ManifestStore(tmp_path / "m.sqlite", readonly=True)
    assert list(tmp_path.iterdir()) == []


def test_a_readonly_store_reads_and_refuses_to_write(tmp_path) -> None:
    path = tmp_path / "m.sqlite"
    with ManifestStore(path) as store:
        store.add_many(rows(0, 3))
        with ManifestStore(path, readonly=True) as reader:
            assert len(reader) == 3
            store.add_many(rows(3, 4))
            assert len(reader) == 4
            with pytest.raises(StoreError, match="cannot be written"):
                reader.add_many(rows(4, 5))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs a second user to be")
def test_a_store_in_a_folder_that_cannot_be_written_can_be_read(tmp_path) -> None:
    from audit.provenance import _database

    path = tmp_path / "m.sqlite"
    with ManifestStore(path) as store:
        store.add_many(rows(0, 3))
    path.chmod(0o644)
    nobody = 65534
    child = os.fork()
    if child == 0:  # another user: this folder is open to none but us
        code = 1
        try:
            os.chdir(tmp_path)
            tmp_path.chmod(0o555)
            for folder in tmp_path.parents[:3]:
                folder.chmod(0o755)
            try:
                os.setuid(nobody)
            except OSError:  # in a namespace without other users nobody is kept from writing
                os._exit(77)
            assert not os.access(tmp_path, os.W_OK)
            with _database.Database(path, readonly=True, timeout=1).use() as db:
                code = 0 if db.execute("SELECT count(*) FROM kept").fetchone()[0] == 3 else 2
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == 77:
        pytest.skip("there is no other user here")
    assert code == 0


def test_a_full_disk_is_told_and_loses_nothing(tmp_path) -> None:
    path = tmp_path / "m.sqlite"
    with ManifestStore(path) as store:
        store.add_many(rows(0, 10))
        with store._database().use() as db:  # the very answer of a full disk, from SQLite itself
            pages = db.execute("PRAGMA page_count").fetchone()[0]
            db.execute(f"PRAGMA max_page_count = {pages + 4}")
        with pytest.raises(StoreError, match="disk is full") as told:
            store.add_many(rows(10, 400))
        assert told.value.hint
        assert len(store) == 10
        with store._database().use() as db:
            db.execute("PRAGMA max_page_count = 1000000")
        assert store.add_many(rows(10, 400)) == 390


def test_a_limit_on_file_sizes_is_told(tmp_path) -> None:
    """The kernel's own refusal, in a process that may write 200 kB a file."""
    code = f"""
import resource, signal, sys
sys.path.insert(0, {str(Path.cwd())!r})
from audit.errors import StoreError
from tests.unit.provenance.test_store import rows, ManifestStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
store = ManifestStore({str(tmp_path / "m.sqlite")!r})
store.add_many(rows(0, 10))
try:
    store.add_many(rows(10, 500))
except StoreError as error:
    print(error.message, len(store))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert "the disk" in done.stdout, done.stderr
    assert done.stdout.split()[-1] == "10"


def test_a_lock_is_waited_for_and_then_told(tmp_path) -> None:
    path = tmp_path / "m.sqlite"
    store = ManifestStore(path, timeout=0.2)
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked"):
        store.add_many(rows(0, 1))
    assert len(store) == 0, "readers never wait"
    patient = ManifestStore(path, timeout=20)
    threading.Timer(0.3, lambda: other.execute("COMMIT")).start()
    assert patient.add_many(rows(0, 1)) == 1
    for each in (store, patient, other):
        each.close()


def test_a_changed_byte_of_a_manifest_is_noticed(tmp_path) -> None:
    path = tmp_path / "m.sqlite"
    with ManifestStore(path) as store:
        store.add_many(rows(0, 1))
    data = bytearray(path.read_bytes())
    at = data.find(rows(0, 1)[0].manifest[:64])
    data[at + 5] ^= 1
    path.write_bytes(data)
    with ManifestStore(path, readonly=True) as store:
        assert not store.get("urn:c2pa:00000000").intact


# -- at once ---------------------------------------------------------------------------------------------------


def test_threads_share_one(tmp_path) -> None:
    with ManifestStore(tmp_path / "m.sqlite") as store, ThreadPoolExecutor(8) as pool:
        done = pool.map(lambda i: store.add_many(rows(i * 20, i * 20 + 25)), range(16))
        assert sum(done) == 16 * 20 + 5
        assert len(store) == 16 * 20 + 5


def test_processes_share_one_from_the_first_moment(tmp_path) -> None:
    path = tmp_path / "m.sqlite"
    code = f"""
import sys
sys.path.insert(0, {str(Path.cwd())!r})
from tests.unit.provenance.test_store import rows, ManifestStore
me = int(sys.argv[1])
kept = rows(me * 40, me * 40 + 45)
input()
store = ManifestStore({str(path)!r})
for one in kept:
    store.add_many([one])
"""
    crew = [
        subprocess.Popen([sys.executable, "-c", code, str(i)], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for i in range(5)
    ]
    for process in crew:
        process.stdin.write("go\n")
        process.stdin.flush()
    errors = [process.communicate(timeout=120)[1] for process in crew]
    assert [process.returncode for process in crew] == [0] * 5, errors
    with ManifestStore(path) as store:
        assert len(store) == 5 * 40 + 5
        with store._database().use() as db:
            assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_it_survives_a_fork_and_a_pickle(tmp_path) -> None:
    store = ManifestStore(tmp_path / "m.sqlite")
    store.add_many(rows(0, 1))
    child = os.fork()
    if child == 0:
        os._exit(0 if store.add_many(rows(1, 2)) == 1 and len(store) == 2 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    copy = pickle.loads(pickle.dumps(store))
    assert [len(store), len(copy), copy.add_many(rows(2, 3)), len(store)] == [2, 2, 1, 3]
    store.close()
    copy.close()


def test_a_killed_writer_loses_nothing_that_was_kept(tmp_path) -> None:
    path = tmp_path / "m.sqlite"
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(Path.cwd())!r})
from tests.unit.provenance.test_store import rows, ManifestStore
store = ManifestStore({str(path)!r})
store.add_many(rows(0, 30))
with store._database().transaction() as db:
    db.execute("INSERT INTO kept SELECT NULL, 'urn:c2pa:x', payload, algorithm, phash, sketch, media_type, sha256, "
        "width, height, request_id, run_id, title, kept_at, manifest_sha256, manifest FROM kept LIMIT 1")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == -9
    with ManifestStore(path) as store:
        assert len(store) == 30
        assert store.add_many(rows(0, 31)) == 1
