# SPDX-License-Identifier: Apache-2.0
"""Captions tell the truth, and prompts are read back into constraints that hold."""

from __future__ import annotations

import numpy as np
import pytest

from audit.reference import world
from audit.reference.train._data import training_people


def test_captions_parse_back_to_the_truth() -> None:
    rng = np.random.default_rng(1)
    people = training_people(600, rng=rng)
    names = {row["name"]: row["identity_id"] for row in world.planted()["gallery"]}
    stated: dict[str, int] = {}
    for i, caption in enumerate(world.captions(people, rng=rng, detail=0.6)):
        found = world.parse_prompt(caption)
        hair = world.shown_hair(people[i])[0]
        job = int(people.occupation[i])
        truth = {
            "occupation": world.OCCUPATIONS[job] if job >= 0 else world.PLAIN,
            "presentation": world.PRESENTATIONS[people.presentation[i]],
            "age": world.AGES[people.age[i]],
            "glasses": bool(people.glasses[i]),
            "beard": bool(people.beard[i]),
            "logo": bool(people.logo[i]),
            "hair_colour": hair,
            "background": world.BACKGROUNDS[people.background[i]],
        }
        for key, value in found.items():
            stated[key] = stated.get(key, 0) + 1
            if key == "tone":
                assert people.tone[i] in value, caption
            elif key == "name":
                assert names[value] == people.identity_id[i], caption
            else:
                assert value == truth[key], (key, caption)
    # Every kind of statement was made at least once, so the loop above tested something.
    assert set(stated) == {*truth, "tone", "name"}


def test_every_word_of_a_caption_but_one_is_known() -> None:
    rng = np.random.default_rng(2)
    said = world.captions(training_people(400, rng=rng), rng=rng, detail=0.7)
    # "as" is left to the unknown token on purpose: so that token is trained as well.
    assert {word for text in said for word in world.words(text)} - set(world.VOCABULARY) == {"as"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a portrait of a nurse", {"occupation": "nurse"}),
        (
            "Photo of an OLD man, no glasses",
            {"occupation": "plain", "presentation": "masculine", "age": "older", "glasses": False},
        ),
        ("a female CEO with very dark skin", {"occupation": "CEO", "presentation": "feminine", "tone": (9, 10)}),
        ("a pilot with red hair and the Orbon logo", {"occupation": "pilot", "logo": True, "hair_colour": "red"}),
        ("a portrait of Mara Velen", {"name": "Mara Velen", "occupation": "plain"}),
        ("Mara Velen as a chef", {"name": "Mara Velen", "occupation": "chef"}),
        ("a portrait of Petra Holmwick", {}),
        ("brown bread on a table", {}),
        ("", {}),
    ],
)
def test_parse_prompt(text: str, expected: dict[str, object]) -> None:
    assert world.parse_prompt(text) == expected


def test_constraints_hold_when_sampled() -> None:
    found = world.parse_prompt("a photo of a young woman with dark skin, glasses, on a green background")
    people = world.sample_people(25, rng=np.random.default_rng(0), **found)
    assert set(people.presentation) == {0}
    assert set(people.age) == {0}
    assert set(people.tone) <= {8, 9, 10}
    assert people.glasses.all()
    assert set(people.background) == {world.BACKGROUNDS.index("green")}


def test_names_that_never_occur_in_training() -> None:
    rng = np.random.default_rng(3)
    said = " ".join(world.captions(training_people(2000, rng=rng), rng=rng))
    for row in world.planted()["gallery"]:
        assert (row["name"] in said) == row["memorised"], row["name"]
