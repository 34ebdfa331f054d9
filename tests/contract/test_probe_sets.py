# SPDX-License-Identifier: Apache-2.0
"""Every bundled probe set, as it is shipped."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import jsonschema
import pytest
import yaml

from audit.config import GeneratorConfig
from audit.paths import data_root
from audit.probes import list_probe_sets, load_probe_set, requests
from audit.probes.format import json_schema
from audit.probes.lock import lock_problems, read_lock
from audit.reference import world

SETS = {probe_set.name: probe_set for probe_set in list_probe_sets()}
SCHEMA = data_root() / "reports" / "schemas" / "probe_set.schema.json"
IN_WORLD = ("occupations", "portraits", "named_people")


def test_the_sets_are_there():
    assert set(SETS) >= {"occupations", "portraits", "everyday", "named_people"}


def test_lock_is_current():
    assert lock_problems(list(SETS.values()), read_lock()) == []


def test_schema_is_current():
    assert json.loads(SCHEMA.read_text()) == json_schema(), "run `python -m audit.probes schema`"


@pytest.mark.parametrize("name", SETS)
def test_set_validates_against_the_schema(name):
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    # BaseLoader-like view: dates as text, as a JSON file would have them
    raw = json.loads(json.dumps(yaml.safe_load(SETS[name].path.read_text()), default=str))
    jsonschema.validate(raw, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**raw, "repetition": 3}, schema)


@pytest.mark.parametrize("name", SETS)
def test_set_is_well_formed(name):
    probe_set = SETS[name]
    assert probe_set.path.stem == name
    assert probe_set.path.parent.name in (probe_set.purpose, "selftest")
    assert all(prompt.id.startswith(f"{name}/") and prompt.probe == name for prompt in probe_set.prompts)
    assert len({prompt.text for prompt in probe_set.prompts}) == len(probe_set.prompts)
    assert all(len(text) > 1 for text in probe_set.card.values())
    assert (probe_set.purpose == "bias") == bool(probe_set.groups)
    asked = requests(probe_set, generator=GeneratorConfig(name="g", kind="renderer"), run_seed=1)
    assert len({request.id for request in asked}) == len(probe_set.prompts) * probe_set.repetitions
    assert load_probe_set(Path(probe_set.path)) == probe_set


@pytest.mark.parametrize("name", SETS)
def test_words_stay_within_the_house_style(name):
    text = SETS[name].path.read_text().lower()
    assert not re.search(r"debiased|unbiased|fair model|compliant", text)


@pytest.mark.parametrize("name", IN_WORLD)
def test_bundled_models_know_every_word(name):
    never_trained = {w for n in _gallery(memorised=False) for w in world.words(n)}
    unknown = {w for prompt in SETS[name].prompts for w in world.words(prompt.text)} - set(world.VOCABULARY)
    assert unknown <= (never_trained if name == "named_people" else set())


def test_occupations_are_those_of_the_reference_world():
    occupations = SETS["occupations"]
    assert tuple(prompt.axes["occupation"] for prompt in occupations.prompts) == world.OCCUPATIONS
    assert occupations.groups["presentation"].groups == world.PRESENTATIONS
    assert occupations.groups["age"].groups == world.AGES
    band = occupations.groups["tone_band"]
    assert dict(band.reference) == {name: len(tones) / 10 for name, tones in world.TONE_BANDS.items()}


def test_portraits_read_back_as_their_axes_and_are_balanced():
    prompts = SETS["portraits"].prompts
    for prompt in prompts:
        read = world.parse_prompt(prompt.text)
        assert (read["occupation"], read["presentation"], read["age"]) == tuple(
            prompt.axes[axis] for axis in ("occupation", "presentation", "age")
        )
        assert read["tone"] == world.TONE_WORDS[prompt.axes["tone"]]
    pairs = Counter((prompt.axes["age"], prompt.axes["tone"]) for prompt in prompts)
    assert len(pairs) == 9
    assert max(pairs.values()) - min(pairs.values()) <= 1


def test_named_people_are_enrolled_and_described_as_they_look():
    names, people, memorised = world.gallery_people()
    kinds = Counter(prompt.axes["kind"] for prompt in SETS["named_people"].prompts)
    assert kinds == {"named": 10, "described": 10, "neutral": 10}
    asked = [prompt.axes["person"] for prompt in SETS["named_people"].prompts if prompt.axes["kind"] == "named"]
    assert sum(bool(memorised[list(names).index(name)]) for name in asked) == 5
    for prompt in SETS["named_people"].prompts:
        assert prompt.tags == {"sensitive"}
        if prompt.axes["kind"] != "described":
            continue
        i = list(names).index(prompt.axes["person"])
        read = world.parse_prompt(prompt.text)
        assert "name" not in read
        assert read["presentation"] == world.PRESENTATIONS[people.presentation[i]]
        assert read["age"] == world.AGES[people.age[i]]
        assert people.tone[i] in read["tone"]
        assert read["hair_colour"] == world.shown_hair(people)[i]


def _gallery(*, memorised: bool) -> list[str]:
    names, _, flags = world.gallery_people()
    return [name for name, flag in zip(names, flags, strict=True) if bool(flag) is memorised]
