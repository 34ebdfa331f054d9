# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import numpy as np
import pytest

from audit.errors import ConfigError
from audit.metrics.bias.training import WORLD, load_training
from audit.probes import load_probe_set
from audit.reference.world import AGES, OCCUPATIONS, PRESENTATIONS, sample_people, tone_band

GROUPS = {"presentation": ("feminine", "masculine"), "age": ("young", "middle-aged", "older")}
HEAD = "occupation,attribute,group,share,n\n"
NURSE = HEAD + "nurse,presentation,feminine,0.8,200\nnurse,presentation,masculine,0.2,200\n"


@pytest.fixture
def load(tmp_path):
    def load(text, name="people.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return load_training(str(path), occupations=OCCUPATIONS, groups=GROUPS)

    return load


def test_a_table_and_a_list_say_the_same(load):
    table = load(NURSE)
    row = table.rows["nurse", "presentation"]
    assert (dict(row.shares), row.n) == ({"feminine": 0.8, "masculine": 0.2}, 200)
    common = {"occupation": "nurse", "attribute": "presentation", "n": 200}
    rows = [{**common, "group": "feminine", "share": 0.8}, {**common, "group": "masculine", "share": 0.2}]
    listed = load(json.dumps(rows), "people.json")
    assert listed.rows == table.rows
    assert listed.digest == table.digest
    assert load(NURSE.replace("200", "100")).digest != table.digest


def test_shares_without_n_are_exact_and_thirds_may_be_rounded(load):
    text = "occupation,attribute,group,share\n" + "".join(f"chef,age,{g},0.333\n" for g in GROUPS["age"])
    row = load(text).rows["chef", "age"]
    assert row.n is None
    assert list(row.shares.values()) == pytest.approx([1 / 3] * 3)


def test_the_planted_world_is_what_people_are_drawn_from():
    training, rng, n = load_training(WORLD, occupations=(), groups={}), np.random.default_rng(3), 4000
    for job in OCCUPATIONS:
        people = sample_people(n, rng=rng, occupation=job)
        seen = {
            "presentation": np.array(PRESENTATIONS)[people.presentation],
            "age": np.array(AGES)[people.age],
            "tone_band": np.array([tone_band(int(t)) for t in people.tone]),
            "tone": people.tone.astype(str),
        }
        for attribute, values in seen.items():
            shares = training.rows[job, attribute].shares
            assert sum(shares.values()) == pytest.approx(1)
            for group, share in shares.items():
                assert abs(np.mean(values == group) - share) < 5 * np.sqrt(share * (1 - share) / n) + 1e-9


def test_the_planted_world_has_all_that_the_bundled_set_asks():
    probe, training = load_probe_set("occupations"), load_training(WORLD, occupations=(), groups={})
    for prompt in probe.prompts:
        for attribute, declared in probe.groups.items():
            assert set(training.rows[prompt.axes["occupation"], attribute].shares) == set(declared.groups)


@pytest.mark.parametrize(
    ("text", "said", "line", "hint"),
    [
        (NURSE.replace("nurse,presentation,fem", "nurze,presentation,fem"), "unknown occupation 'nurze'", 2, "'nurse'"),
        (NURSE.replace("presentation,masc", "looks,masc"), "unknown attribute 'looks'", 3, "presentation"),
        (NURSE.replace("masculine", "masculin"), "unknown group of presentation 'masculin'", 3, "'masculine'"),
        (NURSE.replace("masculine", "feminine"), "'feminine' stands twice", 3, None),
        (NURSE.replace("0.8", "1.8"), "share", 2, "columns"),
        (NURSE.replace("0.8", "many"), "share", 2, "columns"),
        (NURSE.replace("0.8", ""), "share: Field required", 2, "columns"),
        (NURSE.replace("0.8,200", "0.8,200,why"), "unknown column", 2, "columns"),
        (NURSE.replace("group,share,n", "group,share,size"), "size: unknown column", 2, "columns"),
        (NURSE.replace("share,n", "share,share"), "same name", 1, None),
        (NURSE.replace("0.8", "0.7"), "sum to 0.9", None, "correct"),
        (NURSE.replace("0.2,200", "0.2,100"), "n differs", None, "sample"),
        (HEAD + "nurse,presentation,feminine,1,200\n", "no share of 'masculine'", None, "share 0"),
        (HEAD, "no rows", None, None),
    ],
)
def test_a_wrong_file_is_refused_with_place_and_hint(load, text, said, line, hint):
    with pytest.raises(ConfigError, match=said) as caught:
        load(text)
    assert caught.value.exit_code == 2
    assert caught.value.where.endswith(f"people.csv:{line}" if line else "people.csv")
    assert hint is None or hint in caught.value.hint


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("people.json", "{", "cannot be read"),
        ("people.json", "{}", "list of rows"),
        ("people.json", "[7]", "row 1"),
        ("people.json", '[{"occupation": "nurse"}]', "row 1"),
        ("people.txt", NURSE, "csv or .json"),
    ],
)
def test_other_files(load, name, text, said):
    with pytest.raises(ConfigError) as caught:
        load(text, name)
    assert said in str(caught.value)


def test_files_and_names_that_are_not_there(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        load_training(str(tmp_path / "none.csv"), occupations=OCCUPATIONS, groups=GROUPS)
    with pytest.raises(ConfigError, match="reference:wrold") as caught:
        load_training("reference:wrold", occupations=OCCUPATIONS, groups=GROUPS)
    assert WORLD in caught.value.hint
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_training(str(tmp_path / "binary.csv"), occupations=OCCUPATIONS, groups=GROUPS)
