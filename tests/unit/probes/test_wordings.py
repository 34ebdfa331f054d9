# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import csv
import textwrap
from pathlib import Path

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from audit.config import AuditConfig, GeneratorConfig, load_config
from audit.errors import ProbeError
from audit.paths import data_root
from audit.probes import load_probe_set, requests
from audit.probes._words import dice, exchanged, mistyped
from audit.runs.plan import make_plan
from audit.wordings import WordingsBlock

HEAD = """\
schema: 1
name: demo
version: 1.2.3
title: Demo
purpose: quality
licence: CC0-1.0
card: {description: d, source: s, design: d, limits: l, language: en, created: 2026-01-02}
repetitions: 2
"""
THREE = HEAD + "template: a photo of a {job}\naxes: {job: [nurse, chef, pilot]}\n"
GENERATOR = GeneratorConfig(name="g", kind="renderer")
WORDS = data_root() / "probes" / "wordings"


def table(name: str) -> list[dict[str, str]]:
    lines = [line for line in (WORDS / name).read_text().splitlines() if not line.startswith("#")]
    return list(csv.DictReader(lines))


KEYS = {row["key"]: row["neighbours"] for row in table("keys_qwerty.csv")}
SYNONYMS = {row["word"]: row["synonym"] for row in table("synonyms_en.csv")}


def load(folder: Path, text: str):
    path = folder / "demo.yaml"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return load_probe_set(path)


def refused(folder: Path, text: str) -> ProbeError:
    with pytest.raises(ProbeError) as caught:
        load(folder, text)
    return caught.value


def edits(one: str, two: str) -> int:
    """Damerau-Levenshtein distance with adjacent transpositions, by the textbook table."""
    rows = [[max(i, j) if 0 in (i, j) else 0 for j in range(len(two) + 1)] for i in range(len(one) + 1)]
    for i in range(1, len(one) + 1):
        for j in range(1, len(two) + 1):
            same = one[i - 1] == two[j - 1]
            rows[i][j] = min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + (not same))
            if i > 1 and j > 1 and one[i - 1] == two[j - 2] and one[i - 2] == two[j - 1]:
                rows[i][j] = min(rows[i][j], rows[i - 2][j - 2] + 1)
    return rows[-1][-1]


# -- typing errors ---------------------------------------------------------------------------------------------

texts = st.text(alphabet=st.sampled_from('abcdxyzAEÄßé天 ,.-"1'), min_size=1, max_size=40)


@given(texts, st.integers(0, 99), st.floats(0.01, 0.5))
def test_typos_change_every_text_with_letters_by_as_many_slips_as_asked(text, seed, rate):
    made = mistyped(text, rate=rate, keep=(), keys=KEYS, throw=dice("t", seed))
    quoted = text.split('"')
    free = "".join(quoted[::2] if len(quoted) % 2 else [*quoted[:-1:2], quoted[-1]])
    letters = sum(letter.isalpha() for letter in free)
    if made is None:
        assert letters == 0
        return
    assert made != text
    assert 1 <= edits(text, made) <= max(1, round(rate * letters))
    assert mistyped(text, rate=rate, keep=(), keys=KEYS, throw=dice("t", seed)) == made


@given(st.lists(st.sampled_from(["nurse", "New", "York", "a", "portrait", "of", "Bo"]), min_size=1, max_size=8))
def test_typos_leave_kept_words_alone(words):
    text = " ".join(words)
    keep = ["new york", "nurse", "of"]
    made = mistyped(text, rate=0.5, keep=keep, keys=KEYS, throw=dice("k", text))
    assume(made is not None)
    for kept in ("New York", "nurse", "of"):
        spaced = f" {text} ".replace(" ", "  ")
        times = spaced.count(f" {kept.replace(' ', '  ')} ")
        assert f" {made} ".replace(" ", "  ").count(f" {kept.replace(' ', '  ')} ") >= times


