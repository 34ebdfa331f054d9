# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from audit.annotators._references import Reference
from audit.errors import AnnotatorError, ConfigError
from audit.features import Extractor, FeatureStore, Identity

WHO = Identity("means", weights="", kernel="", scaling="")


def means(pictures):
    return np.stack([rgb.reshape(-1, 3).mean(axis=0) for rgb in pictures]).astype(np.float32)


@pytest.fixture
def embed(tmp_path, monkeypatch):
    """Features of a reference, and how many pictures were embedded for them."""
    monkeypatch.setenv("GENAUDIT_CACHE", str(tmp_path / "cache"))
    calls = []

    def run(reference, who=WHO):
        calls.clear()
        extractor = Extractor(who, 3, lambda pictures: calls.append(len(pictures)) or means(pictures))
        return reference.features(extractor, FeatureStore(who)), sum(calls)

    return run


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images" / "sub").mkdir(parents=True)
    for k, name in enumerate(("b.png", "a.png", "sub/c.png", "sub/d.png")):
        Image.new("RGB", (5, 5), (k, 10 * k, 100)).save(tmp_path / "images" / name)
    (tmp_path / "images" / "notes.txt").write_text("no picture")
    return tmp_path / "images"


def parse(images, **more):
    return Reference.parse({"images": str(images), **more}, where="test")


def test_a_folder_is_read_by_name_with_its_subfolders(embed, folder):
    rows, n = embed(parse(folder))
    np.testing.assert_array_equal(rows[:, 0], [1, 0, 2, 3])
    assert n == 4
    np.testing.assert_array_equal(embed(parse(folder, n=3))[0], rows[:3])
    assert embed(parse(folder, n=3))[1] == 0


def test_known_sets_are_not_decoded_again(embed, folder, monkeypatch):
    rows, _ = embed(parse(folder))
    monkeypatch.setattr("audit.images.decode", lambda data: pytest.fail("decoded"))
    again, n = embed(parse(folder))
    np.testing.assert_array_equal(again, rows)
    assert n == 0


def test_another_extractor_decodes_and_embeds(embed, folder):
    embed(parse(folder))
    assert embed(parse(folder), Identity("other", weights="", kernel="", scaling=""))[1] == 4


def test_a_picture_that_changed_is_another_set(embed, folder):
    before = parse(folder)
    digest = before.digest()
    embed(before)
    Image.new("RGB", (5, 5), (200, 0, 0)).save(folder / "a.png")
    after = parse(folder, n=1999)  # of the same n the digest is kept in memory as long as the process
    rows, n = embed(after)
    assert (rows[0, 0], n) == (200, 1)
    assert after.digest() != digest


def test_the_rendered_reference(embed):
    rows, n = embed(Reference(n=70))
    assert (rows.shape, n) == ((70, 3), 70)
    assert embed(Reference(n=80))[1] == 10
    assert Reference(n=70).digest() != Reference(n=80).digest()


def test_too_few(embed, tmp_path):
    (tmp_path / "none").mkdir()
    with pytest.raises(AnnotatorError, match="holds 0 images, at least 2 are needed"):
        embed(parse(tmp_path / "none"))


def test_statistics(tmp_path):
    np.savez(tmp_path / "fid.npz", mu=np.arange(3.0), sigma=2 * np.eye(3), n=np.array(50))
    found = parse(tmp_path / "fid.npz")
    assert found.is_statistics
    moments = found.statistics()
    assert (moments.n, moments.covariance[1, 1]) == (50, pytest.approx(2))
    assert len(found.digest()) == 64
    (tmp_path / "bad.npz").write_bytes(b"x")
    with pytest.raises(ConfigError, match="no reference statistics"):
        parse(tmp_path / "bad.npz").statistics()


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"images": "/no/where"}, "is not a folder"),
        ({"images": "/no/where.npz"}, "is not a file"),
        ({"n": 1}, "n must be at least 2"),
        ({"n": 0}, "n must be at least 2"),
        ({"count": 3}, "unknown option 'count'"),
    ],
)
def test_wrong_settings(raw, message):
    with pytest.raises(ConfigError, match=message):
        Reference.parse(raw, where="test")
