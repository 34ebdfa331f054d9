# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import json
import textwrap
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from audit.config import GeneratorConfig
from audit.errors import ConfigError, ProbeError
from audit.probes import load_probe_set, request_seed, requests
from audit.probes.__main__ import main
from audit.probes.canonical import canonical_json, sha256_of
from audit.probes.lock import lock_problems, read_lock

HEAD = """\
schema: 1
name: demo
version: 1.2.3
title: Demo
purpose: bias
licence: CC0-1.0
card: {description: d, source: s, design: d, limits: l, language: en, created: 2026-01-02}
repetitions: 2
"""
TEMPLATE = HEAD + "template: a portrait of a {job}\naxes: {job: [nurse, CEO]}\n"
GROUPS = TEMPLATE + "groups:\n  age:\n    groups: [young, old]\n    reference: %s\n    source: x\n"


def write(folder: Path, text: str, name: str = "demo.yaml") -> Path:
    path = folder / name
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def refused(folder: Path, text: str) -> ProbeError:
    with pytest.raises(ProbeError) as caught:
        load_probe_set(write(folder, text))
    return caught.value


def test_template_expands_in_order(tmp_path):
    probe_set = load_probe_set(write(tmp_path, TEMPLATE + "by: [job]\ntags: [sensitive]\n"))
    assert [p.id for p in probe_set.prompts] == ["demo/nurse", "demo/ceo"]
    assert [p.text for p in probe_set.prompts] == ["a portrait of a nurse", "a portrait of a CEO"]
    assert probe_set.prompts[1].axes == {"job": "CEO"}
    assert probe_set.prompts[0].tags == {"sensitive"}
    assert (probe_set.by, probe_set.repetitions, probe_set.card["created"]) == (("job",), 2, "2026-01-02")


def test_axis_values_may_have_their_own_wording(tmp_path):
    text = (
        HEAD + "template: a portrait of {age} {job}\naxes: {age: {old: an old, young: a young}, job: [nurse, cook]}\n"
    )
    prompts = load_probe_set(write(tmp_path, text)).prompts
    assert [(p.id, p.text) for p in prompts] == [
        ("demo/old-nurse", "a portrait of an old nurse"),
        ("demo/old-cook", "a portrait of an old cook"),
        ("demo/young-nurse", "a portrait of a young nurse"),
        ("demo/young-cook", "a portrait of a young cook"),
    ]
    assert prompts[0].axes == {"age": "old", "job": "nurse"}


def test_written_prompts(tmp_path):
    text = HEAD + (
        "negative: blurry\nprompts:\n"
        "  - {text: 'one {brace}', tags: [a]}\n  - {id: two, text: zwei, negative: dark, axes: {k: v}}\n"
        "  - {text: 顔}\n"
    )
    one, two, three = load_probe_set(write(tmp_path, text)).prompts
    assert (one.id, one.text, one.negative, one.tags) == ("demo/one-brace", "one {brace}", "blurry", {"a"})
    assert (two.id, two.negative, two.axes) == ("demo/two", "dark", {"k": "v"})
    assert three.id.startswith("demo/p")
    assert three.text == "顔"


def test_rows_tsv_and_jsonl_give_the_same_prompts(tmp_path):
    write(tmp_path, 'id\ttext\taxis.k\ttags\na\tsays "hi"\tx\tone, two\nb\tplain\ty\t\n', "rows.tsv")
    rows = [
        {"id": "a", "text": 'says "hi"', "axes": {"k": "x"}, "tags": ["one", "two"]},
        {"id": "b", "text": "plain", "axes": {"k": "y"}},
    ]
    write(tmp_path, "\n".join(map(json.dumps, rows)) + "\n\n", "rows.jsonl")
    tsv = load_probe_set(write(tmp_path, HEAD + "rows: rows.tsv\nby: [k]\n"))
    jsonl = load_probe_set(write(tmp_path, HEAD + "rows: rows.jsonl\nby: [k]\n"))
    assert tsv.prompts == jsonl.prompts
    assert tsv.digest == jsonl.digest
    assert tsv.prompts[0].text == 'says "hi"'


