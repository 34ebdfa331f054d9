# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
import torch

from audit.annotators.clip import ClipAnnotator
from audit.annotators.standard import CLIP, STANDARD
from audit.errors import AnnotatorError, ConfigError
from tests.asking import record
from tests.checkpoints import save_stable_diffusion


@pytest.fixture(scope="module")
def annotator(clip_folder):
    return ClipAnnotator(model=str(clip_folder), device="cpu", reference={"n": 10}, batch=4)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GENAUDIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


def pictures(n, size=40):
    rng = np.random.default_rng(n)
    return [rng.integers(0, 256, (size, size, 3), dtype=np.uint8) for _ in range(n)]


def test_same_numbers_as_the_model_called_by_hand(annotator, clip_folder):
    from PIL import Image
    from transformers import AutoTokenizer, CLIPImageProcessorPil, CLIPModel

    texts = ["a portrait of a nurse", "the builder", "a man with glasses"]
    images = [record(rgb, text=text) for rgb, text in zip(pictures(3), texts, strict=True)]
    columns = annotator.annotate(images)
    model = CLIPModel.from_pretrained(clip_folder).eval()
    pixels = CLIPImageProcessorPil.from_pretrained(clip_folder)(
        [Image.fromarray(image.rgb) for image in images], return_tensors="pt"
    )
    tokens = AutoTokenizer.from_pretrained(clip_folder)(texts, padding=True, return_tensors="pt")
    with torch.inference_mode():
        out = model(pixel_values=pixels["pixel_values"], **tokens)
    np.testing.assert_allclose(columns["similarity"], (out.image_embeds * out.text_embeds).sum(1).numpy(), atol=1e-6)
    unit = columns["features"] / np.linalg.norm(columns["features"], axis=1, keepdims=True)
    np.testing.assert_allclose(unit, out.image_embeds.numpy(), atol=1e-6)
    assert (columns["features"].dtype, columns["features"].shape) == (np.float32, (3, 24))
    assert "D = 24" in annotator.spec.columns["features"]


def test_long_texts_keep_their_end(annotator):
    rgb = pictures(1)[0]
    start = "a portrait of a nurse with glasses a portrait of a nurse with glasses the man"
    long, longer, other = (record(rgb, text=t) for t in (start, start + " builder" * 40, "woman " * 60))
    first, second, third = annotator.annotate([long, longer, other])["similarity"]
    assert first == second != third


def test_a_tokenizer_without_end_token_is_refused(annotator, clip_folder, tmp_path):
    import json
    import shutil

    folder = shutil.copytree(clip_folder, tmp_path / "clip")
    raw = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps({**raw, "post_processor": None}))
    with pytest.raises(AnnotatorError, match="no end token"):
        ClipAnnotator(model=str(folder)).annotate([record(pictures(1)[0])])


def test_empty_text_and_no_images(annotator):
    assert np.isfinite(annotator.annotate([record(pictures(1)[0], text="")])["similarity"]).all()
    columns = annotator.annotate([])
    assert columns["features"].shape == (0, 24)
    assert columns["similarity"].shape == (0,)


def test_reference_features_of_the_renderer_are_cached(clip_folder, cache, monkeypatch):
    made, again, third = (ClipAnnotator(model=str(clip_folder), reference={"n": 10}) for _ in range(3))
    features = made.references()["features.clip"]
    assert (features.shape, features.dtype) == ((10, 24), np.float32)
    monkeypatch.setattr(again, "_rows", lambda pictures: pytest.fail("computed again"))
    np.testing.assert_array_equal(again.references()["features.clip"], features)
    (file,) = cache.rglob("part-*.rows")
    file.write_bytes(file.read_bytes()[:100])
    np.testing.assert_array_equal(third.references()["features.clip"], features)