def test_typos_are_the_four_kinds_and_the_share_that_was_asked_for():
    word = "photograph"
    made = {mistyped(word, rate=0.01, keep=(), keys=KEYS, throw=dice(i)) for i in range(2000)}
    swaps = {word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(9)}
    drops = {word[:i] + word[i + 1 :] for i in range(10)}
    doubles = {word[:i] + word[i] + word[i:] for i in range(10)}
    near = {word[:i] + key + word[i + 1 :] for i in range(10) for key in KEYS[word[i]]}
    assert made == swaps | drops | doubles | near
    long = "abcdefghij" * 20
    assert edits(long, mistyped(long, rate=0.1, keep=(), keys=KEYS, throw=dice(1))) == pytest.approx(20, abs=2)


def test_keys_are_neighbours_both_ways():
    assert len(KEYS) == 26
    assert all(key in KEYS[other] for key, near in KEYS.items() for other in near)


def test_what_is_quoted_is_never_mistyped():
    text = 'a "STOP" sign, “Bakery” and „Tor“ and «rue»'
    for seed in range(50):
        made = mistyped(text, rate=0.5, keep=(), keys=KEYS, throw=dice(seed))
        assert all(quoted in made for quoted in ('"STOP"', "“Bakery”", "„Tor“", "«rue»"))
    assert mistyped('"STOP" 40', rate=0.5, keep=(), keys=KEYS, throw=dice(1)) is None


# -- synonyms --------------------------------------------------------------------------------------------------


def test_synonyms_are_whole_words_with_capitals_and_articles():
    some = {"photo": "image", "image": "photo", "car": "automobile", "big": "large"}

    def say(text, keep=()):
        return exchanged(text, synonyms=some, keep=keep)

    assert say("a photo of a cart") == "an image of a cart"
    assert say("An image: a BIG Car") == "A photo: a LARGE Automobile"
    assert say("photos of cars") is None  # a plural stands in the table or is left alone
    assert say('a car with "big car" on it') == 'an automobile with "big car" on it'
    assert say("a big car", keep=["big car"]) is None
    assert say("a, car") == "a, automobile"  # no article of that word
    assert say("big-hearted") is None


def test_the_bundled_tables_are_sound():
    words = table("synonyms_en.csv")
    assert len(SYNONYMS) == len(words) >= 60
    assert all(row["source"] == "written by us" for row in words)
    assert all(word == word.lower() and other.lower() != word for word, other in SYNONYMS.items())
    # a word that sounds otherwise than it is written would get the wrong article
    assert not [other for other in SYNONYMS.values() if other.startswith(("hon", "hour", "uni", "use", "eu", "one"))]
    assert all(row["frame"].count("{text}") == 1 for row in table("paraphrases_en.csv"))


# -- sets ------------------------------------------------------------------------------------------------------


def test_every_prompt_gets_its_wordings_under_one_pair(tmp_path):
    wordings = (
        "wordings: {typos: {variants: 2}, synonyms: {}, paraphrase: ['I want {text}'], languages: {de: {chef: Koch}}}\n"
    )
    found = load(tmp_path, THREE + "by: [job]\n" + wordings)
    assert found.wordings == {"original": 3, "typos-1": 3, "typos-2": 3, "synonyms": 3, "paraphrase": 3, "de": 1}
    assert (found.by, found.paired) == (("job",), ("wording",))
    assert found.declares("wordings")
    assert not load_probe_set("portraits").declares("wordings")
    chef = [prompt for prompt in found.prompts if prompt.axes["job"] == "chef"]
    assert [prompt.id for prompt in chef] == [
        f"demo/chef{end}" for end in ("", ".typos-1", ".typos-2", ".synonyms", ".paraphrase", ".de")
    ]
    assert [prompt.text for prompt in chef[3:]] == ["a photograph of a chef", "I want a photo of a chef", "Koch"]
    assert chef[0].meant is None
    assert {prompt.meant for prompt in chef[1:]} == {"a photo of a chef"}
    assert {prompt.pair for prompt in chef} == {"demo/chef"}
    assert len({prompt.text for prompt in found.prompts}) == len(found.prompts)