@pytest.mark.parametrize(
    ("rows", "place", "words"),
    [
        ("id\ttext\na\tx\tz\n", ":2", "3 cells under 2 columns"),
        ("id\ttext\tcolour\na\tx\tred\n", ":2", "colour: unknown column"),
        ("id\ttext\na\t\n", ":2", "text"),
        ("id\tid\n", ":1", "same name"),
        ("id\ttext\na\tx\na\ty\n", ":3", "two prompts are called 'demo/a'"),
    ],
)
def test_wrong_rows_are_named_by_line(tmp_path, rows, place, words):
    path = write(tmp_path, rows, "rows.tsv")
    error = refused(tmp_path, HEAD + "rows: rows.tsv\n")
    assert error.where == f"{path}{place}"
    assert words in error.message


def test_rows_stay_in_their_folder_and_must_be_there(tmp_path):
    assert "rows" in refused(tmp_path, HEAD + "rows: ../rows.tsv\n").message
    assert "cannot be read" in refused(tmp_path, HEAD + "rows: gone.tsv\n").message
    (tmp_path / "bad.jsonl").write_text('{"text": "a"}\n{oops\n')
    assert refused(tmp_path, HEAD + "rows: bad.jsonl\n").where == f"{tmp_path / 'bad.jsonl'}:2:2"


def test_groups_and_references(tmp_path):
    groups = load_probe_set(write(tmp_path, GROUPS % "uniform")).groups["age"]
    assert groups.reference == {"young": 0.5, "old": 0.5}
    groups = load_probe_set(write(tmp_path, GROUPS % "{old: 0.3, young: 0.7}")).groups["age"]
    assert list(groups.reference.items()) == [("young", 0.7), ("old", 0.3)]
    assert (groups.groups, groups.source, groups.year) == (("young", "old"), "x", None)


@pytest.mark.parametrize(
    ("text", "place", "words", "hint"),
    [
        (TEMPLATE + "repetition: 3\n", "11:1", "unknown key", "'repetitions'"),
        (HEAD.replace("limits: l, ", ""), "7:7", "card.limits: is missing", None),
        (TEMPLATE.replace("repetitions: 2", "repetitions: 0"), "8:14", "greater than or equal to 1, got 0", None),
        (TEMPLATE.replace("1.2.3", "1.0"), "3:10", "version", "quotes"),
        (TEMPLATE.replace("a {job}", "a {jobb}"), "9:11", "unknown axis 'jobb'", "'job'"),
        (TEMPLATE.replace("{job: [", "{age: [old], job: ["), "10:8", "axis 'age' is not in the template", "{age}"),
        (TEMPLATE.replace("a {job}", "a {job} }"), "9:11", "brace", None),
        (TEMPLATE.replace("nurse, CEO", "nurse, nurse"), "10:21", "'nurse' of axis 'job' stands twice", None),
        (TEMPLATE.replace("nurse, CEO", "CEO, ceo"), "9:11", "two prompts are called 'demo/ceo'", None),
        (TEMPLATE.replace("[nurse, CEO]", "[]"), "10:13", "at least 1", None),
        (TEMPLATE + "by: [jbo]\n", "11:6", "no prompt has an axis 'jbo'", "'job'"),
        (HEAD, "1:1", "none of them", None),
        (HEAD + "prompts: []\n", "9:10", "no prompt", None),
        (TEMPLATE + "prompts: [{text: x}]\n", "11:1", "template and prompts", None),
        (HEAD + "prompts:\n  - text: ' '\n", "10:11", "text", None),
        (HEAD + "prompts:\n  - text: 3\n", "10:11", "quotes", None),
        (
            HEAD + "prompts:\n  - {text: a, axes: {k: v}}\n  - {text: b}\nby: [k]\n",
            "12:6",
            "missing from the prompt at",
            None,
        ),
        (GROUPS % "{young: 0.5, old: 0.6}", "14:16", "sums to 1.1", None),
        (GROUPS % "{young: 1}", "14:16", "no share for 'old'", None),
        (GROUPS % "{young: 0.5, odl: 0.5, old: 0}", "14:29", "'odl' is no group", "'old'"),
        (GROUPS % "equal", "14:16", "groups.age.reference: Input should be 'uniform', got 'equal'", None),
        (GROUPS % "{young: .nan, old: 1}", "14:24", "finite", None),
        (TEMPLATE + "title: again\n", "11:1", "'title' stands twice (first on line 4)", None),
        (HEAD + "template: [a\n", "10:1", "not valid YAML", None),
        (HEAD.replace("2026-01-02", "2026-13-45"), "", "not valid YAML", None),
        ("- a\n", "1:1", "must be a mapping", None),
        ("", "", "must be a mapping", None),
    ],
)
def test_errors_name_the_place(tmp_path, text, place, words, hint):
    error = refused(tmp_path, text)
    assert error.where == f"{tmp_path / 'demo.yaml'}{':' if place else ''}{place}"
    assert words in error.message
    if hint:
        assert hint in f"{error.hint} {error.message}"
    assert error.exit_code == 2