def test_outputs_and_reference_images_share_a_store(clip_folder, cache, tmp_path, monkeypatch):
    from PIL import Image

    (tmp_path / "reference").mkdir()
    (rgb,) = pictures(1)
    for name in ("a.png", "b.png"):
        Image.fromarray(rgb).save(tmp_path / "reference" / name)
    made = ClipAnnotator(model=str(clip_folder), reference={"images": str(tmp_path / "reference")})
    features = made.annotate([record(rgb)])["features"]
    again = ClipAnnotator(model=str(clip_folder), reference={"images": str(tmp_path / "reference")})
    monkeypatch.setattr(again, "_rows", lambda pictures: pytest.fail("computed again"))
    np.testing.assert_array_equal(again.references()["features.clip"], np.repeat(features, 2, axis=0))


def test_more_reference_people_begin_with_the_same_ones(annotator, clip_folder, cache):
    more = ClipAnnotator(model=str(clip_folder), reference={"n": 80})
    ten, first = annotator.references()["features.clip"], more.references()["features.clip"][:10]
    np.testing.assert_allclose(first, ten, atol=1e-5)
    assert more.reference_fingerprint() != annotator.reference_fingerprint()


def test_reference_features_of_a_folder(annotator, clip_folder, cache, tmp_path):
    from PIL import Image

    folder = tmp_path / "reference"
    (folder / "sub").mkdir(parents=True)
    images = pictures(3)
    for name, rgb in zip(("b.png", "a.png", "sub/c.png"), images, strict=True):
        Image.fromarray(rgb).save(folder / name)
    made = ClipAnnotator(model=str(clip_folder), reference={"images": str(folder), "n": 50})
    expected = annotator.annotate([record(images[k]) for k in (1, 0, 2)])["features"]
    np.testing.assert_allclose(made.references()["features.clip"], expected, atol=1e-5)
    (folder / "a.png").write_bytes((folder / "a.png").read_bytes()[:300])
    broken = ClipAnnotator(model=str(clip_folder), reference={"images": str(folder), "n": 49})
    with pytest.raises(AnnotatorError, match=r"a\.png: cannot be decoded"):
        broken.references()


def test_too_few_reference_images(clip_folder, cache, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(AnnotatorError, match="holds 0 images"):
        ClipAnnotator(model=str(clip_folder), reference={"images": str(tmp_path / "empty")}).references()


def test_no_reference(clip_folder):
    made = ClipAnnotator(model=str(clip_folder), reference=None)
    assert made.references() == {}
    assert made.reference_fingerprint() is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"modell": "x"}, "unknown option 'modell'"),
        ({"reference": {"images": "/no/where"}}, "is not a folder"),
        ({"reference": {"image": "x"}}, "unknown option 'image'"),
        ({"reference": {"n": 1}}, "at least 2"),
        ({"model": "/no/where"}, "is not a folder"),
    ],
)
def test_wrong_options(clip_folder, options, message):
    with pytest.raises(ConfigError, match=message):
        ClipAnnotator(**{"model": str(clip_folder), **options})


def test_a_checkpoint_of_another_class(tmp_path):
    folder = save_stable_diffusion(tmp_path / "sd")
    with pytest.raises(AnnotatorError, match="holds no model"):
        _ = ClipAnnotator(model=str(folder)).spec
    with pytest.raises(AnnotatorError, match="is a CLIPTextModel, which has no image and text features"):
        ClipAnnotator(model=str(folder / "text_encoder")).annotate([record(pictures(1)[0])])


def test_hub_id_that_is_not_cached():
    with pytest.raises(AnnotatorError, match="cannot be downloaded") as caught:
        _ = ClipAnnotator(model=CLIP.hub_id, local_files_only=True).spec
    assert f"hf download {CLIP.hub_id} --revision {CLIP.revision}" in caught.value.hint


def test_known_public_weights_are_checked(tmp_path):
    from audit.annotators._clip import _verify

    (tmp_path / "model.safetensors").write_bytes(b"other")
    with pytest.raises(AnnotatorError, match="has sha256 d9298a10"):
        _verify(tmp_path / "model.safetensors", CLIP.sha256, where="here")
    assert all(len(model.revision) == 40 and len(model.sha256) == 64 for model in STANDARD.values())
