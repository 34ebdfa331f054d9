# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from audit.annotators.sscd import PUBLISHED, SscdAnnotator
from audit.errors import AnnotatorError, ConfigError
from tests.asking import record
from tests.extractors import save_inception, save_sscd


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GENAUDIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save_sscd(tmp_path_factory.mktemp("sscd") / "small.torchscript.pt")


def pictures():
    rng = np.random.default_rng(0)
    shapes = ((60, 60), (60, 90), (90, 60), (60, 60), (400, 300))
    return [rng.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in shapes]


def test_as_its_authors_use_it(weights):
    """README of sscd-copy-detection: Resize(288) (the shorter side, bilinear), ToTensor, Normalize; one at a time."""
    rgb = pictures()
    found = SscdAnnotator(weights=str(weights)).annotate([record(picture) for picture in rgb])["features"]
    net = torch.jit.load(str(weights))
    mean, spread = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    for row, picture in zip(found, rgb, strict=True):
        h, w = picture.shape[:2]
        size = (288 * w // h, 288) if h <= w else (288, 288 * h // w)  # Pillow: width, height
        small = torch.from_numpy(np.array(Image.fromarray(picture).resize(size, Image.BILINEAR))).permute(2, 0, 1) / 255
        with torch.inference_mode():
            expected = net(((small - mean[:, None, None]) / spread[:, None, None])[None])[0]
        np.testing.assert_allclose(row, expected.numpy(), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert found.dtype == np.float32


def test_identity(weights):
    made = SscdAnnotator(weights=str(weights))
    assert "pil_bilinear_uint8 to a side of 288" in made.spec.columns["features"]
    assert made.spec.digest != SscdAnnotator(weights=str(weights), size=320).spec.digest
    assert made.annotate([])["features"].shape == (0, 12)
    assert SscdAnnotator(weights=str(weights), reference={"n": 4}).references()["features.sscd"].shape == (4, 12)


def test_files_that_are_not_sscd(tmp_path):
    path = tmp_path / "x.pt"
    path.write_bytes(b"nothing")
    with pytest.raises(AnnotatorError, match="is no TorchScript file"):
        SscdAnnotator(weights=str(path)).annotate([record(pictures()[0])])
    with pytest.raises(AnnotatorError, match="is no TorchScript file"):
        SscdAnnotator(weights=str(save_inception(tmp_path / "net.pth"))).annotate([record(pictures()[0])])

    class Wrong(torch.nn.Module):
        def forward(self, x):
            return x

    torch.jit.trace(Wrong(), torch.zeros(1, 3, 8, 8)).save(str(path))
    with pytest.raises(AnnotatorError, match="not one row a picture"):
        SscdAnnotator(weights=str(path)).annotate([record(pictures()[0])])


def test_weights_that_are_not_there():
    with pytest.raises(AnnotatorError, match=r"sscd_disc_mixup\.torchscript\.pt is not in the cache") as caught:
        _ = SscdAnnotator(local_files_only=True).spec
    assert PUBLISHED[0] in caught.value.hint
    with pytest.raises(ConfigError, match="unknown option 'model'"):
        SscdAnnotator(model="x")
