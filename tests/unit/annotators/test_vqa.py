# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

from audit.annotators.vqa import VqaAnnotator, plain
from audit.errors import AnnotatorError, ConfigError
from tests.asking import record
from tests.checkpoints import save_llava

QUESTIONS = {"presentation": {"ask": "a photo", "answers": {"feminine": ["woman"], "masculine": ["man", "gentleman"]}}}
SAID = {
    "vilt": ["woman", "man", "cat"],
    "blip": ["woman", "man", "the nurse"],
    "llava": ["woman", "man", "the nurse"],
}


@pytest.fixture(scope="module", params=sorted(SAID))
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def mute(tmp_path_factory):
    """A model without a chat template."""
    return save_llava(tmp_path_factory.mktemp("mute"), template=False)


def test_answers_that_are_declared_stand_for_groups_and_others_for_none(tiny, kind, shades):
    columns = VqaAnnotator(model=str(tiny(kind)), questions=QUESTIONS, device="cpu").annotate(shades)
    assert columns["presentation_said"].tolist() == SAID[kind]
    assert columns["presentation"].tolist() == ["feminine", "masculine", "could not tell"]


def test_more_answers_can_be_declared(tiny, shades):
    answers = {"feminine": ["Woman."], "masculine": ["man"], "other": ["The nurse!"]}
    asked = {"presentation": {"ask": "a photo", "answers": answers}}
    columns = VqaAnnotator(model=str(tiny("blip")), questions=asked).annotate(shades)
    assert columns["presentation"].tolist() == ["feminine", "masculine", "other"]


def test_answers_do_not_depend_on_company_order_or_chance(tiny, kind, shades):
    rng = np.random.default_rng(1)
    odd = [record(rng.integers(0, 256, shape, dtype=np.uint8)) for shape in ((1, 1, 3), (3, 7, 3), (90, 50, 3))]
    annotator = VqaAnnotator(model=str(tiny(kind)), questions=QUESTIONS, batch=2)
    images = [*shades, *odd]
    whole = annotator.annotate(images)["presentation_said"]
    torch.manual_seed(99)
    before = torch.random.get_rng_state()
    alone = [annotator.annotate([image])["presentation_said"][0] for image in reversed(images)]
    assert alone[::-1] == whole.tolist()
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_template_for_models_that_have_none(mute, shades):
    with pytest.raises(ConfigError, match="has no chat template") as caught:
        VqaAnnotator(model=str(mute), questions=QUESTIONS).annotate(shades)
    assert "{ask}" in caught.value.hint
    made = VqaAnnotator(model=str(mute), questions=QUESTIONS, template="<image> {ask}")
    assert made.annotate(shades)["presentation_said"].tolist() == SAID["llava"]


def test_answers_are_cut_at_the_limit(tiny, shades):
    short = VqaAnnotator(model=str(tiny("llava")), questions=QUESTIONS, max_tokens=1).annotate(shades)
    assert short["presentation_said"].tolist() == ["woman", "man", "the"]


def test_sampling_that_a_checkpoint_asks_for_is_not_done(tiny, tmp_path, shades):
    folder = shutil.copytree(tiny("llava"), tmp_path / "hot")
    raw = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps({**raw, "do_sample": True, "temperature": 50.0}))
    made = VqaAnnotator(model=str(folder), questions=QUESTIONS)
    assert made.annotate(shades)["presentation_said"].tolist() == SAID["llava"]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Female.", "female"),
        ("  THE  man\n", "the man"),
        ("70+", "70+"),
        ("10-19", "10-19"),
        ("“Frau”", "frau"),
        ("!", ""),
    ],
)
def test_upper_case_and_punctuation_do_not_matter(said, expected):
    assert plain(said) == expected


def test_part_of_an_answer_is_no_answer(tiny, shades):
    asked = {"presentation": {"ask": "a photo", "answers": {"feminine": ["woman"], "masculine": ["nurse"]}}}
    columns = VqaAnnotator(model=str(tiny("blip")), questions=asked).annotate(shades)
    assert columns["presentation"].tolist() == ["feminine", "could not tell", "could not tell"]


def test_spec(tiny, kind):
    def spec(**options):
        return VqaAnnotator(**{"model": str(tiny(kind)), "questions": QUESTIONS, **options}).spec

    assert set(spec().columns) == {"presentation", "presentation_said"}
    other = {"presentation": {**QUESTIONS["presentation"], "ask": "the photo"}}
    fewer = {"presentation": {"ask": "a photo", "answers": {"feminine": ["woman"], "masculine": ["man"]}}}
    digests = [spec(**change).digest for change in ({}, {"questions": other}, {"questions": fewer}, {"max_tokens": 3})]
    assert len(set(digests)) == 4
    assert spec(batch=1).digest == digests[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"question": {}}, "unknown option 'question'"),
        ({"questions": None}, "no attribute declared"),
        ({"questions": {"presentation": "woman?"}}, "needs exactly `ask` and `answers`"),
        ({"questions": {"presentation": {"ask": " ", "answers": {"a": "b", "c": "d"}}}}, "is no question"),
        (
            {"questions": {"glasses": {"ask": "any?", "answers": {"glasses": [True], "none": [False]}}}},
            "True is not text",
        ),
        ({"questions": {"x": {"ask": "a?", "answers": {"a": ["yes"], "b": ["Yes!"]}}}}, "does not stand for b alone"),
        ({"questions": {"x": {"ask": "a?", "answers": {"a": ["?"], "b": ["no"]}}}}, "does not stand for a alone"),
        ({"max_tokens": 1000}, "between 1 and 64"),
        ({"template": "what?"}, "no {ask}"),
    ],
)
def test_wrong_options(tiny, options, message):
    with pytest.raises(ConfigError, match=message):
        VqaAnnotator(**{"model": str(tiny("blip")), "questions": QUESTIONS, **options})


def test_models_that_answer_nothing(tiny, shades):
    with pytest.raises(AnnotatorError, match="cannot be loaded by AutoModelForImageTextToText"):
        VqaAnnotator(model=str(tiny("vit")), questions=QUESTIONS).annotate(shades)
    long = {"presentation": {**QUESTIONS["presentation"], "ask": "a photo " * 40}}
    with pytest.raises(AnnotatorError, match="the model fails on pictures of 40 x 48"):
        VqaAnnotator(model=str(tiny("vilt")), questions=long).annotate(shades)
