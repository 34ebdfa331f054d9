# SPDX-License-Identifier: Apache-2.0
"""Models of other kinds than CLIP that embed pictures and texts in one space."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

from audit.annotators._clip import DualEncoder, cosine
from audit.annotators._pretrained import Pretrained
from audit.annotators.clip import ClipAnnotator
from audit.errors import AnnotatorError
from tests.asking import record
from tests.checkpoints import _VISION, _text_config, tokenizer

TEXTS = ["a portrait of a nurse", "the builder", "a man with glasses"]
WIDTHS = {"altclip": 24, "chinese_clip": 24, "clip": 24, "siglip": 32, "siglip2": 32}


def save_with_bert(folder, kind):
    """A random AltCLIPModel or ChineseCLIPModel: their texts are read by the first token."""
    from transformers import (
        AltCLIPConfig,
        AltCLIPModel,
        ChineseCLIPConfig,
        ChineseCLIPImageProcessorPil,
        ChineseCLIPModel,
        CLIPImageProcessorPil,
    )

    torch.manual_seed(13)
    vision = {**_VISION, "projection_dim": 24}
    if kind == "altclip":
        # Positions are numbered from behind the padding token: 17 places hold 16 tokens.
        text = _text_config(max_position_embeddings=17, project_dim=24, type_vocab_size=1)
        model = AltCLIPModel(AltCLIPConfig(text_config=text, vision_config=vision, projection_dim=24))
        processor = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=32)
    else:
        model = ChineseCLIPModel(ChineseCLIPConfig(text_config=_text_config(), vision_config=vision, projection_dim=24))
        processor = ChineseCLIPImageProcessorPil(size={"height": 32, "width": 32}, do_center_crop=False)
    model.save_pretrained(folder)
    tokenizer(length=10**9).save_pretrained(folder)  # as published: the limit stands in the model's configuration
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=sorted(WIDTHS))
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def folder(kind, tiny, tmp_path_factory):
    if kind in {"altclip", "chinese_clip"}:
        return save_with_bert(tmp_path_factory.mktemp(kind), kind)
    return tiny(kind)


def pictures(n, size=40):
    rng = np.random.default_rng(n)
    return [rng.integers(0, 256, (size, size, 3), dtype=np.uint8) for _ in range(n)]


def test_same_cosines_as_the_model_called_by_hand(kind, folder):
    from PIL import Image
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

    images = [record(rgb, text=text) for rgb, text in zip(pictures(3), TEXTS, strict=True)]
    columns = ClipAnnotator(model=str(folder), device="cpu", store_gb=0).annotate(images)
    model = AutoModel.from_pretrained(folder).eval()
    pixels = AutoImageProcessor.from_pretrained(folder, backend="pil")(
        [Image.fromarray(image.rgb) for image in images], return_tensors="pt"
    )
    tokens = AutoTokenizer.from_pretrained(folder)(TEXTS, padding="max_length", max_length=16, return_tensors="pt")
    mask = {} if "siglip" in kind else {"attention_mask": tokens["attention_mask"]}
    with torch.inference_mode():
        out = model(**pixels, input_ids=tokens["input_ids"], **mask)
    expected = torch.nn.functional.cosine_similarity(out.image_embeds, out.text_embeds).numpy()
    np.testing.assert_allclose(columns["similarity"], expected, atol=1e-6)
    unit = columns["features"] / np.linalg.norm(columns["features"], axis=1, keepdims=True)
    expected = torch.nn.functional.normalize(out.image_embeds, dim=1).numpy()
    np.testing.assert_allclose(unit, expected, atol=1e-6)
    assert np.abs(np.linalg.norm(columns["features"], axis=1) - 1).min() > 1e-3  # before normalisation


def test_width_is_known_before_weights_are_loaded(kind, folder):
    made = ClipAnnotator(model=str(folder), device="cpu")
    assert f"D = {WIDTHS[kind]}" in made.spec.columns["features"]
    assert made.annotate([])["features"].shape == (0, WIDTHS[kind])


def test_long_texts_are_cut_at_what_the_model_reads(kind, folder):
    if kind == "siglip2":
        pytest.skip("its tokenizer class does not split by the words of the small vocabulary")
    encoder = DualEncoder(Pretrained({"model": str(folder), "device": "cpu"}, where="here"))
    start = "a portrait of a nurse with glasses a portrait of a nurse with"
    fits = f"{start} glasses"  # 16 tokens: start, 14 words, end
    short, whole, cut = encoder.texts([start, fits, fits + " nurse" * 60])
    np.testing.assert_array_equal(whole, cut)
    assert np.abs(short - whole).max() > 1e-5
    encoder.refuse_longer([start, fits])
    with pytest.raises(AnnotatorError, match="a prompt has 17 tokens, the model reads 16"):
        encoder.refuse_longer([start, f"{fits} man"])


def test_a_text_is_embedded_once(folder):
    encoder = DualEncoder(Pretrained({"model": str(folder), "device": "cpu"}, where="here"))
    asked = []
    real = encoder._network.get_text_features
    encoder._network.get_text_features = lambda **inputs: asked.append(len(inputs["input_ids"])) or real(**inputs)
    many = encoder.texts(["the nurse", "the builder"] * 50)
    np.testing.assert_array_equal(encoder.texts(["the builder"])[0], many[1])
    assert asked == [2]


def test_fractions_are_refused_where_others_see_black(folder):
    fractions = pictures(1)[0].astype(np.float32) / 255
    encoder = DualEncoder(Pretrained({"model": str(folder)}, where="here"))
    with pytest.raises(AnnotatorError, match="a picture of float32, needs levels 0 to 255") as caught:
        encoder.images([fractions])
    assert "255" in caught.value.hint


def test_pictures_of_one_and_three_rows(folder):
    rng = np.random.default_rng(5)
    thin = [rng.integers(0, 256, (1, 9, 3), dtype=np.uint8), rng.integers(0, 256, (3, 3, 3), dtype=np.uint8)]
    encoder = DualEncoder(Pretrained({"model": str(folder)}, where="here"))
    assert np.isfinite(encoder.images(thin)).all()


def test_width_that_a_configuration_leaves_to_its_class(tiny, tmp_path):
    """Published SigLIP configurations hold what differs from the defaults only."""
    folder = shutil.copytree(tiny("siglip"), tmp_path / "siglip")
    (folder / "config.json").write_text(json.dumps({"model_type": "siglip", "vision_config": {"image_size": 384}}))
    assert "D = 768" in ClipAnnotator(model=str(folder)).spec.columns["features"]


def test_cosine_of_nothing_is_no_number():
    one = np.array([[3.0, 4.0], [0.0, 0.0], [1.0, 0.0]], np.float32)
    other = np.array([[4.0, 3.0], [1.0, 0.0], [-2.0, 0.0]], np.float32)
    np.testing.assert_allclose(cosine(one, other), [0.96, np.nan, -1.0])
