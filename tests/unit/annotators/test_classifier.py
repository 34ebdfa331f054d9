# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

from audit.annotators.classifier import ClassifierAnnotator
from audit.errors import AnnotatorError, ConfigError
from audit.metrics.bias.representation_gap import METRIC
from audit.types import DeclaredGroups, Status, View
from tests.asking import record
from tests.checkpoints import save_vit

LABELS = {"presentation": {"feminine": ["female"], "masculine": "Male"}}
AGES = ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "70+")
#: Seven, two and nine labels in one head, as published face classifiers have them.
HEAD = (*(f"Group {k}" for k in range(7)), "Male", "Female", *AGES)


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    return save_vit(tmp_path_factory.mktemp("wide"), HEAD)


def logits(folder, images):
    from PIL import Image
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    model = AutoModelForImageClassification.from_pretrained(folder).eval()
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    pixels = processor([Image.fromarray(image.rgb) for image in images], return_tensors="pt")
    with torch.inference_mode():
        return model(**pixels).logits.double().numpy()


def noise(n):
    rng = np.random.default_rng(n)
    return [record(rng.integers(0, 256, (30 + k, 40, 3), dtype=np.uint8)) for k in range(n)]


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def test_what_it_learnt_it_says_and_other_labels_are_no_answer(tiny, shades):
    columns = ClassifierAnnotator(model=str(tiny("vit")), labels=LABELS, device="cpu").annotate(shades)
    assert columns["presentation"].tolist() == ["feminine", "masculine", "could not tell"]
    p = softmax(logits(tiny("vit"), shades))
    np.testing.assert_allclose(columns["presentation_p"][:2], p[[0, 1], [0, 1]], rtol=1e-5)
    assert np.isnan(columns["presentation_p"][2])


def test_labels_of_a_group_are_added_up(tiny, shades):
    pets = {"kind": {"people": ["FEMALE", "male"], "pets": ["cat"]}}
    columns = ClassifierAnnotator(model=str(tiny("vit")), labels=pets, margin=0).annotate([*shades, *noise(5)])
    p = softmax(logits(tiny("vit"), [*shades, *noise(5)]))
    people = p[:, 0] + p[:, 1]
    np.testing.assert_allclose(columns["kind_p"], np.maximum(people, 1 - people), rtol=1e-5)
    assert columns["kind"].tolist() == ["people" if share > 0.5 else "pets" for share in people]


def test_one_head_with_several_questions(wide):
    labels = {
        "presentation": {"feminine": ["Female"], "masculine": ["Male"]},
        "age": {"young": AGES[2:4], "middle-aged": AGES[4:7], "older": AGES[7:]},
    }
    images = noise(7)
    made = ClassifierAnnotator(
        model=str(wide), labels=labels, slices={"presentation": [7, 9], "age": [9, 18]}, margin=0, batch=3
    )
    columns = made.annotate(images)
    raw = logits(wide, images)
    sex, age = softmax(raw[:, 7:9]), softmax(raw[:, 9:])
    assert columns["presentation"].tolist() == [("masculine", "feminine")[k] for k in sex.argmax(axis=1)]
    np.testing.assert_allclose(columns["presentation_p"], sex.max(axis=1), rtol=1e-5)
    grouped = np.stack([age[:, 2:4].sum(1), age[:, 4:7].sum(1), age[:, 7:].sum(1)], axis=1)
    children = age[:, :2].sum(axis=1)  # stand for no declared group
    names = np.array(["young", "middle-aged", "older"], dtype=object)[grouped.argmax(axis=1)]
    assert columns["age"].tolist() == np.where(grouped.max(axis=1) > children, names, "could not tell").tolist()


def test_below_the_margin_it_could_not_tell(tiny):
    images = noise(12)
    free = ClassifierAnnotator(model=str(tiny("vit")), labels=LABELS, margin=0).annotate(images)
    margin = float(np.median(free["presentation_p"]))
    strict = ClassifierAnnotator(model=str(tiny("vit")), labels=LABELS, margin=margin).annotate(images)
    sure = free["presentation_p"] >= margin
    assert sure.sum() == 6
    assert (strict["presentation"] == np.where(sure, free["presentation"], "could not tell")).all()


