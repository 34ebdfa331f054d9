# SPDX-License-Identifier: Apache-2.0
"""Prompts are refused for whole words, whatever their case, and for nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.errors import GeneratorError
from audit.generators import DiffusersGenerator
from audit.generators._filter import PromptFilter, find_words, load_filter, parse_filter
from audit.types import Outcome
from tests.asking import ask, png

LETTERS = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=6)
FILTER = {"version": 1, "refuse": ["nurse", "very dark"], "message": "not {word}"}


@given(
    st.lists(LETTERS, max_size=8), st.lists(LETTERS, min_size=1, max_size=4), st.sampled_from([" ", ", ", "-", "_ "])
)
def test_a_word_is_found_exactly_when_it_is_one_of_the_words(prompt, listed, between):
    found = find_words(between.join(prompt).upper(), listed)
    assert found == next((word for word in listed if word in prompt), None)


@given(LETTERS, LETTERS, LETTERS)
def test_a_word_inside_a_longer_one_is_not_found(before, word, after):
    assert find_words(f"a {before}{word}{after} b", [word]) in (None, word)
    longer = before + word + after
    assert find_words(longer, [word]) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a chef with a knife", "knife"),
        ("a KNIFE, please", "knife"),
        ("a knife.", "knife"),
        ("ｋｎｉｆｅ", "knife"),
        ("the chef's knife-block", "knife"),
        ("a penknife and knives", None),
        ("Bare  feet", "bare feet"),
        ("bare-feet", "bare feet"),
        ("bare of feet", None),
        ("barefoot", None),
        ("", None),
    ],
)
def test_examples(text, found):
    assert find_words(text, ["knife", "bare feet"]) == found


def test_the_first_listed_word_is_named_in_the_message():
    answers = parse_filter(json.dumps(FILTER)).answers([ask("a very dark NURSE"), ask("a doctor")])
    assert [a.outcome for a in answers.values()] == [Outcome.REFUSED]
    assert next(iter(answers.values())).message == "not nurse"


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"version": 2, "refuse": [], "message": "x"}',
        '{"version": 1, "refuse": "knife", "message": "x"}',
        '{"version": 1, "refuse": ["?"], "message": "x"}',
        '{"version": 1, "refuse": ["knife"]}',
        '{"version": 1, "refuse": ["knife"], "message": " "}',
    ],
)
def test_a_broken_file_is_an_error_with_place_and_hint(tmp_path, content):
    (tmp_path / "prompt_filter.json").write_text(content)
    with pytest.raises(GeneratorError, match=r"prompt_filter\.json is no prompt filter") as caught:
        load_filter(tmp_path, where="generator 'g'")
    assert caught.value.where == "generator 'g'"
    assert "refuse" in caught.value.hint


def test_no_file_is_no_filter(tmp_path):
    assert load_filter(tmp_path, where="g") is None
    assert load_filter(None, where="g") is None


def test_it_travels_with_a_diffusion_checkpoint(sd, tmp_path):
    folder = Path(shutil.copytree(sd, tmp_path / "sd"))
    plain = DiffusersGenerator("sd", model=str(folder), params={"steps": 2}, options={"lanes": 2, "device": "cpu"})
    batch = [ask("a portrait of a nurse"), ask("a portrait of a builder"), ask("a very dark man")]
    before, digest = plain.generate(batch), plain.spec.digest
    (folder / "prompt_filter.json").write_text(json.dumps(FILTER))
    filtered = DiffusersGenerator("sd", model=str(folder), params={"steps": 2}, options={"lanes": 2, "device": "cpu"})
    answers = filtered.generate(batch)
    assert [a.outcome for a in answers] == [Outcome.REFUSED, Outcome.IMAGE, Outcome.REFUSED]
    assert [a.message for a in answers] == ["not nurse", None, "not very dark"]
    assert png(answers[1]) == png(before[1]), "the others are drawn as ever"
    assert filtered.spec.digest != digest, "another filter is another generator"


def test_a_filter_is_hashable_and_frozen():
    assert PromptFilter(("a",), "m") == PromptFilter(("a",), "m")
