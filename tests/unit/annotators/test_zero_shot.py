# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

from audit.annotators.zero_shot import ZeroShotAnnotator
from audit.checkpoints import reference_folder
from audit.errors import AnnotatorError, ConfigError
from audit.reference.world import PRESENTATIONS
from tests.asking import record

ATTRIBUTES = {"presentation": {"feminine": ["a photo of a woman"], "masculine": ["a photo of the man"]}}
OF_THE_WORLD = {
    "presentation": {
        "feminine": ["a portrait of a feminine person", "a portrait of a woman"],
        "masculine": ["a portrait of a masculine person", "a portrait of a man"],
    }
}


def pictures(n, size=40):
    rng = np.random.default_rng(n)
    return [record(rng.integers(0, 256, (size, size, 3), dtype=np.uint8)) for _ in range(n)]


def by_hand(folder, images, prompts):
    """Probabilities of prompts by the model's own forward pass."""
    from PIL import Image
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(folder).eval()
    pixels = AutoImageProcessor.from_pretrained(folder, backend="pil")(
        [Image.fromarray(image.rgb) for image in images], return_tensors="pt"
    )
    tokens = AutoTokenizer.from_pretrained(folder)(prompts, padding="max_length", max_length=16, return_tensors="pt")
    more = {} if "siglip" in model.config.model_type else {"attention_mask": tokens["attention_mask"]}
    with torch.inference_mode():
        out = model(**pixels, input_ids=tokens["input_ids"], **more)
    return out.logits_per_image.softmax(dim=1).numpy()


@pytest.mark.parametrize("kind", ["clip", "siglip", "siglip2"])
def test_same_probabilities_as_the_model_called_by_hand(tiny, kind):
    images = pictures(6)
    folder = tiny(kind)
    expected = by_hand(folder, images, ["a photo of a woman", "a photo of the man"])
    columns = ZeroShotAnnotator(model=str(folder), attributes=ATTRIBUTES, margin=0, device="cpu", batch=4).annotate(
        images
    )
    np.testing.assert_allclose(columns["presentation_p"], expected.max(axis=1), rtol=1e-5)
    assert columns["presentation"].tolist() == [("feminine", "masculine")[k] for k in expected.argmax(axis=1)]


def test_temperature_replaces_the_scale_of_the_model(tiny):
    images = pictures(4)
    p = by_hand(tiny("siglip"), images, ["a photo of a woman", "a photo of the man"])
    # Its logits are cosines (a scale of 1), so a temperature of 0.1 takes the tenth power.
    sharp = ZeroShotAnnotator(model=str(tiny("siglip")), attributes=ATTRIBUTES, temperature=0.1, margin=0)
    expected = (p**10 / (p**10).sum(axis=1, keepdims=True)).max(axis=1)
    np.testing.assert_allclose(sharp.annotate(images)["presentation_p"], expected, rtol=1e-4)


