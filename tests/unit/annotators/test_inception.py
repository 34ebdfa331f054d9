# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from audit.annotators.inception import PUBLISHED, InceptionAnnotator
from audit.errors import AnnotatorError, ConfigError
from audit.features.inception import load
from audit.features.resize import KERNELS
from tests.asking import record
from tests.extractors import save_inception


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save_inception(tmp_path_factory.mktemp("inception") / "seeded.pth")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GENAUDIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "cache"


def pictures(n, size=40):
    return [np.random.default_rng(k).integers(0, 256, (size, size + 8, 3), dtype=np.uint8) for k in range(n)]


@pytest.mark.parametrize("kernel", ["pil_bicubic_clean", "tf1_bilinear"])
def test_the_network_called_by_hand(weights, cache, kernel):
    rgb = pictures(3)
    columns = InceptionAnnotator(weights=str(weights), kernel=kernel, batch=2).annotate([record(p) for p in rgb])
    levels = torch.from_numpy(np.stack([KERNELS[kernel](p, (299, 299)) for p in rgb]))
    with torch.inference_mode():
        features, logits = load(weights, where="test")(levels)
    np.testing.assert_allclose(columns["features"], features, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(columns["logits"], logits, rtol=1e-3, atol=1e-3)
    assert (columns["features"].shape, columns["logits"].shape) == ((3, 2048), (3, 1008))
    assert columns["features"].dtype == np.float32


def test_what_it_was_measured_with_is_said(weights, cache):
    clean = InceptionAnnotator(weights=str(weights))
    legacy = InceptionAnnotator(weights=str(weights), kernel="tf1_bilinear")
    assert "pil_bicubic_clean to 299x299" in clean.spec.columns["features"]
    assert "tf1_bilinear to 299x299" in legacy.spec.columns["logits"]
    assert clean.spec.digest != legacy.spec.digest
    assert clean.spec.licence is None  # these are not the published weights
    assert "weights of 2015-12-05" not in clean.spec.columns["features"]
    assert clean._extractor.identity.scaling.startswith("(x - 128) / 128")


def test_no_picture_is_embedded_twice(weights, cache, tmp_path, monkeypatch):
    folder = tmp_path / "reference"
    folder.mkdir()
    rgb = pictures(4)
    for k, picture in enumerate(rgb):
        Image.fromarray(picture).save(folder / f"{k}.png")
    options = {
        "weights": str(weights),
        "reference": {"images": str(folder)},
        "training": {"images": str(folder), "n": 2},
    }
    first = InceptionAnnotator(**options)
    columns = first.annotate([record(picture) for picture in rgb[:3]])
    found = first.references()
    assert set(found) == {"features.inception", "training_features.inception"}
    np.testing.assert_array_equal(found["features.inception"][:3], columns["features"])
    np.testing.assert_array_equal(found["training_features.inception"], columns["features"][:2])
    # A second process: neither decoded nor embedded, though the files are read to know that they are the same.
    second = InceptionAnnotator(**options)
    monkeypatch.setattr(second, "_rows", lambda prepared: pytest.fail("computed again"))
    monkeypatch.setattr("audit.images.decode", lambda data: pytest.fail("decoded again"))
    np.testing.assert_array_equal(second.references()["features.inception"], found["features.inception"])
    again = second.annotate([record(picture) for picture in rgb[:3]])
    np.testing.assert_array_equal(again["logits"], columns["logits"])


def test_published_statistics_in_place_of_images(weights, cache, tmp_path):
    path = tmp_path / "fid_stats.npz"
    np.savez(path, mu=np.arange(2048.0), sigma=np.eye(2048))
    made = InceptionAnnotator(weights=str(weights), reference={"images": str(path)})
    moments = made.references()["features.inception"]
    assert (moments.n, moments.mean[7], moments.covariance[3, 3]) == (None, 7, 1)
    before = made.reference_fingerprint()
    np.savez(tmp_path / "other.npz", mu=np.zeros(2048), sigma=np.eye(2048))
    other = InceptionAnnotator(weights=str(weights), reference={"images": str(tmp_path / "other.npz")})
    assert other.reference_fingerprint() != before


def test_statistics_of_another_width_are_not_handed_out(weights, cache, tmp_path):
    np.savez(tmp_path / "clip.npz", mu=np.zeros(768), sigma=np.eye(768))
    made = InceptionAnnotator(weights=str(weights), reference={"images": str(tmp_path / "clip.npz")})
    assert made.references() == {}
    assert made.reference_fingerprint()


def test_no_reference(weights, cache):
    made = InceptionAnnotator(weights=str(weights), reference=None)
    assert made.references() == {}
    assert made.reference_fingerprint() is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel": "lanczos"}, "kernel 'lanczos' is unknown"),
        ({"weights": "/no/where.pth"}, "is not a file"),
        ({"reference": {"images": "/no/where"}}, "is not a folder"),
        ({"reference": {"images": "/no/where.npz"}}, "is not a file"),
        ({"model": "x"}, "unknown option 'model'"),
    ],
)
def test_wrong_options(weights, options, message):
    with pytest.raises(ConfigError, match=message):
        _ = InceptionAnnotator(**{"weights": str(weights), **options}).spec


def test_training_images_are_no_statistics(weights, tmp_path):
    np.savez(tmp_path / "stats.npz", mu=np.zeros(2), sigma=np.eye(2))
    with pytest.raises(ConfigError, match="say nothing about single images"):
        InceptionAnnotator(weights=str(weights), training={"images": str(tmp_path / "stats.npz")})


def test_weights_that_are_not_there(cache):
    with pytest.raises(
        AnnotatorError, match=r"weights-inception-2015-12-05-6726825d\.pth is not in the cache"
    ) as caught:
        _ = InceptionAnnotator(local_files_only=True).spec
    assert f"curl -L -O {PUBLISHED[0]}" in caught.value.hint