def test_wrong_labels_are_known_before_the_first_image(tiny, wide):
    def make(folder, labels, **more):
        return ClassifierAnnotator(model=str(folder), labels=labels, **more)

    with pytest.raises(ConfigError, match="'femal' is no label of the model") as caught:
        make(tiny("vit"), {"presentation": {"feminine": ["femal"], "masculine": ["male"]}})
    assert caught.value.hint == "labels: Female, Male, Cat"
    with pytest.raises(ConfigError, match="'Cat' stands for both feminine and masculine"):
        make(tiny("vit"), {"presentation": {"feminine": ["female", "cat"], "masculine": ["male", "Cat"]}})
    with pytest.raises(ConfigError, match="'Male' is no label of the model"):
        make(wide, {"presentation": {"feminine": "20-29", "masculine": "Male"}}, slices={"presentation": [9, 18]})
    with pytest.raises(ConfigError, match="slice ends at 19, the model has 18 labels"):
        make(wide, LABELS, slices={"presentation": [7, 19]})


@pytest.mark.parametrize(
    ("slices", "message"),
    [
        ({"age": [0, 2]}, "no attribute 'age' is declared"),
        ({"presentation": [7]}, "is no slice"),
        ({"presentation": [8, 9]}, "is no slice"),
        ({"presentation": [-2, 2]}, "is no slice"),
        ({"presentation": ["7", 9]}, "is no slice"),
    ],
)
def test_wrong_slices(wide, slices, message):
    with pytest.raises(ConfigError, match=message):
        ClassifierAnnotator(model=str(wide), labels=LABELS, slices=slices)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"problem_type": "multi_label_classification"}, "yes or no to each label"),
        ({"id2label": None}, "names no labels"),
        ({"id2label": {"0": "score"}}, "names no labels"),
    ],
)
def test_heads_that_do_not_choose(tiny, tmp_path, change, message):
    folder = shutil.copytree(tiny("vit"), tmp_path / "net")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(AnnotatorError, match=message):
        ClassifierAnnotator(model=str(folder), labels=LABELS)


def test_a_model_of_another_kind(tiny):
    with pytest.raises(AnnotatorError, match="names no labels"):
        ClassifierAnnotator(model=str(tiny("blip")), labels=LABELS)
    with pytest.raises(ConfigError, match="unknown option 'label'"):
        ClassifierAnnotator(model=str(tiny("vit")), label=LABELS)


def gap(annotator, answers):
    """The representation gap of images with these answers, as a run computes it."""
    n = len(answers)
    columns = {
        "request_id": np.array([f"r{k}" for k in range(n)], dtype=object),
        "prompt_id": np.array(["p"] * n, dtype=object),
        "probe": np.array(["s"] * n, dtype=object),
        "outcome": np.array(["image"] * n, dtype=object),
        "classifier.presentation": np.array(answers, dtype=object),
    }
    groups = {
        "presentation": DeclaredGroups(
            "presentation", ("feminine", "masculine"), {"feminine": 0.5, "masculine": 0.5}, "x"
        )
    }
    operating = {f"classifier.{name}": table for name, table in annotator.spec.operating.items()}
    return METRIC(View("g", columns, groups=groups, operating=operating))


def test_counts_let_shares_be_corrected_and_without_them_there_is_no_number(tiny, tmp_path):
    answers = ["feminine"] * 60 + ["masculine"] * 40
    plain = gap(ClassifierAnnotator(model=str(tiny("vit")), labels=LABELS), answers)
    assert {estimate.status for estimate in plain} == {Status.UNAVAILABLE}
    assert "no instrument with operating characteristics" in plain[0].why
    file = tmp_path / "counts.csv"
    rows = [("feminine", "feminine", 900), ("feminine", "masculine", 100), ("masculine", "masculine", 800)]
    rows.append(("masculine", "feminine", 200))
    lines = [f"presentation,{truth},{answer},{count}" for truth, answer, count in rows]
    file.write_text("attribute,truth,answer,count\n" + "\n".join(lines))
    corrected = gap(ClassifierAnnotator(model=str(tiny("vit")), labels=LABELS, operating=str(file)), answers)
    by_group = {estimate.slice["group"]: estimate for estimate in corrected if "group" in estimate.slice}
    # Rogan and Gladen 1978: (0.6 - 0.2) / (0.9 + 0.8 - 1) = 0.5714, a gap of 0.0714 from one half.
    assert by_group["feminine"].value == pytest.approx(0.4 / 0.7 - 0.5, abs=1e-6)
    assert by_group["feminine"].low < by_group["feminine"].value < by_group["feminine"].high