def test_prompts_of_a_group_are_averaged_as_unit_vectors(tiny):
    from transformers import AutoTokenizer, CLIPImageProcessorPil, CLIPModel

    prompts = {"feminine": ["a photo of a woman", "the woman"], "masculine": ["a man", "a photo of the man", "man"]}
    folder, images = tiny("clip"), pictures(3)
    found = ZeroShotAnnotator(model=str(folder), attributes={"presentation": prompts}, margin=0).annotate(images)
    model, words = CLIPModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    pixels = CLIPImageProcessorPil.from_pretrained(folder)([i.rgb for i in images], return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        means = []
        for texts in prompts.values():
            one = [model.get_text_features(**words([t], return_tensors="pt")).pooler_output for t in texts]
            means.append(torch.cat([v / v.norm() for v in one]).mean(0))
        matrix = torch.stack([m / m.norm() for m in means])
        seen = model.get_image_features(pixel_values=pixels).pooler_output
        p = (seen / seen.norm(dim=1, keepdim=True) @ matrix.T * model.logit_scale.exp()).softmax(1).numpy()
    np.testing.assert_allclose(found["presentation_p"], p.max(axis=1), rtol=1e-5)


def test_presentation_of_renders_is_told_as_often_as_was_counted(portraits, people):
    annotator = ZeroShotAnnotator(model="reference:clip", attributes=OF_THE_WORLD, margin=0, device="cpu")
    answers = annotator.annotate(portraits)["presentation"]
    right = np.mean(answers == np.array([PRESENTATIONS[k] for k in people.presentation], dtype=object))
    counts = np.array(json.loads((reference_folder("clip") / "operating.json").read_text())["presentation"]["counts"])
    counted = np.trace(counts) / counts.sum()  # 0.942, with single prompts and on degraded renders
    assert abs(right - counted) < 3.5 * np.sqrt(counted * (1 - counted) / len(portraits))


def test_below_the_margin_it_could_not_tell(portraits):
    free, strict = (
        ZeroShotAnnotator(model="reference:clip", attributes=OF_THE_WORLD, margin=margin).annotate(portraits[:60])
        for margin in (0, 0.9)
    )
    sure = free["presentation_p"] >= 0.9
    assert 0 < sure.sum() < 60
    assert (strict["presentation"] == np.where(sure, free["presentation"], "could not tell")).all()
    np.testing.assert_array_equal(strict["presentation_p"], free["presentation_p"])


def test_a_picture_of_nobody_is_no_answer(tiny):
    images = pictures(8)
    folder = tiny("clip")
    p = by_hand(folder, images, ["a photo of a woman", "a photo of the man", "the builder with glasses"])
    columns = ZeroShotAnnotator(
        model=str(folder), attributes=ATTRIBUTES, nobody=["the builder with glasses"], margin=0
    ).annotate(images)
    likeliest = p.argmax(axis=1)
    assert (likeliest == 2).any()
    assert columns["presentation"].tolist() == [("feminine", "masculine", "could not tell")[k] for k in likeliest]
    np.testing.assert_array_equal(np.isnan(columns["presentation_p"]), likeliest == 2)


def test_several_attributes_and_the_spec(tiny):
    attributes = {**ATTRIBUTES, "glasses": {"glasses": "a photo with glasses", "none": "a photo"}}
    made = ZeroShotAnnotator(model=str(tiny("siglip")), attributes=attributes)
    assert list(made.spec.columns) == ["presentation", "presentation_p", "glasses", "glasses_p"]
    assert "could not tell" in made.spec.columns["glasses"]
    assert made.spec.operating == {}
    assert set(made.annotate(pictures(2))) == set(made.spec.columns)


def test_digest_follows_weights_prompts_margin_and_counts(tiny, tmp_path):
    def digest(**options):
        return ZeroShotAnnotator(**{"model": str(tiny("clip")), "attributes": ATTRIBUTES, **options}).spec.digest

    counts = tmp_path / "counts.csv"
    counts.write_text(
        "attribute,truth,answer,count\npresentation,feminine,feminine,9\npresentation,masculine,masculine,8\n"
    )
    other = {"presentation": {"feminine": ["a woman"], "masculine": ["a man"]}}
    changes = ({}, {"margin": 0.7}, {"attributes": other}, {"model": str(tiny("siglip"))}, {"nobody": "portrait"})
    digests = [digest(**change) for change in (*changes, {"operating": str(counts)})]
    assert len(set(digests)) == len(digests)
    assert digest() == digest(device="cpu", batch=2) == digests[0]


def test_prompts_that_are_one_to_the_model(tiny):
    same = {"presentation": {"feminine": ["a photo of a lady"], "masculine": ["a photo of a gentleman"]}}
    with pytest.raises(AnnotatorError, match="two groups' prompts are the same") as caught:
        ZeroShotAnnotator(model=str(tiny("clip")), attributes=same).annotate(pictures(1))
    assert "tokenizer" in caught.value.hint


def test_a_prompt_that_would_be_cut(tiny):
    long = {"presentation": {"feminine": ["a " * 30 + "woman"], "masculine": ["a man"]}}
    with pytest.raises(AnnotatorError, match="a prompt has 33 tokens, the model reads 16"):
        ZeroShotAnnotator(model=str(tiny("clip")), attributes=long).annotate(pictures(1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"modell": "x"}, "unknown option 'modell'"),
        ({"model": None}, "no model given"),
        ({"model": "/no/where"}, "is not a folder"),
        ({"attributes": None}, "no attribute declared"),
        ({"attributes": {"presentation": {"feminine": ["a woman"]}}}, "at least two groups"),
        ({"margin": 1.5}, "between 0 and 1"),
        ({"temperature": 0}, "above 0"),
        ({"dtype": "int8"}, "dtype 'int8' is unknown"),
        ({"operating": "/no/counts.json"}, "cannot be read"),
    ],
)
def test_wrong_options(tiny, options, message):
    with pytest.raises(ConfigError, match=message):
        _ = ZeroShotAnnotator(**{"model": str(tiny("clip")), "attributes": ATTRIBUTES, **options}).spec


