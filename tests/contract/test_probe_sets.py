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
README = data_root() / "probes" / "README.md"
SCHEMA = data_root() / "reports" / "schemas" / "probe_set.schema.json"
IN_WORLD = ("occupations", "portraits", "named_people", "obedience_reference")
PAIRED = [name for name, probe_set in SETS.items() if probe_set.paired]
GENERATOR = GeneratorConfig(name="g", kind="renderer")


def test_the_sets_are_there():
    assert set(SETS) >= {"occupations", "portraits", "everyday", "named_people"}
    assert set(PAIRED) == {
        "occupations_8_languages",
        "occupations_forms",
        "pairs_age",
        "pairs_presentation",
        "pairs_status",
        "wordings_reference",
    }


def test_the_readme_lists_every_set_with_its_size():
    rows = re.findall(r"^\| `(\w+)/(\w+)` \| (\w+) \| (\d+) x (\d+) \|", README.read_text(), flags=re.MULTILINE)
    listed = {name: (folder, purpose, int(prompts), int(times)) for folder, name, purpose, prompts, times in rows}
    assert len(listed) == len(rows)
    assert listed == {
        name: (found.path.parent.name, found.purpose, len(found.prompts), found.repetitions)
        for name, found in SETS.items()
    }


def test_the_set_that_the_readme_shows_is_valid(tmp_path):
    shown = re.search(r"```yaml\n(.*?)```", README.read_text(), flags=re.DOTALL)
    assert shown
    (tmp_path / "cooks.yaml").write_text(shown[1])
    rows = "role,attribute,group,share,source,year\nchef,presentation,feminine,0.3,our staff,2026\n"
    (tmp_path / "cooks.csv").write_text(rows + "chef,presentation,masculine,0.7,our staff,2026\n")
    cooks = load_probe_set(tmp_path / "cooks.yaml")
    assert cooks.wordings == {"original": 2, "typos": 2, "paraphrase": 2}
    assert [prompt.text for prompt in cooks.prompts if prompt.meant is None] == [
        "a portrait of a chef",
        "a portrait of somebody cooking at home",
    ]
    assert cooks.groups["presentation"].others["staff survey"].rows["chef"].shares == {
        "feminine": 0.3,
        "masculine": 0.7,
    }


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
    asked = requests(probe_set, generator=GENERATOR, run_seed=1)
    assert len({request.id for request in asked}) == len(probe_set.prompts) * probe_set.repetitions
    assert load_probe_set(Path(probe_set.path)) == probe_set


@pytest.mark.parametrize("name", SETS)
def test_cards_are_complete(name):
    card = SETS[name].card
    assert set(card) == {"description", "source", "design", "limits", "language", "created"}
    assert all(len(card[part].split()) >= 5 for part in ("description", "design", "limits"))
    assert re.fullmatch(r"[a-z]{2,3}(-\w+)*", card["language"])
    assert SETS[name].licence == "CC0-1.0"


@pytest.mark.parametrize("name", PAIRED)
def test_prompts_of_a_pair_are_drawn_from_equal_seeds(name):
    probe_set = SETS[name]
    others = [axis for axis in probe_set.prompts[0].axes if axis not in probe_set.paired]
    arms = {tuple(prompt.axes[axis] for axis in probe_set.paired) for prompt in probe_set.prompts}
    seeds: dict[tuple[str, ...], list[int]] = {}
    for request in requests(probe_set, generator=GENERATOR, run_seed=7, repetitions=3):
        key = (*(request.prompt.axes[axis] for axis in others), str(request.repetition))
        seeds.setdefault(key, []).append(request.seed)
    assert all(len(found) == len(arms) for found in seeds.values()), "the design is complete"
    assert all(len(set(found)) == 1 for found in seeds.values())
    assert len({found[0] for found in seeds.values()}) == len(seeds)


@pytest.mark.parametrize("name", sorted(set(SETS) - set(PAIRED)))
def test_prompts_without_pairs_share_no_seed(name):
    asked = requests(SETS[name], generator=GENERATOR, run_seed=7, repetitions=3)
    assert len({request.seed for request in asked}) == len(asked)
    assert all(request.prompt.pair is None for request in asked)


@pytest.mark.parametrize("name", SETS)
def test_what_is_asked_for_is_a_declared_group_and_each_equally_often(name):
    for attribute, axis in SETS[name].asks.items():
        asked = Counter(prompt.axes[axis] for prompt in SETS[name].prompts if axis in prompt.axes)
        assert tuple(sorted(asked)) == tuple(sorted(SETS[name].groups[attribute].groups))
        assert len(set(asked.values())) == 1


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
