# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
import torch

from audit.annotators.aesthetic import AestheticAnnotator, Head
from audit.annotators.clip import ClipAnnotator
from audit.errors import AnnotatorError, ConfigError
from tests.asking import record


def published(width):
    """The module as published (christophschuhmann/improved-aesthetic-predictor, simple_inference.py), random."""
    from torch import nn

    torch.manual_seed(3)
    return nn.Sequential(
        nn.Linear(width, 1024),
        nn.Dropout(0.2),
        nn.Linear(1024, 128),
        nn.Dropout(0.2),
        nn.Linear(128, 64),
        nn.Dropout(0.1),
        nn.Linear(64, 16),
        nn.Linear(16, 1),
    ).eval()


def state_of(module):
    return {f"layers.{name}": tensor for name, tensor in module.state_dict().items()}


@pytest.fixture(scope="module", params=[".pth", ".safetensors"])
def head(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("head") / f"head{request.param}"
    if path.suffix == ".pth":
        torch.save(state_of(published(24)), path)
    else:
        from safetensors.torch import save_file

        save_file(state_of(published(24)), path)
    return path


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(4)
    return [record(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)) for _ in range(3)]


def test_folded_is_layer_by_layer():
    module = published(768).double()
    features = np.random.default_rng(0).normal(size=(50, 768))
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    with torch.inference_mode():
        expected = module(torch.from_numpy(unit)).numpy()[:, 0]
    folded = Head.folded({name: tensor.numpy() for name, tensor in state_of(module).items()})
    np.testing.assert_allclose(folded.scores(features), expected, atol=1e-10, rtol=0)
    assert folded.weight.shape == (768,)
    assert np.isnan(folded.scores(np.zeros((1, 768)))).all()


def test_scores_of_pictures(head, clip_folder, images):
    from transformers import CLIPImageProcessorPil, CLIPModel

    found = AestheticAnnotator(head=str(head), model=str(clip_folder), device="cpu").annotate(images)["score"]
    model = CLIPModel.from_pretrained(clip_folder).eval()
    pixels = CLIPImageProcessorPil.from_pretrained(clip_folder)([image.rgb for image in images], return_tensors="pt")
    with torch.inference_mode():
        seen = model.get_image_features(pixel_values=pixels["pixel_values"]).pooler_output
        expected = published(24)(torch.nn.functional.normalize(seen, dim=1)).numpy()[:, 0]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_picture_that_clip_has_seen_is_not_embedded_again(head, clip_folder, images, tmp_path, monkeypatch):
    monkeypatch.setenv("GENAUDIT_CACHE", str(tmp_path))
    ClipAnnotator(model=str(clip_folder), device="cpu").annotate(images)
    made = AestheticAnnotator(head=str(head), model=str(clip_folder), device="cpu")
    monkeypatch.setattr("audit.annotators._clip.DualEncoder.images", lambda *_: pytest.fail("embedded again"))
    assert np.isfinite(made.annotate(images)["score"]).all()


def test_digest_follows_head_and_model(head, clip_folder, tiny, tmp_path):
    other = tmp_path / "other.pth"
    torch.save({name: tensor + 1 for name, tensor in state_of(published(24)).items()}, other)
    digests = [
        AestheticAnnotator(head=str(file), model=str(folder)).spec.digest
        for file, folder in ((head, clip_folder), (other, clip_folder), (head, tiny("siglip")))
    ]
    assert len(set(digests)) == 3
    assert AestheticAnnotator(head=str(head), model=str(clip_folder), batch=1).spec.digest == digests[0]


def test_a_head_for_another_width(clip_folder, images, tmp_path):
    torch.save(state_of(published(768)), tmp_path / "head.pth")
    with pytest.raises(AnnotatorError, match="the head reads 768 features, the model gives 24"):
        AestheticAnnotator(head=str(tmp_path / "head.pth"), model=str(clip_folder)).annotate(images)


@pytest.mark.parametrize("spoiled", ["lacks a layer", "has one more", "two outputs", "no state at all", "code"])
def test_files_that_hold_no_head(clip_folder, images, tmp_path, spoiled):
    path, state = tmp_path / "head.pth", state_of(published(24))
    if spoiled == "lacks a layer":
        del state["layers.6.bias"]
    if spoiled == "has one more":
        state["layers.9.weight"] = torch.zeros(1, 1)
    if spoiled == "two outputs":
        state |= {"layers.7.weight": torch.zeros(2, 16), "layers.7.bias": torch.zeros(2)}
    if spoiled == "no state at all":
        path.write_bytes(b"<html>not found</html>")
    else:
        torch.save(pytest.raises if spoiled == "code" else state, path)  # a pickled function is never loaded
    with pytest.raises(AnnotatorError, match="holds no aesthetic head") as caught:
        AestheticAnnotator(head=str(path), model=str(clip_folder)).annotate(images)
    assert "sac+logos+ava1" in caught.value.hint


@pytest.mark.parametrize(
    ("options", "message"),
    [({}, "no head given"), ({"head": "/no/head.pth"}, "is not a file"), ({"heads": "x"}, "unknown option 'heads'")],
)
def test_wrong_options(clip_folder, options, message):
    with pytest.raises(ConfigError, match=message):
        AestheticAnnotator(**{"model": str(clip_folder), **options})
