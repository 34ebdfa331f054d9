# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from audit.annotators._label_map import RACE_WORDS, choose, columns_of, groups_of, refuse_race
from audit.annotators.classifier import ClassifierAnnotator
from audit.annotators.vqa import VqaAnnotator
from audit.annotators.zero_shot import ZeroShotAnnotator
from audit.errors import ConfigError

NAN = float("nan")


@pytest.mark.parametrize(
    "name",
    ["race", "Race", "perceived_race", "perceivedRace", "race7", "apparent ethnicity", "ethnic-group", "racial_group"],
)
def test_race_is_refused_unless_it_is_asked_for(name):
    with pytest.raises(ConfigError, match="race and ethnicity cannot be read off a picture") as caught:
        refuse_race([name], allowed=False, where="annotator 'x'")
    assert "skin tone" in caught.value.hint
    assert "allow_race: true" in caught.value.hint
    refuse_race([name], allowed=True, where="annotator 'x'")


@pytest.mark.parametrize("word", sorted(RACE_WORDS))
def test_every_word_of_the_list_is_refused(word):
    with pytest.raises(ConfigError):
        refuse_race(["presentation", f"shown_{word}"], allowed=False, where="x")


def test_words_that_only_look_like_it_are_not():
    refuse_race(["embrace", "trace", "bracelet", "presentation", "tone_band", "terrace"], allowed=False, where="x")


def test_all_three_instruments_refuse_race(tiny):
    groups = {"a": ["woman"], "b": ["man"]}
    made = (
        (ZeroShotAnnotator, "clip", {"attributes": {"race": groups}}),
        (ClassifierAnnotator, "vit", {"labels": {"race": {"a": ["female"], "b": ["male"]}}}),
        (VqaAnnotator, "blip", {"questions": {"race": {"ask": "a photo", "answers": groups}}}),
    )
    for kind, folder, options in made:
        for more in ({}, {"allow_race": False}, {"allow_race": None}):
            with pytest.raises(ConfigError, match="'race' is not measured"):
                kind(model=str(tiny(folder)), **options, **more)
        assert "race" in kind(model=str(tiny(folder)), **options, allow_race=True).spec.columns


def test_groups():
    raw = {"glasses": {"glasses": "glasses", "none": ["bare ", "nothing"]}}
    assert groups_of(raw, where="x") == {"glasses": {"glasses": ("glasses",), "none": ("bare", "nothing")}}


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (None, "no attribute declared"),
        ({}, "no attribute declared"),
        ({"a.b": {"x": "1", "y": "2"}}, "'a.b' cannot name an attribute"),
        ({3: {"x": "1", "y": "2"}}, "3 cannot name an attribute"),
        ({"age": ["young", "old"]}, "at least two groups"),
        ({"age": {"young": [], "old": "old"}}, "no word stands for it"),
        ({"age": {"young": "young", "old": [70]}}, "70 is not text"),
        ({"age": {True: "young", "old": "old"}}, "True is not text"),
        ({"age": {"young": "young", "could not tell": "who knows"}}, "'could not tell' is the answer where"),
        ({"age": {"young": "Young", "old": ["old", "young"]}}, "'young' stands for both young and old"),
    ],
)
def test_wrong_groups(raw, message):
    with pytest.raises(ConfigError, match=message):
        groups_of(raw, where="x")


def test_columns_that_collide():
    assert list(columns_of(["age", "age_q"], {"_p": "p"}, where="x")) == ["age", "age_p", "age_q", "age_q_p"]
    with pytest.raises(ConfigError, match="two columns would be called 'age_p'"):
        columns_of(["age", "age_p"], {"_p": "p"}, where="x")


def test_the_likeliest_group_or_none():
    p = np.array([[0.7, 0.3], [0.55, 0.45], [0.1, 0.2], [0.0, 0.6]])
    answers, best = choose(p, ["a", "b"], other=np.array([0.0, 0.0, 0.7, 0.4]), margin=0.6)
    assert answers.tolist() == ["a", "could not tell", "could not tell", "b"]
    np.testing.assert_allclose(best, [0.7, 0.55, NAN, 0.6], rtol=1e-6)
