# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from audit.features import FeatureStore, Identity, store_size
from audit.features.store import read_keys, write_keys

WHO = Identity("test", weights="00", kernel="none", scaling="none")


def key(k):
    return hashlib.sha256(str(k).encode()).hexdigest()


def rows(*ks, width=5):
    return np.array([np.arange(width) + 10 * k for k in ks], np.float32).reshape(len(ks), width)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "features"


@pytest.fixture
def store(root):
    return FeatureStore(WHO, root=root)


def parts(store):
    return sorted(store.folder.glob("part-*.rows"))


def test_what_is_put_is_found_by_another(store, root):
    store.put([key(1), key(2)], rows(1, 2))
    store.put([key(3)], rows(3))
    found, out = FeatureStore(WHO, root=root).get([key(3), key(9), key(1), key(3)])
    np.testing.assert_array_equal(found, [True, False, True, True])
    np.testing.assert_array_equal(out, rows(3, 1, 3))
    assert store.known() == {key(1), key(2), key(3)}


def test_nothing_is_known_at_first(store):
    found, out = store.get([key(1)])
    assert (found.tolist(), out.shape) == ([False], (0, 0))
    assert store.get([])[0].shape == (0,)
    assert store_size(store.folder.parent) == (0, 0)


def test_another_identity_knows_nothing(store, root):
    store.put([key(1)], rows(1))
    for other in (
        {"weights": "01"},
        {"kernel": "other"},
        {"scaling": "other"},
        {"dtype": "bfloat16"},
        {"device": "cuda"},
        {"settings": {"pool": "cls"}},
        {"libraries": {"torch": "1"}},
        {"extractor": "other"},
    ):
        assert FeatureStore(replace(WHO, **other), root=root).known() == set(), other


def test_the_manifest_says_what_made_the_rows(store):
    store.put([key(1)], rows(1))
    manifest = json.loads((store.folder / "manifest.json").read_text())
    assert manifest["extractor"] == "test"
    assert set(manifest["libraries"]) == {"torch", "Pillow"}


def test_only_what_is_missing_is_computed_once_each(store):
    asked = []

    def fn(images):
        asked.append(list(images))
        return rows(*images)

    names = [key(k) for k in (1, 2, 1, 3)]
    np.testing.assert_array_equal(store.embed([1, 2, 1, 3], names, fn), rows(1, 2, 1, 3))
    np.testing.assert_array_equal(store.embed([3, 4, 1], [key(k) for k in (3, 4, 1)], fn), rows(3, 4, 1))
    assert asked == [[1, 2, 3], [4]]
    assert store.embed([], [], fn, width=5).shape == (0, 5)


@pytest.mark.parametrize("damage", ["short", "empty", "noise", "gone"])
def test_an_unreadable_part_is_passed_over(store, root, damage):
    store.put([key(1)], rows(1))
    store.put([key(2)], rows(2))
    first = parts(store)[0]
    data = first.read_bytes()
    if damage == "gone":
        first.unlink()
    else:
        first.write_bytes({"short": data[:-3], "empty": b"", "noise": os.urandom(200)}[damage])
    fresh = FeatureStore(WHO, root=root)
    assert fresh.get([key(1), key(2)])[0].sum() == 1
    np.testing.assert_array_equal(fresh.embed([1, 2], [key(1), key(2)], lambda images: rows(*images)), rows(1, 2))
    assert FeatureStore(WHO, root=root).get([key(1), key(2)])[0].all()


def test_a_row_with_other_bytes_is_computed_again(store, root):
    store.put([key(1), key(2)], rows(1, 2))
    (path,) = parts(store)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1  # in the last row
    path.write_bytes(data)
    fresh = FeatureStore(WHO, root=root)
    assert fresh.get([key(1), key(2)])[0].tolist() == [True, False]
    np.testing.assert_array_equal(fresh.embed([2], [key(2)], lambda images: rows(*images)), rows(2))
    assert fresh.get([key(2)])[0].all()


def test_many_small_parts_are_put_together(store, root):
    for k in range(40):
        store.put([key(k), key(0)], rows(k, 0))
    assert len(parts(store)) < 32
    again = FeatureStore(WHO, root=root)
    found, out = again.get([key(k) for k in range(40)])
    assert found.all()
    np.testing.assert_array_equal(out, rows(*range(40)))
    # One that had read the parts before they were put together still knows everything.
    assert store.get([key(k) for k in range(40)])[0].all()


def test_processes_write_and_read_at_once(store, root):
    """Four processes put 40 rows each, the same ones among them, while parts are put together underneath."""
    code = """if True:
        import sys, hashlib, numpy as np
        from pathlib import Path
        from audit.features import FeatureStore, Identity
        who = Identity("test", weights="00", kernel="none", scaling="none")
        store, me = FeatureStore(who, root=Path(sys.argv[1])), int(sys.argv[2])
        for k in [*range(20), *range(100 * me, 100 * me + 20)]:
            key = hashlib.sha256(str(k).encode()).hexdigest()
            row = store.embed([k], [key], lambda ks: np.array([np.arange(5) + 10 * k for k in ks], np.float32))
            assert row[0, 0] == 10 * k
        """
    crew = [subprocess.Popen([sys.executable, "-c", code, str(root), str(me)]) for me in range(1, 5)]
    assert [worker.wait(timeout=60) for worker in crew] == [0, 0, 0, 0]
    expected = [*range(20), *(100 * me + k for me in range(1, 5) for k in range(20))]
    found, out = store.get([key(k) for k in expected])
    assert found.all()
    np.testing.assert_array_equal(out, rows(*expected))
    assert not list(root.rglob("*.tmp"))


def test_what_was_not_used_for_longest_goes_first(root):
    width = 2500  # 10 kB a row
    old, used, new = (FeatureStore(replace(WHO, extractor=name), root=root) for name in ("old", "used", "new"))
    for age, store in ((300, old), (200, used)):
        store.put([key(1)], rows(1, width=width))
        for path in parts(store):
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime - age))
    used.put([key(2)], rows(2, width=width))
    limited = FeatureStore(new._identity, limit_gb=3.6e-5, root=root)
    limited.put([key(1)], rows(1, width=width))
    size, extractors = store_size(root)
    assert size <= 36_000
    assert extractors == 2
    assert not old.folder.exists()
    assert limited.get([key(1)])[0].all()
    assert used.get([key(1), key(2)])[0].all()


def test_no_room_keeps_nothing(root):
    store = FeatureStore(WHO, limit_gb=0, root=root)
    np.testing.assert_array_equal(store.embed([1], [key(1)], lambda images: rows(*images)), rows(1))
    assert not root.exists()


def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(tmp_path):
    (tmp_path / "features").write_text("a file where the folder should be")
    store = FeatureStore(WHO, root=tmp_path / "features")
    np.testing.assert_array_equal(store.embed([1], [key(1)], lambda images: rows(*images)), rows(1))


def test_sets_of_pictures(root):
    assert read_keys("a" * 64, root) == []
    write_keys("a" * 64, [key(1), key(2)], root)
    assert read_keys("a" * 64, root) == [key(1), key(2)]
    (file,) = root.rglob("*.keys")
    file.write_bytes(file.read_bytes()[:-1])
    assert read_keys("a" * 64, root) == []