def test_all_wordings_are_drawn_from_the_seeds_of_the_prompt_alone(tmp_path):
    plain = load(tmp_path, THREE)
    seeds = {(r.prompt.id, r.repetition): r.seed for r in requests(plain, generator=GENERATOR, run_seed=3)}
    worded = load(tmp_path, THREE + "wordings: {typos: {}}\n")
    asked = requests(worded, generator=GENERATOR, run_seed=3)
    assert len(asked) == 2 * len(seeds)
    assert all(request.seed == seeds[request.prompt.pair, request.repetition] for request in asked)
    first = requests(worded, generator=GENERATOR, run_seed=3, limit=2)
    assert [r.prompt.id for r in first[::2]] == ["demo/nurse", "demo/nurse.typos", "demo/chef", "demo/chef.typos"]
    assert requests(worded, generator=GENERATOR, run_seed=3, limit=9) == asked


def test_the_digest_follows_the_words_and_nothing_else(tmp_path):
    plain = load(tmp_path, THREE).digest
    digests = {
        load(tmp_path, THREE + f"wordings: {words}\n").digest
        for words in ("{typos: {}}", "{typos: {seed: 2}}", "{typos: {rate: 0.3}}", "{synonyms: {}}")
    }
    assert len(digests | {plain}) == 5
    again = load(tmp_path, THREE + "wordings: {typos: {seed: 1}}\n").digest
    assert again == load(tmp_path, THREE + "wordings:\n  typos: {variants: 1, seed: 1}\n").digest
    assert load_probe_set("portraits").digest != plain


def test_pairs_of_the_set_stay_pairs(tmp_path):
    text = HEAD + "template: a {who} in a {place}\naxes: {who: [man, woman], place: [park, shop]}\npaired: [who]\n"
    found = load(tmp_path, text + "wordings: {typos: {}}\n")
    assert found.paired == ("who", "wording")
    assert {prompt.pair for prompt in found.prompts} == {"demo/place=park", "demo/place=shop"}
    assert len({r.seed for r in requests(found, generator=GENERATOR, run_seed=1)}) == 2 * found.repetitions


def test_translations_may_stand_in_a_file(tmp_path):
    (tmp_path / "de.tsv").write_text("id\ttext\nchef\tein Foto von einem Koch\npilot\tein Pilot\n")
    found = load(tmp_path, THREE + "wordings: {languages: {de: de.tsv}}\n")
    assert found.wordings == {"original": 3, "de": 2}
    (tmp_path / "de.tsv").write_text("id\ttext\nchef\tKoch\nchefin\tKöchin\n")
    error = refused(tmp_path, THREE + "wordings: {languages: {de: de.tsv}}\n")
    assert "'chefin'" in str(error)
    assert error.where == f"{tmp_path / 'de.tsv'}:3"
    assert error.hint == "did you mean 'chef'?"


def test_a_table_of_synonyms_of_ones_own(tmp_path):
    (tmp_path / "mine.csv").write_text("# ours\nword,synonym,source\nphoto,snap,me\n")
    found = load(tmp_path, THREE + "wordings: {synonyms: {table: mine.csv}}\n")
    assert [p.text for p in found.prompts if p.meant] == ["a snap of a nurse", "a snap of a chef", "a snap of a pilot"]
    for rows, said in (("word,other\n", "columns must be"), ("word,synonym,source\na,a,me\n", "has no synonym")):
        (tmp_path / "mine.csv").write_text(rows)
        assert said in str(refused(tmp_path, THREE + "wordings: {synonyms: {table: mine.csv}}\n"))