def test_a_doubled_id_names_both_lines(tmp_path):
    error = refused(tmp_path, HEAD + "prompts:\n  - {id: a, text: x}\n  - {id: b, text: x}\n  - {id: a, text: y}\n")
    assert error.where.endswith("demo.yaml:12:10")
    assert "demo.yaml:10:10" in error.message


def test_several_problems_are_all_named_with_their_lines(tmp_path):
    error = refused(tmp_path, TEMPLATE.replace("purpose: bias", "purpose: fun") + "tag: []\n")
    assert "line 5: purpose" in error.message
    assert "line 11: tag: unknown key" in error.message


def test_unknown_name_and_missing_file(tmp_path):
    with pytest.raises(ProbeError, match="no probe set is called 'ocupations'") as caught:
        load_probe_set("ocupations")
    assert caught.value.hint == "did you mean 'occupations'?"
    with pytest.raises(ProbeError, match="does not exist"):
        load_probe_set(tmp_path / "gone.yaml")


def test_digest_follows_content_and_not_layout(tmp_path):
    base = load_probe_set(write(tmp_path, TEMPLATE)).digest
    reordered = yaml.safe_dump(yaml.safe_load(TEMPLATE), sort_keys=True)
    assert load_probe_set(write(tmp_path, "# a comment\n" + reordered)).digest == base
    assert load_probe_set(write(tmp_path, TEMPLATE.replace("limits: l", "limits: more"))).digest == base
    for old, new in (
        ("nurse", "cook"),
        ("repetitions: 2", "repetitions: 3"),
        ("1.2.3", "1.2.4"),
        ("a port", "the port"),
    ):
        assert load_probe_set(write(tmp_path, TEMPLATE.replace(old, new))).digest != base
    assert load_probe_set(write(tmp_path, TEMPLATE + "by: [job]\n")).digest != base
    assert load_probe_set(write(tmp_path, GROUPS % "uniform")).digest != base


# -- requests ------------------------------------------------------------------------------------------------------

GENERATOR = GeneratorConfig(name="g", kind="renderer", params={"steps": 20, "guidance": 1.5})


def test_requests_are_frozen_by_golden_values():
    first = requests(load_probe_set("occupations"), generator=GENERATOR, run_seed=7)[0]
    assert first.seed == request_seed(7, probe="occupations", prompt_id="occupations/nurse", repetition=0)
    # both follow from bytes that anybody can hash; were they to change, no stored run could be resumed
    digest = hashlib.sha256(b'[7,"occupations","occupations/nurse",0]').digest()
    assert first.seed == int.from_bytes(digest[:8], "big") >> 1 == 7777586348464325684
    content = (
        b'{"generator":"g","params":{"guidance":1.5,"steps":20},"prompt":{"axes":{"occupation":"nurse"},'
        b'"id":"occupations/nurse","negative":null,"probe":"occupations","text":"a portrait of a nurse"},'
        b'"repetition":0,"seed":7777586348464325684}'
    )
    assert first.id == hashlib.sha256(content).hexdigest()[:32] == "3d76f558dfa305ede0192fa9d0e8c524"


def test_requests_count_order_and_uniqueness():
    probe_set = load_probe_set("occupations")
    asked = requests(probe_set, generator=GENERATOR, run_seed=0)
    assert len(asked) == 8 * 24 == len({r.id for r in asked}) == len({r.seed for r in asked})
    assert [r.repetition for r in asked[:25]] == [*range(24), 0]
    few = requests(probe_set, generator=GENERATOR, run_seed=0, repetitions=3, limit=2)
    assert [(r.prompt.id, r.repetition) for r in few] == [
        (f"occupations/{j}", i) for j in ("nurse", "ceo") for i in range(3)
    ]
    assert {r.id for r in few} <= {r.id for r in asked}