def test_models_that_cannot_be_used(tiny, tmp_path):
    with pytest.raises(AnnotatorError, match="ViTModel, which has no image and text features"):
        ZeroShotAnnotator(model=str(tiny("vit")), attributes=ATTRIBUTES).annotate(pictures(1))
    folder = shutil.copytree(tiny("clip"), tmp_path / "pickled")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(AnnotatorError, match="no safetensors, and pickled weights are not read") as caught:
        ZeroShotAnnotator(model=str(folder), attributes=ATTRIBUTES).annotate(pictures(1))
    assert "safe_serialization" in caught.value.hint
    (tmp_path / "empty").mkdir()
    with pytest.raises(AnnotatorError, match="holds no model"):
        ZeroShotAnnotator(model=str(tmp_path / "empty"), attributes=ATTRIBUTES).annotate(pictures(1))


def test_code_of_a_checkpoint_is_never_run(tiny, tmp_path):
    folder = shutil.copytree(tiny("clip"), tmp_path / "own")
    config = json.loads((folder / "config.json").read_text())
    config.update(model_type="own", architectures=["OwnModel"], auto_map={"AutoConfig": "m.C", "AutoModel": "m.M"})
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "m.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(AnnotatorError, match="cannot be loaded by AutoModel"):
        ZeroShotAnnotator(model=str(folder), attributes=ATTRIBUTES).annotate(pictures(1))
    assert not (tmp_path / "ran").exists()


def test_hub_id_that_is_not_cached():
    made = ZeroShotAnnotator(model="some/siglip", revision="abc", local_files_only=True, attributes=ATTRIBUTES)
    with pytest.raises(AnnotatorError, match="some/siglip is not in the cache and cannot be downloaded") as caught:
        _ = made.spec
    assert "hf download some/siglip --revision abc" in caught.value.hint


def test_hub_id_in_the_cache(tiny, tmp_path, monkeypatch):
    """A cache as huggingface_hub lays it out, the other files of the repository aside."""
    import huggingface_hub.constants

    commit = "0123456789abcdef0123456789abcdef01234567"
    home = tmp_path / "models--some--siglip"
    folder = shutil.copytree(tiny("siglip"), home / "snapshots" / commit)
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(commit)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    made = ZeroShotAnnotator(model="some/siglip", local_files_only=True, attributes=ATTRIBUTES)
    here = ZeroShotAnnotator(model=str(tiny("siglip")), attributes=ATTRIBUTES)
    assert made.spec.digest == here.spec.digest
    assert made.spec.licence == "apache-2.0"
    pinned = ZeroShotAnnotator(model="some/siglip", revision=commit, local_files_only=True, attributes=ATTRIBUTES)
    np.testing.assert_array_equal(
        pinned.annotate(pictures(2))["presentation_p"], here.annotate(pictures(2))["presentation_p"]
    )