@pytest.mark.parametrize(
    ("wordings", "said", "column"),
    [
        ("{}", "names no wording", 11),
        ("{keep: [chef]}", "names no wording", 11),
        ("{typos: {rate: 0}}", "greater than 0", 26),
        ("{typo: {}}", "typo", 12),
        ("{paraphrase: [no place]}", "must hold {text} once", 25),
        ("{paraphrase: ['{text} {other}']}", "must hold {text} once", 25),
        ("{paraphrase: ['{text}']}", "no prompt has other words under 'paraphrase'", 11),
        ("{languages: {de: {cheff: Koch}}}", "no prompt is called 'cheff'", 36),
        ("{languages: {de: {chef: Koch, demo/chef: Koch}}}", "translated twice", 52),
        ("{synonyms: {}, keep: [photo]}", "no prompt has other words under 'synonyms'", 11),
        ("{synonyms: {table: gone.csv}}", "cannot be read", None),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path, wordings, said, column):
    error = refused(tmp_path, THREE + f"wordings: {wordings}\n")
    assert said in str(error)
    if column is not None:
        assert error.where == f"{tmp_path / 'demo.yaml'}:11:{column}"


def test_an_axis_of_that_name_and_ids_that_clash_are_refused(tmp_path):
    text = HEAD + "prompts: [{id: a, text: x, axes: {wording: w}}]\nwordings: {typos: {}}\n"
    assert "axis 'wording' of its own" in str(refused(tmp_path, text))
    text = HEAD + "prompts: [{id: a, text: one}, {id: a.typos, text: two}]\nwordings: {typos: {}}\n"
    assert "two prompts are called 'demo/a.typos'" in str(refused(tmp_path, text))


# -- audit files -----------------------------------------------------------------------------------------------


def audit_file(folder: Path, wordings: object, name: str = "portraits") -> AuditConfig:
    path = folder / "audit.yaml"
    block = {"set": name, "limit": 2, "wordings": wordings}
    given = {"generators": [{"name": "g", "kind": "renderer"}], "probes": [block], "gallery": None}
    path.write_text(yaml.safe_dump(given))
    return load_config(path)


def test_an_audit_file_asks_any_set_in_other_words(tmp_path):
    plan = make_plan(audit_file(tmp_path, {"typos": {}, "paraphrase": "bundled"}))
    assert len(plan.requests) == 2 * 5 * 4
    assert "quality.robustness" in plan.metrics
    described = plan.record()["probes"][0]
    assert described["wordings"]["paraphrase-3"] == 48
    plain = make_plan(audit_file(tmp_path, None))
    assert plain.record()["probes"][0]["digest"] == load_probe_set("portraits").digest != described["digest"]
    assert "quality.robustness" not in plain.metrics
    assert "wordings" not in plain.record()["probes"][0]


def test_files_that_an_audit_file_names_stand_beside_it(tmp_path, monkeypatch):
    (tmp_path / "fr.tsv").write_text(
        "id\ttext\nceo-feminine-older\tune patronne\nnurse-feminine-young\tune infirmière\n"
    )
    monkeypatch.chdir("/")
    plan = make_plan(audit_file(tmp_path, {"languages": {"fr": "fr.tsv"}}))
    assert {r.prompt.text for r in plan.requests if r.prompt.meant} == {"une infirmière"}  # limit: two prompts


def test_wordings_of_an_audit_file_are_refused_with_its_place(tmp_path):
    with pytest.raises(ProbeError, match=r"wordings.paraphrase.0: frame") as caught:
        make_plan(audit_file(tmp_path, {"paraphrase": ["nothing"]}))
    assert caught.value.where == "audit file, probe set portraits"
    with pytest.raises(ProbeError, match="has wordings of its own"):
        make_plan(audit_file(tmp_path, {"typos": {}}, "wordings_reference"))


def test_a_block_survives_the_manifest():
    block = WordingsBlock.model_validate({"typos": {}, "languages": {"de": "x.tsv", "fr": {"a": "b"}}})
    assert WordingsBlock.model_validate(block.model_dump(mode="json")) == block
    assert block.placed(lambda name: f"sub/{name}").languages == {"de": "sub/x.tsv", "fr": {"a": "b"}}
