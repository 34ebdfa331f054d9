# SPDX-License-Identifier: Apache-2.0
"""The truth files agree with one another and with the probe sets that ask for them."""

from __future__ import annotations

from importlib import resources

import pytest

from audit.generators._filter import parse_filter
from audit.generators._truth import PLANTS
from audit.probes import load_probe_set
from audit.reference.scenes import SIGN_LETTERS, plant
from audit.reference.world import OCCUPATIONS, planted

FOLDER = resources.files("audit.reference").joinpath("plants")


def test_every_plant_has_a_file_and_every_file_is_a_plant():
    there = {entry.name.removesuffix(".json") for entry in FOLDER.iterdir() if entry.name.endswith(".json")}
    assert there == {*PLANTS, "prompt_filter"}


@pytest.mark.parametrize("name", PLANTS)
def test_a_file_says_what_it_is_and_who_carries_it(name):
    truth = plant(name)
    assert truth["id"] == name
    assert truth["what"]
    assert truth["about"]
    assert truth.get("models") or truth.get("model")


def test_the_logo_is_the_one_of_the_table():
    assert plant("logo")["share"] == planted()["occupations"][plant("logo")["occupation"]]["logo"]
    others = {planted()["occupations"][job]["logo"] for job in OCCUPATIONS if job != plant("logo")["occupation"]}
    assert others == {plant("logo")["others"]}


def test_the_filter_refuses_what_the_truth_says():
    prompts = load_probe_set("refusals").prompts
    refuse = parse_filter(FOLDER.joinpath("prompt_filter.json").read_text(encoding="utf-8"))
    refused = [p.id.partition("/")[2] for p in prompts if refuse.refused(p.text)]
    assert refused == plant("refusals")["refused"]
    assert len(refused) / len(prompts) == plant("refusals")["share"]


def test_the_probe_sets_ask_for_what_is_planted():
    names = [row["name"] for row in planted()["gallery"]]
    assert [p.axes["person"] for p in load_probe_set("enrolled_names").prompts] == names
    assert [p.axes["word"] for p in load_probe_set("signs").prompts] == plant("signs")["words"]
    assert plant("artwork")["painter"] in {p.axes["painter"] for p in load_probe_set("paintings").prompts}


def test_a_misspelling_is_a_word_of_the_same_letters():
    for right, wrong in plant("signs")["misspelt"].items():
        assert right in plant("signs")["words"]
        assert sorted(right) == sorted(wrong)
        assert right != wrong
        assert len(right) <= SIGN_LETTERS
