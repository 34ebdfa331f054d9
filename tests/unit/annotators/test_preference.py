# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from audit.annotators.preference import PreferenceAnnotator
from audit.errors import AnnotatorError, ConfigError
from tests.asking import record

TEXTS = ["a portrait of a nurse", "the builder", "a man with glasses"]
_PARTS = ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json", "processor_config.json")


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(2)
    return [record(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8), text=text) for text in TEXTS]


@pytest.fixture
def apart(clip_folder, tmp_path):
    """Weights without a processor, and the processor beside them, as PickScore is published."""
    weights = shutil.copytree(clip_folder, tmp_path / "weights")
    processor = tmp_path / "processor"
    processor.mkdir()
    for name in _PARTS:
        if (weights / name).is_file():
            shutil.move(weights / name, processor / name)
    return weights, processor


def test_the_score_is_the_logit_of_the_model(clip_folder, images):
    from transformers import AutoTokenizer, CLIPImageProcessorPil, CLIPModel

    found = PreferenceAnnotator(model=str(clip_folder), device="cpu").annotate(images)["score"]
    model = CLIPModel.from_pretrained(clip_folder).eval()
    pixels = CLIPImageProcessorPil.from_pretrained(clip_folder)([image.rgb for image in images], return_tensors="pt")
    tokens = AutoTokenizer.from_pretrained(clip_folder)(TEXTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        logits = model(pixel_values=pixels["pixel_values"], **tokens).logits_per_image
    np.testing.assert_allclose(found, logits.diagonal().numpy(), rtol=1e-5)
    assert model.logit_scale.exp().item() == pytest.approx(14.29, abs=0.01)  # so that a cosine would not pass


def test_a_processor_that_lies_elsewhere(apart, clip_folder, images):
    weights, processor = apart
    with pytest.raises(AnnotatorError, match="cannot be loaded by Auto"):
        PreferenceAnnotator(model=str(weights)).annotate(images)
    found = PreferenceAnnotator(model=str(weights), processor=str(processor), device="cpu").annotate(images)["score"]
    whole = PreferenceAnnotator(model=str(clip_folder), device="cpu").annotate(images)["score"]
    np.testing.assert_array_equal(found, whole)


def test_the_digest_follows_the_processor_and_not_the_weights_beside_it(apart, clip_folder):
    weights, processor = apart
    first = PreferenceAnnotator(model=str(weights), processor=str(processor)).spec.digest
    (processor / "model.safetensors").write_bytes(b"weights of the model that it was saved with")
    assert PreferenceAnnotator(model=str(weights), processor=str(processor)).spec.digest == first
    (processor / "tokenizer_config.json").write_text("{}")
    assert PreferenceAnnotator(model=str(weights), processor=str(processor)).spec.digest != first


def test_pick_score_comes_with_the_processor_of_its_base(clip_folder):
    with pytest.raises(AnnotatorError, match=r"laion/CLIP-ViT-H-14-laion2B-s32B-b79K is not in the cache") as caught:
        _ = PreferenceAnnotator(local_files_only=True).spec
    assert "hf download laion/CLIP-ViT-H-14" in caught.value.hint
    with pytest.raises(AnnotatorError, match=r"yuvalkirstain/PickScore_v1 is not in the cache"):
        _ = PreferenceAnnotator(local_files_only=True, processor=str(clip_folder)).spec


def test_a_model_without_a_learned_scale(tiny, images):
    annotator = PreferenceAnnotator(model=str(tiny("clip")))
    del annotator._encoder._network.logit_scale
    with pytest.raises(AnnotatorError, match="no logit scale"):
        annotator.annotate(images)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"procesor": "x"}, "did you mean|unknown option 'procesor'"),
        ({"processor": "/no/where"}, "is not a folder"),
        ({"operating": "x.csv"}, "unknown option 'operating'"),
    ],
)
def test_wrong_options(clip_folder, options, message):
    with pytest.raises(ConfigError, match=message):
        PreferenceAnnotator(**{"model": str(clip_folder), **options})
