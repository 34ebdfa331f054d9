# SPDX-License-Identifier: Apache-2.0
"""Published layouts with prompts of our own: nothing is lost or doubled without a word, and a run can use the set."""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.errors import ProbeError
from audit.probes import load_probe_set
from audit.probes.importers import FORMATS, Columns, Target, import_prompts
from audit.probes.importers.write import few


def put(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def take(*files, form="auto", columns=None, encoding=None, **target):
    out = files[0].parent / "out.yaml"
    done = import_prompts(
        files, Target(out, licence="CC0-1.0", force=True, **target), form=form, columns=columns, encoding=encoding
    )
    return done, load_probe_set(out)


def refused(*files, **more):
    with pytest.raises(ProbeError) as caught:
        take(*files, **more)
    assert not (files[0].parent / "out.yaml").exists()
    return caught.value


def note(done, words):
    found = [text for text in done.notes if words in text]
    assert len(found) == 1, done.notes
    return found[0]


PARTI = (
    "Prompt\tCategory\tChallenge\tNote\n"
    'a sign that says "GO"\tArtifacts\tWriting & Symbols\tours\n'
    '"Ha" he said\tPeople\tBasic\t\n'
)
DRAWBENCH = (
    "Prompts,Category\r\n"
    "A pink bench.,Colors\r\n"
    '"Three cups, one saucer.",Counting\r\n'
    'A pink bench.,Conflicting\r\n"A poem:\nroses ""are"" red.",Text \r\n'
    "A blue gate.,text\r\n"
)
GENEVAL = [
    {"tag": "counting", "include": [{"class": "bench", "count": 3}], "prompt": "a photo of three benches"},
    {"tag": "colors", "include": [{"class": "cup", "color": "red"}], "exclude": [], "prompt": "a photo of a red cup"},
]
I2P = (
    "prompt,categories,hard,inappropriate_percentage,nudity_percentage,lexica_url,sd_seed\n"
    '"a quarrel in a pub","harassment, violence",0,12.5,0.0,,77\n'
    '"a broken window",violence,1,50.0,0.0,,78\n'
)


def lines(rows):
    return "\n".join(json.dumps(row) for row in rows) + "\n"


def test_partiprompts(tmp_path):
    done, found = take(put(tmp_path, "PartiPrompts.tsv", PARTI))
    assert done.form == "partiprompts"
    assert [p.text for p in found.prompts] == ['a sign that says "GO"', '"Ha" he said']
    assert found.prompts[0].axes == {"category": "Artifacts", "challenge": "Writing & Symbols"}
    assert found.prompts[0].tags == {"Note=ours"}
    assert found.by == ("category", "challenge")
    assert "as characters" in note(done, "double quotes")
    assert found.card["language"] == "en"


def test_tsv_written_with_quoting_is_read_as_such(tmp_path):
    sink = io.StringIO()
    rows = [["Prompt", "Category", "Challenge"], ['say "GO"\tnow', "A", "B"], ["two\nlines", "A", "B"]]
    csv.writer(sink, delimiter="\t").writerows(rows)
    done, found = take(put(tmp_path, "p.tsv", sink.getvalue()))
    assert [p.text for p in found.prompts] == ['say "GO"\tnow', "two\nlines"]
    assert "as quoting" in note(done, "double quotes")


def test_drawbench_keeps_equal_prompts_of_two_categories_and_says_so(tmp_path):
    done, found = take(put(tmp_path, "drawbench.csv", DRAWBENCH))
    assert done.form == "drawbench"
    assert [p.text for p in found.prompts][3] == 'A poem:\nroses "are" red.'
    assert [(p.id, p.axes["category"]) for p in found.prompts if p.text == "A pink bench."] == [
        ("out/a-pink-bench", "Colors"),
        ("out/a-pink-bench-2", "Conflicting"),
    ]
    assert "drawbench.csv:4 = " in note(done, "stand in the source before")
    assert "drawbench.csv:4 and " in note(done, "other axes")
    assert "Text / text" in note(done, "differ only in capitals")
    done, found = take(put(tmp_path, "drawbench.csv", DRAWBENCH), drop_duplicates=True)
    assert (done.prompts, len(found.prompts)) == (4, 4)
    assert "dropped" in note(done, "stand in the source before")


def test_geneval(tmp_path):
    done, found = take(put(tmp_path, "evaluation_metadata.jsonl", lines(GENEVAL)))
    assert done.form == "geneval"
    assert [p.axes for p in found.prompts] == [{"tag": "counting"}, {"tag": "colors"}]
    assert found.prompts[0].tags == {'include=[{"class":"bench","count":3}]'}


def test_i2p_is_sensitive_and_keeps_its_columns(tmp_path):
    done, found = take(put(tmp_path, "i2p.csv", I2P))
    assert done.form == "i2p"
    assert all("sensitive" in p.tags for p in found.prompts)
    assert found.prompts[0].axes == {"categories": "harassment, violence"}
    assert {"categories=harassment", "categories=violence", "sd_seed=77", "hard=0"} <= found.prompts[0].tags
    assert not [tag for tag in found.prompts[0].tags if tag.startswith("lexica_url")]


def test_compbench_files_are_categories(tmp_path):
    files = [
        put(tmp_path, "color_val.txt", "a green bench\n\n  a red cup  \n"),
        put(tmp_path, "3d_spatial_train.txt", "a cup behind a bench\r\na cup above a bench"),
    ]
    done, found = take(*files)
    assert done.form == "t2i-compbench"
    assert [(p.text, p.axes["category"], p.axes["split"]) for p in found.prompts] == [
        ("a green bench", "color", "val"),
        ("a red cup", "color", "val"),
        ("a cup behind a bench", "3d_spatial", "train"),
        ("a cup above a bench", "3d_spatial", "train"),
    ]
    assert found.by == ("category", "split")
    assert note(done, "empty lines") == "color_val.txt: 1 empty lines left out: 2"
    for file in files:
        assert f"{file.name} (sha256 {hashlib.sha256(file.read_bytes()).hexdigest()})" in found.card["source"]


@pytest.mark.parametrize("shape", ["state", "list", "lines"])
def test_heim(tmp_path, shape):
    instances = [
        {"input": {"text": "a dog"}, "references": [], "split": "test", "id": "id1"},
        {"input": {"text": "a dgo"}, "references": [], "split": "test", "id": "id1", "perturbation": {"name": "typos"}},
    ]
    if shape == "state":
        states = [{"instance": i, "request": {"prompt": i["input"]["text"]}, "result": None} for i in instances]
        file = put(tmp_path, "scenario_state.json", json.dumps({"adapter_spec": {}, "request_states": states}))
    elif shape == "list":
        file = put(tmp_path, "instances.json", json.dumps(instances))
    else:
        file = put(tmp_path, "instances.jsonl", lines(instances))
    done, found = take(file)
    assert done.form == "heim"
    assert [p.text for p in found.prompts] == ["a dog", "a dgo"]
    assert [p.axes for p in found.prompts] == [{"split": "test"}, {"split": "test", "perturbation": "typos"}]
    assert "instance=id1" in found.prompts[0].tags
    assert "1 prompts have no perturbation" in note(done, "not sliced")


def test_any_table(tmp_path):
    file = put(tmp_path, "mine.csv", "nr;Words;Sub Topic;tags\n7;a bench;x;a, b\n8;a cup;y;\n")
    done, found = take(file, columns=Columns("words", ("Sub Topic",), "nr"))
    assert [(p.id, p.text, dict(p.axes), set(p.tags)) for p in found.prompts] == [
        ("out/7", "a bench", {"sub_topic": "x"}, {"a", "b"}),
        ("out/8", "a cup", {"sub_topic": "y"}, set()),
    ]
    assert done.by == ("sub_topic",)
    rows = [{"caption": "a", "n": 1.5, "ok": True, "none": None, "negative_prompt": "blurry"}, {"caption": "b"}]
    _, found = take(put(tmp_path, "mine.jsonl", lines(rows)))
    assert (found.prompts[0].tags, found.prompts[0].negative) == ({"n=1.5", "ok=true"}, "blurry")
    _, found = take(put(tmp_path, "mine.json", json.dumps(["a cat", "a dog"])))
    assert [p.text for p in found.prompts] == ["a cat", "a dog"]


@pytest.mark.parametrize("mark", [codecs.BOM_UTF8, b""])
def test_byte_order_marks_and_encodings(tmp_path, mark):
    _, found = take(put(tmp_path, "a.csv", mark + "prompt\na café\n".encode()))
    assert found.prompts[0].text == "a café"
    _, found = take(put(tmp_path, "a.csv", "prompt\na café\n".encode("utf-16")))
    assert found.prompts[0].text == "a café"
    latin = put(tmp_path, "b.csv", "prompt\na tea\na café\n".encode("cp1252"))
    _, found = take(latin, encoding="cp1252")
    assert found.prompts[1].text == "a café"


@pytest.mark.parametrize(
    ("name", "content", "more", "message", "place"),
    [
        ("a.csv", "prompt\na tea\na café\n".encode("cp1252"), {}, "byte 0xe9 is not utf-8", "a.csv:3:6"),
        ("a.csv", "prompt\na tea\n".encode("utf-16-le"), {}, "zero bytes", "a.csv:1"),
        ("a.csv", b"prompt\na\n", {"encoding": "klingon"}, "no encoding 'klingon'", "a.csv"),
        ("a.csv", b"", {}, "no header", "a.csv:1"),
        ("a.csv", b"prompt,topic\n", {}, "no prompt", "a.csv"),
        ("a.csv", b"prompt,topic\n,x\n", {}, "no row holds a prompt", "a.csv:2"),
        ("a.csv", b"prompt,topic\na,b\nc\n", {}, "1 cells under 2 columns", "a.csv:3"),
        ("a.csv", b'prompt,topic\n"a\nb",c\nd,e,f\n', {}, "3 cells under 2 columns", "a.csv:4"),
        ("a.csv", b'prompt,topic\n"a" b,c\n', {}, "broken row", "a.csv:2"),
        ("a.csv", b'prompt\nfine\n"never closed\nx\n', {}, "broken row", "a.csv:3"),
        ("a.csv", b"prompt,prompt\na,b\n", {}, "two columns are called 'prompt'", "a.csv:1"),
        ("a.csv", b"prompt,caption\na,b\n", {}, "could be the prompt", "a.csv"),
        ("a.csv", b"words,n\na,b\n", {}, "no column prompt", "a.csv"),
        ("a.csv", b"prompt,n\na,b\n", {"columns": Columns(axes=("m",))}, "no column 'm'", "a.csv"),
        ("a.csv", b"prompt,A b,a-b\nx,1,2\n", {"columns": Columns(axes=("A b", "a-b"))}, "both be the axis", "a.csv"),
        ("a.csv", b"prompt,id\na,1\nb,1\n", {"columns": Columns(id="id")}, "another prompt at", "a.csv:3"),
        ("a.csv", b"prompt,id\na,x y\n", {"columns": Columns(id="id")}, "cannot be the id", "a.csv:2"),
        ("a.csv", b"prompt\n" + b"x" * 4001, {}, "4001 characters", "a.csv:2"),
        ("a.jsonl", b'{"prompt": "a"}\n{"prompt": 3}\n', {}, "no text: 3", "a.jsonl:2"),
        ("a.jsonl", b'{"prompt": "a"}\n{"prompt": "b"\n', {}, "not JSON", "a.jsonl:2:15"),
        ("a.jsonl", b'{"prompt": "a"}\n[1]\n', {}, "not a JSON object", "a.jsonl:2"),
        ("a.jsonl", b'{"prompt": "\\ud83d"}\n', {}, "half a character", "a.jsonl:1"),
        ("a.json", b'{"prompt": "a"}', {}, "holds no prompt", "a.json"),
        ("a.json", b'{"a": 1}', {"form": "heim"}, "no list request_states", "a.json"),
        ("a.xlsx", b"PK", {}, "no table that is known", "a.xlsx"),
        ("a.csv", b"prompt\na\n", {"form": "partipromts"}, "no format is called", "FORMAT"),
        ("a.csv", b"prompt\na\n", {"form": "t2i-compbench", "name": "a b"}, "cannot be the name", "--name"),
        ("a.csv", b"prompt\na\n", {"limit": 0}, "at least 1", "--limit"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_its_place(tmp_path, name, content, more, message, place):
    error = refused(put(tmp_path, name, content), **more)
    assert message in error.message
    assert error.where.endswith(place)
    assert error.exit_code == 2


def test_a_missing_file_and_mixed_formats(tmp_path):
    assert "cannot be read" in refused(tmp_path / "gone.csv").message
    mixed = refused(put(tmp_path, "a.csv", DRAWBENCH), put(tmp_path, "b.tsv", PARTI))
    assert "drawbench, partiprompts" in mixed.message


def test_rows_without_a_prompt_limits_and_many_values_are_told(tmp_path):
    body = "".join(f"prompt {i},topic {i}\n" for i in range(60))
    file = put(tmp_path, "a.csv", f"prompt,topic\n,x\n\n{body}")
    done, found = take(file, columns=Columns(axes=("topic",)), limit=50, repetitions=3)
    assert "a.csv:2" in note(done, "hold no prompt")
    assert "first 50 of 60" in note(done, "--limit")
    assert "topic has 50 values" in note(done, "not sliced")
    assert note(done, "empty lines").endswith(": 3")
    assert (len(found.prompts), found.by, found.repetitions) == (50, (), 3)


def test_nothing_is_overwritten_unless_forced_and_a_failure_leaves_what_was_there(tmp_path):
    file = put(tmp_path, "a.csv", "prompt\na\n")
    target = Target(tmp_path / "set.yaml")
    import_prompts([file], target)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for gone, there in (("set.jsonl", "set.yaml"), ("set.yaml", "set.jsonl")):
        (tmp_path / gone).rename(tmp_path / "kept")
        with pytest.raises(ProbeError, match="is there already") as caught:
            import_prompts([file], target)
        assert caught.value.where.endswith(there)
        (tmp_path / "kept").rename(tmp_path / gone)
    bad = put(tmp_path, "b.csv", "prompt,id\na,1\nb,1\n")
    with pytest.raises(ProbeError):
        import_prompts([bad], Target(target.out, force=True), columns=Columns(id="id"))
    bad.unlink()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    import_prompts([put(tmp_path, "a.csv", "prompt\nb\n")], Target(target.out, force=True))
    assert [p.text for p in load_probe_set(target.out).prompts] == ["b"]
    with pytest.raises(ProbeError, match="YAML file"):
        import_prompts([file], Target(tmp_path / "set.txt"))


def test_an_unknown_licence_is_said_in_the_set_and_to_the_user(tmp_path):
    done = import_prompts([put(tmp_path, "a.csv", "prompt\na\n")], Target(tmp_path / "s.yaml"))
    found = load_probe_set(tmp_path / "s.yaml")
    assert found.licence == "unknown"
    assert "licence" in found.card["limits"]
    note(done, "the licence is not known")


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30).filter(
    lambda text: bool(text.strip())
)


@given(st.lists(CELLS, min_size=1, max_size=25), st.sampled_from(["csv", "tsv", "jsonl", "quoted"]))
def test_any_prompts_come_through_in_order_with_ids_of_their_own(tmp_path_factory, texts, kind):
    """Independent truth: Python's own writers."""
    folder = tmp_path_factory.mktemp("any")
    sink = io.StringIO()
    if kind == "jsonl":
        sink.write("".join(json.dumps({"prompt": text}, ensure_ascii=False) + "\n" for text in texts))
    elif kind == "tsv":
        texts = [" ".join(text.split()) for text in texts]
        texts = [text.replace('"', "'") for text in texts]
        sink.write("prompt\tn\n" + "".join(f"{text}\t{n}\n" for n, text in enumerate(texts)))
    else:
        quoting = csv.QUOTE_ALL if kind == "quoted" else csv.QUOTE_MINIMAL
        csv.writer(sink, quoting=quoting).writerows([["prompt", "n"], *([text, n] for n, text in enumerate(texts))])
    file = folder / f"a.{'csv' if kind == 'quoted' else kind}"
    file.write_bytes(sink.getvalue().encode())
    done, found = take(file)
    assert [p.text for p in found.prompts] == [text.strip() for text in texts]
    assert len({p.id for p in found.prompts}) == len(texts) == done.prompts
    doubled = len(texts) - len({text.strip() for text in texts})
    assert any("stand in the source before" in text for text in done.notes) == (doubled > 0)


def test_every_format_says_what_it_is():
    assert all(known.name == name and known.about for name, known in FORMATS.items())
    assert few(["a", "b"]) == "a, b"


def test_many_equal_prompts_take_time_in_proportion(tmp_path):
    done, found = take(put(tmp_path, "a.txt", "a bench\n" * 5000))
    assert done.prompts == len({p.id for p in found.prompts}) == 5000
    assert found.prompts[-1].id == "out/a-bench-5000"
