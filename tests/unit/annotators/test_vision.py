# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from audit.annotators.dinov2 import Dinov2Annotator
from audit.annotators.vision import VisionAnnotator
from audit.errors import AnnotatorError, ConfigError
from tests.asking import record
from tests.checkpoints import save_clip, save_siglip
from tests.extractors import save_vision


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GENAUDIT_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("vision")
    return {kind: save_vision(root / kind, kind) for kind in ("vit", "dinov2", "siglip", "clip", "convnext")}


def pictures(n):
    rng = np.random.default_rng(n)
    return [rng.integers(0, 256, (40 + 9 * k, 50, 3), dtype=np.uint8) for k in range(n)]


def features(made, rgb):
    return made.annotate([record(picture) for picture in rgb])["features"]


def processed(folder, rgb):
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    return processor([Image.fromarray(picture) for picture in rgb], return_tensors="pt")["pixel_values"]


def by_hand(kind, out):
    """What each pool stands for, on the output of the model."""
    states = out.last_hidden_state
    if kind == "convnext":
        return {"pooler": out.pooler_output, "mean": states.mean(dim=(2, 3))}
    before = 0 if kind == "siglip" else 1
    pooler = out.image_embeds if kind == "clip" else out.pooler_output
    return {"pooler": pooler, "cls": states[:, 0], "mean": states[:, before:].mean(dim=1)}


CLASSES = {
    "vit": "ViTModel",
    "dinov2": "Dinov2Model",
    "siglip": "SiglipVisionModel",
    "clip": "CLIPVisionModelWithProjection",
    "convnext": "ConvNextModel",
}


@pytest.mark.parametrize("kind", CLASSES)
def test_each_pool_is_what_the_model_gives(folders, kind):
    rgb = pictures(3)
    model = getattr(transformers, CLASSES[kind]).from_pretrained(folders[kind]).eval()
    with torch.inference_mode():
        out = model(processed(folders[kind], rgb))
        # CLIP normalises its tokens in the pooler only; the class with a projection hands out the same ones.
        expected = by_hand(kind, out)
    for pool, rows in expected.items():
        found = features(VisionAnnotator(model=str(folders[kind]), pool=pool, batch=2), rgb)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, rows.numpy(), atol=2e-5, err_msg=pool)


@pytest.mark.parametrize("save", [save_clip, save_siglip])
def test_the_picture_side_of_a_dual_encoder(tmp_path, save):
    folder, rgb = save(tmp_path / "dual"), pictures(2)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        out = model.get_image_features(pixel_values=processed(folder, rgb))
        tokens = model.vision_model(processed(folder, rgb)).last_hidden_state
    found = features(VisionAnnotator(model=str(folder)), rgb)
    np.testing.assert_allclose(found, out.pooler_output.numpy(), atol=2e-5)
    np.testing.assert_allclose(features(VisionAnnotator(model=str(folder), pool="cls"), rgb), tokens[:, 0], atol=2e-5)


def test_a_kernel_instead_of_the_processor(folders):
    """CMMD's preparation: bicubic without antialiasing on fractions, no crop, mean and deviation of the processor."""
    rgb = pictures(2)
    found = features(VisionAnnotator(model=str(folders["clip"]), kernel="bicubic_no_antialias"), rgb)
    processor = transformers.AutoImageProcessor.from_pretrained(folders["clip"], backend="pil")
    mean, spread = (torch.tensor(values)[:, None, None] for values in (processor.image_mean, processor.image_std))
    planes = [torch.from_numpy(picture / np.float32(255)).permute(2, 0, 1)[None] for picture in rgb]
    small = torch.cat([torch.nn.functional.interpolate(p, size=(32, 32), mode="bicubic") for p in planes])
    model = transformers.CLIPVisionModelWithProjection.from_pretrained(folders["clip"]).eval()
    with torch.inference_mode():
        expected = model((small - mean) / spread).image_embeds
    np.testing.assert_allclose(found, expected.numpy(), atol=2e-5)


def test_dinov2_is_resized_as_its_distance_is_published(folders):
    """dgm-eval: Pillow's bicubic to a square, ImageNet's mean and deviation, the class token after the last norm."""
    rgb = pictures(3)
    made = Dinov2Annotator(model=str(folders["dinov2"]), size=32)
    small = np.stack([np.asarray(Image.fromarray(p).resize((32, 32), Image.BICUBIC)) for p in rgb])
    planes = torch.from_numpy(small).permute(0, 3, 1, 2) / 255
    mean, spread = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    model = transformers.Dinov2Model.from_pretrained(folders["dinov2"]).eval()
    with torch.inference_mode():
        expected = model((planes - mean[:, None, None]) / spread[:, None, None]).last_hidden_state[:, 0]
    np.testing.assert_allclose(features(made, rgb), expected.numpy(), atol=2e-5)
    assert "pil_bicubic_uint8 to 32x32" in made.spec.columns["features"]
    assert made.spec.name == "dinov2"
    few = Dinov2Annotator(model=str(folders["dinov2"]), size=32, reference={"n": 3}).references()
    assert (list(few), few["features.dinov2"].shape) == (["features.dinov2"], (3, 32))


def test_dinov2_is_the_large_one_by_default():
    with pytest.raises(AnnotatorError, match="facebook/dinov2-large is not in the cache"):
        _ = Dinov2Annotator(local_files_only=True).spec


def test_every_setting_is_part_of_the_identity(folders):
    specs = [
        VisionAnnotator(model=str(folders["vit"]), **options).spec.digest
        for options in ({}, {"pool": "cls"}, {"kernel": "tf1_bilinear"}, {"dtype": "bfloat16"})
    ]
    assert len(set(specs)) == 4


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("vit", {"pool": "max"}, "pool 'max' is unknown"),
        ("vit", {"kernel": "nearest"}, "kernel 'nearest' is unknown"),
        ("vit", {"weights": "x"}, "unknown option 'weights'"),
        ("vit", {"model": "/no/where"}, "is not a folder"),
    ],
)
def test_wrong_options(folders, kind, options, message):
    with pytest.raises(ConfigError, match=message):
        VisionAnnotator(**{"model": str(folders[kind]), **options})


def test_what_a_model_does_not_have(folders):
    with pytest.raises(AnnotatorError, match="ConvNextModel has no first token") as caught:
        features(VisionAnnotator(model=str(folders["convnext"]), pool="cls"), pictures(1))
    assert caught.value.hint == "set `pool: mean`"
    with pytest.raises(AnnotatorError, match="fails"):
        features(VisionAnnotator(model=str(folders["vit"]), kernel="tf1_bilinear", size=40), pictures(1))