def test_seed_is_shared_between_generators_and_ids_are_not():
    probe_set = load_probe_set("occupations")
    other = GeneratorConfig(name="h", kind="gan")
    one = requests(probe_set, generator=GENERATOR, run_seed=0, limit=1)
    two = requests(probe_set, generator=other, run_seed=0, limit=1)
    assert [r.seed for r in one] == [r.seed for r in two]
    assert not {r.id for r in one} & {r.id for r in two}
    again = requests(probe_set, generator=GENERATOR.model_copy(update={"params": {"steps": 21}}), run_seed=0, limit=1)
    assert not {r.id for r in one} & {r.id for r in again}
    whole = GENERATOR.model_copy(update={"params": {"guidance": 1.5, "steps": 20.0}})
    assert [r.id for r in requests(probe_set, generator=whole, run_seed=0, limit=1)] == [r.id for r in one]


def test_requests_refuse_nonsense():
    probe_set = load_probe_set("occupations")
    for wrong in ({"repetitions": 0}, {"limit": 0}):
        with pytest.raises(ConfigError, match="at least 1"):
            requests(probe_set, generator=GENERATOR, run_seed=0, **wrong)
    nan = GENERATOR.model_copy(update={"params": {"guidance": float("nan")}})
    with pytest.raises(ConfigError, match="finite"):
        requests(probe_set, generator=nan, run_seed=0)


@given(st.integers(0, 2**63 - 1), st.text(max_size=20), st.integers(0, 10**6))
def test_seeds_are_63_bits_and_depend_on_every_part(run_seed, prompt_id, repetition):
    seed = request_seed(run_seed, probe="p", prompt_id=prompt_id, repetition=repetition)
    assert 0 <= seed < 2**63
    assert seed != request_seed(run_seed + 1, probe="p", prompt_id=prompt_id, repetition=repetition)
    assert seed != request_seed(run_seed, probe="q", prompt_id=prompt_id, repetition=repetition)
    assert seed != request_seed(run_seed, probe="p", prompt_id=prompt_id, repetition=repetition + 1)


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.booleans() | st.none()))
def test_canonical_json_ignores_order_and_reads_back(value):
    assert json.loads(canonical_json(value)) == value
    assert sha256_of(dict(reversed(value.items()))) == sha256_of(value)


def test_canonical_json_refuses_what_json_cannot_hold():
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"x": float("inf")})
    assert canonical_json({"t": True, "s": {"b", "a"}}) == b'{"s":["a","b"],"t":true}'


# -- lock ----------------------------------------------------------------------------------------------------------


def test_lock_notices_every_kind_of_drift(tmp_path):
    now = load_probe_set(write(tmp_path, TEMPLATE))
    assert lock_problems([now], {"demo": ("1.2.3", now.digest)}) == []
    assert "raise its version" in lock_problems([now], {"demo": ("1.2.3", "old")})[0]
    assert "raise its version" in lock_problems([now], {"demo": ("1.10.0", "old")})[0]
    assert "python -m audit.probes lock" in lock_problems([now], {"demo": ("1.2.2", "old")})[0]
    assert "not in the lock file" in lock_problems([now], {})[0]
    assert "not in probes/" in lock_problems([], {"demo": ("1.2.3", "x")})[0]


def test_lock_command_refuses_a_change_without_a_version(tmp_path, monkeypatch, capsys):
    (tmp_path / "probes").mkdir()
    monkeypatch.setattr("audit.probes.load.data_root", lambda: tmp_path)
    monkeypatch.setattr("audit.probes.lock.data_root", lambda: tmp_path)
    write(tmp_path / "probes", TEMPLATE)
    assert main(["lock"]) == 0
    before = read_lock()
    write(tmp_path / "probes", TEMPLATE.replace("nurse", "cook"))
    assert main(["lock"]) == 2
    assert "raise its version" in capsys.readouterr().err
    assert read_lock() == before
    write(tmp_path / "probes", TEMPLATE.replace("nurse", "cook").replace("1.2.3", "2.0.0"))
    assert main(["lock"]) == 0
    assert read_lock()["demo"][0] == "2.0.0"
    (tmp_path / "probes" / "probes.lock").write_text("[]")
    with pytest.raises(ProbeError, match="cannot be read"):
        read_lock()
    assert main([]) == 2
