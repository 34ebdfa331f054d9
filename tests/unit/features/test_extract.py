# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from audit.errors import AnnotatorError
from audit.features import Extractor, FeatureStore, Identity, Preparation, embed_files, embed_pictures
from audit.images import pixel_digest

WHO = Identity("mean", weights="00", kernel="pil_bicubic_clean to 8x8", scaling="none")


class Mean:
    """A network that is a mean over the picture, and remembers how many pictures it saw at once."""

    def __init__(self):
        self.saw = []

    def __call__(self, prepared):
        self.saw.append(len(prepared))
        return np.stack([planes.mean(axis=(1, 2)) for planes in prepared]).astype(np.float32)

    @property
    def extractor(self):
        return Extractor(WHO, 3, self, Preparation("pil_bicubic_clean", 8), batch=4)


@pytest.fixture
def mean():
    return Mean()


@pytest.fixture
def store(tmp_path):
    return FeatureStore(WHO, root=tmp_path / "features")


def pictures(n, start=0):
    return [np.random.default_rng(k).integers(0, 256, (9, 11, 3), dtype=np.uint8) for k in range(start, start + n)]


def expected(images):
    prepare = Preparation("pil_bicubic_clean", 8)
    return np.array([prepare(rgb).mean(axis=(1, 2)) for rgb in images], np.float32)


def save(images, folder):
    folder.mkdir()
    paths = [folder / f"{k:03d}.png" for k in range(len(images))]
    for path, rgb in zip(paths, images, strict=True):
        Image.fromarray(rgb).save(path)
    return paths


def test_pictures_in_memory(mean, store):
    images = pictures(10)
    images.append(images[0])
    np.testing.assert_allclose(embed_pictures(mean.extractor, images, store), expected(images), rtol=1e-6)
    assert mean.saw == [4, 4, 2]
    embed_pictures(mean.extractor, pictures(12), store)
    assert mean.saw == [4, 4, 2, 2]
    assert embed_pictures(mean.extractor, [], store).shape == (0, 3)


@pytest.mark.parametrize("n", [5, 300])
def test_files(mean, store, tmp_path, n):
    images = pictures(n)
    images[3] = images[1]
    told = []
    paths = save(images, tmp_path / "images")
    keys, rows = embed_files(mean.extractor, paths, store, progress=lambda *at: told.append(at))
    np.testing.assert_allclose(rows, expected(images), rtol=1e-6)
    assert keys == [pixel_digest(rgb) for rgb in images]
    assert told[-1] == (n, n)
    assert sum(mean.saw) == n - 1
    # What is known is found by whoever asks, however it is stored.
    np.testing.assert_array_equal(embed_pictures(mean.extractor, images, store), rows)
    again = embed_files(mean.extractor, paths, FeatureStore(WHO, root=tmp_path / "features"))
    assert again[0] == keys
    np.testing.assert_array_equal(again[1], rows)
    assert sum(mean.saw) == n - 1


def test_files_without_a_store(mean, tmp_path):
    images = pictures(6)
    _, rows = embed_files(mean.extractor, save(images, tmp_path / "images"), FeatureStore(None))
    np.testing.assert_allclose(rows, expected(images), rtol=1e-6)
    assert embed_files(mean.extractor, [], FeatureStore(None))[1].shape == (0, 3)


def test_what_was_done_before_an_interrupt_is_kept(mean, store, tmp_path):
    images = pictures(300)
    paths = save(images, tmp_path / "images")

    def interrupt(done, _all):
        if done >= 280:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_files(mean.extractor, paths, store, progress=interrupt)
    assert len(store.known()) >= 256
    mean.saw.clear()
    np.testing.assert_allclose(embed_files(mean.extractor, paths, store)[1], expected(images), rtol=1e-6)
    assert sum(mean.saw) == 300 - 256


def test_a_damaged_row_of_a_known_set(mean, store, tmp_path):
    images = pictures(6)
    paths = save(images, tmp_path / "images")
    embed_files(mean.extractor, paths, store)
    (part,) = store.folder.glob("part-*")
    data = bytearray(part.read_bytes())
    data[-1] ^= 1
    part.write_bytes(data)
    fresh = FeatureStore(WHO, root=tmp_path / "features")
    np.testing.assert_allclose(embed_files(mean.extractor, paths, fresh)[1], expected(images), rtol=1e-6)


def test_a_file_that_is_no_picture(mean, store, tmp_path):
    paths = save(pictures(5), tmp_path / "images")
    paths[2].write_bytes(paths[2].read_bytes()[:40])
    with pytest.raises(AnnotatorError, match=r"002\.png: cannot be decoded") as caught:
        embed_files(mean.extractor, paths, store)
    assert caught.value.hint


def test_importing_loads_no_torch():
    code = "import sys, audit.features; assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
