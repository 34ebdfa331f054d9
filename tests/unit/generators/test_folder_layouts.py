# SPDX-License-Identifier: Apache-2.0
"""Finished images as others leave them behind: found by themselves, read lazily, handed on byte by byte."""

from __future__ import annotations

import csv
import io
import json
import tarfile
import time
import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from audit.errors import ConfigError, GeneratorError
from audit.generators import FolderGenerator
from audit.generators.finished import LAYOUTS
from audit.types import Outcome
from tests.asking import ask

JOBS = ("a nurse", "a pilot", "three red benches, in the rain")


def image(level, kind="PNG", side=16):
    rgb = np.random.default_rng(level).integers(0, 255, (side, side, 3), dtype=np.uint8)
    sink = io.BytesIO()
    Image.fromarray(rgb).save(sink, kind)
    return sink.getvalue()


IMAGES = {(text, k): image(10 * i + k, ("PNG", "JPEG", "WEBP")[i]) for i, text in enumerate(JOBS) for k in range(2)}
SUFFIX = ("png", "jpg", "webp")


def put(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def lines(rows):
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n"


def nested_metadata(root):
    """As Hugging Face has splits: a file in each folder, names relative to it."""
    for k in range(2):
        rows = []
        for i, text in enumerate(JOBS):
            put(root / f"part{k}" / "deep" / f"{i}.{SUFFIX[i]}", IMAGES[text, k])
            rows.append([f"deep/{i}.{SUFFIX[i]}", text])
        sink = io.StringIO()
        csv.writer(sink).writerows([["file_name", "caption"], *rows])
        put(root / f"part{k}" / "metadata.csv", sink.getvalue())
    return root


def path_list(root):
    rows = []
    for n, ((text, _), data) in enumerate(IMAGES.items()):
        at = put(root / "made" / f"{n}.bin", data)
        place = str(at) if n % 2 else f"made/{n}.bin"
        rows.append({"id": n, "prompt": text, "tags": ["a (object)"], "image_path": place})
    return put(root / "eval.jsonl", lines(rows))


def parquet(root):
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    for k in range(2):
        cells = [{"bytes": IMAGES[text, k], "path": f"{i}.png"} for i, text in enumerate(JOBS)]
        table = pa.table({"image": pa.array(cells, kind), "prompt": list(JOBS), "seed": [1, None, 3]})
        (root / "data").mkdir(parents=True, exist_ok=True)
        pq.write_table(table, root / "data" / f"train-{k:05d}-of-00002.parquet", row_group_size=2, compression="NONE")
    return root


def plain_parquet(root):
    root.mkdir(parents=True, exist_ok=True)
    order = [(text, k) for k in range(2) for text in JOBS]
    table = pa.table({"png": [IMAGES[key] for key in order], "text": [key[0] for key in order]})
    pq.write_table(table, root / "all.parquet", compression="NONE")
    return root / "all.parquet"


def add(archive, name, data):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def webdataset(root):
    root.mkdir(parents=True, exist_ok=True)
    for k in range(2):
        with tarfile.open(root / f"{k:05d}.tar", "w") as archive:
            for i, text in enumerate(JOBS):
                words = ("txt", text.encode()) if i else ("json", json.dumps({"prompt": text, "seed": 5}).encode())
                add(archive, f"../../x/{k}{i}.{words[0]}", words[1])
                add(archive, f"../../x/{k}{i}.{SUFFIX[i].upper()}", IMAGES[text, k])
                add(archive, f"../../x/{k}{i}.cls", b"7")
    return root


def geneval(root):
    for i, text in enumerate(JOBS):
        put(root / f"{i:05d}" / "metadata.jsonl", json.dumps({"tag": "counting", "include": [], "prompt": text}))
        put(root / f"{i:05d}" / "grid.png", b"not an answer")
        for k in range(2):  # 9 before 10, whatever the alphabet says
            put(root / f"{i:05d}" / "samples" / f"{9 + k}.{SUFFIX[i]}", IMAGES[text, k])
    return root


def compbench(root):
    for i, text in enumerate(JOBS):
        for k in range(2):
            put(root / "samples" / f"{text}_{2 * i + k + 999_998:06d}.{SUFFIX[i]}", IMAGES[text, k])
    return root


def heim(root):
    states = []
    for i, text in enumerate(JOBS):
        found = []
        for k in range(2):
            put(root / "images" / f"{i}{k}.png", IMAGES[text, k])
            media = {"content_type": "image/png", "location": f"prod_env/cache/output/{i}{k}.png"}
            found.append({"text": "", "multimodal_content": {"media_objects": [media]}})
        instance = {"input": {"text": text}, "references": [], "id": f"id{i}"}
        result = {"success": True, "completions": found}
        states.append({"instance": instance, "request": {"prompt": text, "num_completions": 2}, "result": result})
    put(root / "scenario_state.json", json.dumps({"adapter_spec": {}, "request_states": states}))
    return root


def json_map(root):
    rows = {}
    for n, ((text, _), data) in enumerate(IMAGES.items()):
        rows[put(root / f"{n}.png", data).name] = text
    return put(root / "prompts.json", json.dumps(rows)).parent


CASES = {
    "metadata": nested_metadata,
    "list": path_list,
    "list of names": json_map,
    "parquet": parquet,
    "parquet of bytes": plain_parquet,
    "webdataset": webdataset,
    "geneval": geneval,
    "t2i-compbench": compbench,
    "heim": heim,
}


@pytest.fixture(params=CASES)
def case(request, tmp_path):
    return request.param, CASES[request.param](tmp_path / "given")


def test_every_layout_is_found_and_its_files_come_through_untouched(case):
    name, model = case
    generator = FolderGenerator("f", model=str(model))
    batch = [ask(text, repetition=k) for k in (1, 0) for text in reversed(JOBS)]
    answers = generator.generate(batch)
    assert [a.request_id for a in answers] == [r.id for r in batch]
    assert [a.message for a in answers] == [None] * 6
    assert [a.image for a in answers] == [IMAGES[r.prompt.text, r.repetition] for r in batch]
    assert {a.media_type for a in answers} == {"image/png", "image/jpeg", "image/webp"}
    assert all(a.meta["file_name"] for a in answers)
    details = generator.spec.details
    assert details["layout"] == name.split()[0]
    assert details["layout"] in LAYOUTS
    assert (details["rows"], details["prompts"], details["fewest_per_prompt"], details["repeated_images"]) == (
        6,
        3,
        2,
        0,
    )
    absent = generator.generate([ask(JOBS[0], repetition=2), ask("a cook")])
    assert ["2 of that prompt" in absent[0].message, "not among" in absent[1].message] == [True, True]
    generator.close()
    assert generator.generate([batch[0]])[0].image == answers[0].image
    generator.close()


def test_the_digest_of_every_layout_covers_its_images(case):
    _, model = case
    before = FolderGenerator("f", model=str(model)).spec.digest
    assert FolderGenerator("f", model=str(model)).spec.digest == before
    wanted = IMAGES[JOBS[0], 1]
    root = model if model.is_dir() else model.parent
    changed = next(path for path in root.rglob("*") if path.is_file() and wanted[40:90] in path.read_bytes())
    data = changed.read_bytes()
    at = data.index(wanted[40:90])
    changed.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    assert FolderGenerator("f", model=str(model)).spec.digest != before


def test_seed_and_seconds_are_kept(tmp_path):
    first, second = FolderGenerator("f", model=str(parquet(tmp_path))).generate([ask(JOBS[0]), ask(JOBS[1])])
    assert (first.meta["seed"], "seed" in second.meta) == (1, False)
    put(tmp_path / "t" / "a.png", IMAGES[JOBS[0], 0])
    put(tmp_path / "t" / "list.csv", "prompt,image_path,seed,seconds\na nurse,a.png,12,1.5\n")
    answer = FolderGenerator("f", model=str(tmp_path / "t")).generate([ask("a nurse")])[0]
    assert (answer.meta["seed"], answer.seconds) == (12, 1.5)


def test_ids_of_the_list_count_only_with_the_same_text(tmp_path):
    for n in range(3):
        put(tmp_path / f"{n}.png", IMAGES[JOBS[n], 0])
    rows = [{"id": n, "prompt": p, "image_path": f"{n}.png"} for n, p in enumerate(["a nurse", "a nurse", "a pilot"])]
    model = put(tmp_path / "list.jsonl", lines(rows))
    batch = [ask("a nurse", prompt_id="set/1"), ask("a pilot", prompt_id="set/1"), ask("a nurse", prompt_id="set/x")]
    found = [a.meta["file_name"] for a in FolderGenerator("f", model=str(model)).generate(batch)]
    assert found == ["1.png", "2.png", "0.png"]


def test_lines_end_where_json_says_and_not_at_other_separators(tmp_path):
    text = "a sign\u2028that says \x85 and \x0b"
    put(tmp_path / "a.png", IMAGES[JOBS[0], 0])
    put(tmp_path / "metadata.jsonl", lines([{"file_name": "a.png", "text": text}]))
    assert FolderGenerator("f", model=str(tmp_path)).generate([ask(text)])[0].outcome is Outcome.IMAGE


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (
            lambda root: put(root / "list.jsonl", lines([{"prompt": "x", "image_path": "/etc/hostname"}])),
            "out of the f",
        ),
        (
            lambda root: put(root / "list.jsonl", lines([{"prompt": "x", "image_path": "https://a.b/c.png"}])),
            "nothing is f",
        ),
        (lambda root: put(root / "list.jsonl", lines([{"prompt": "x", "image_path": "gone.png"}])), "list.jsonl:1"),
        (lambda root: put(root / "00000" / "metadata.jsonl", '{"prompt": "x"}'), None),
    ],
)
def test_what_cannot_be_read_is_a_row_with_the_place(tmp_path, write, message):
    write(tmp_path)
    if message is None:
        (tmp_path / "00000" / "samples").mkdir()
        message = "00000/samples: no image"
    answer = FolderGenerator("f", model=str(tmp_path)).generate([ask("x")])[0]
    assert answer.outcome is Outcome.ERROR
    assert message in answer.message


def test_damage_inside_an_archive_names_the_member(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, data in [("ok.txt", b"a"), ("ok.png", IMAGES[JOBS[0], 0]), ("no.txt", b"b"), ("two.txt", b"c")]:
            add(archive, name, data)
        for name, data in [("two.png", b"1"), ("two.jpg", b"2"), ("big.txt", b"d"), ("big.png", bytes(5000))]:
            add(archive, name, data)
        link = tarfile.TarInfo("ln.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)
        add(archive, "ln.txt", b"e")
        add(archive, "not.txt", b"f")
        add(archive, "not.png", b"GIF89a")
    generator = FolderGenerator("f", model=str(tmp_path / "a.tar"), options={"max_bytes": 4000})
    answers = generator.generate([ask(text) for text in "abcdef"])
    assert answers[0].image == IMAGES[JOBS[0], 0]
    assert {a.outcome for a in answers[1:]} == {Outcome.ERROR}
    messages = [a.message for a in answers[1:]]
    for message, words in zip(
        messages, ["no image member", "several images", "5000 bytes", "no image member", "not a PNG"], strict=True
    ):
        assert words in message
    assert "(a.tar: big)" in messages[2]
    generator.close()


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("a.png", b"1")], "neither text nor prompt_id"),
        ([("a.json", b"{"), ("a.png", b"1")], "a.json cannot be read"),
        ([("a.json", b"[1]"), ("a.png", b"1")], "not a JSON object"),
        ([("a.txt", b"\xff\xfe\xfa"), ("a.png", b"1")], "a.txt cannot be read"),
    ],
)
def test_samples_without_a_prompt_are_told_with_their_key(tmp_path, members, message):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, data in members:
            add(archive, name, data)
    with pytest.raises(GeneratorError, match=message) as caught:
        FolderGenerator("f", model=str(tmp_path)).generate([ask("x")])
    assert "a.tar: a" in caught.value.where


def test_a_cut_archive_and_a_cut_parquet_file_are_told(tmp_path):
    archive = next(webdataset(tmp_path / "w").glob("*.tar"))
    archive.write_bytes(archive.read_bytes()[:2000])
    with pytest.raises(GeneratorError, match="cannot be read") as caught:
        FolderGenerator("f", model=str(archive)).generate([ask("x")])
    assert "after " in caught.value.where
    table = plain_parquet(tmp_path / "p")
    table.write_bytes(table.read_bytes()[:-20])
    with pytest.raises(GeneratorError, match="cannot be read") as caught:
        FolderGenerator("f", model=str(table)).generate([ask("x")])
    assert caught.value.hint


def test_a_parquet_row_without_bytes_is_an_error_row(tmp_path):
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    cells = pa.array([{"bytes": None, "path": "a.png"}, None, {"bytes": b"", "path": "c.png"}], kind)
    pq.write_table(pa.table({"image": cells, "text": ["a", "b", "c"]}), tmp_path / "x.parquet")
    answers = FolderGenerator("f", model=str(tmp_path)).generate([ask(text) for text in "abc"])
    assert [a.message for a in answers] == [
        "a.png: the row holds no image bytes (x.parquet, row 0)",
        "x.parquet#1: the row holds no image bytes (x.parquet, row 1)",
        "c.png: the file is empty (x.parquet, row 2)",
    ]


def test_heim_states_without_an_image_say_why(tmp_path):
    def state(text, result):
        return {"instance": {"input": {"text": text}, "id": "id1"}, "request": {"prompt": text}, "result": result}

    refused = {"text": "", "finish_reason": {"reason": "The prompt violates the content policy."}}
    states = [
        state("a", {"success": False, "error": "timed out", "completions": []}),
        state("b", {"success": True, "completions": [refused]}),
        state("c", {"success": True, "completions": [{"text": "", "multimodal_content": None}]}),
    ]
    put(tmp_path / "scenario_state.json", json.dumps({"request_states": states}))
    answers = FolderGenerator("f", model=str(tmp_path)).generate([ask(text) for text in "abc"])
    assert [a.outcome for a in answers] == [Outcome.ERROR, Outcome.REFUSED, Outcome.ERROR]
    assert ["timed out" in answers[0].message, "policy" in answers[1].message] == [True, True]
    assert "request state 3, completion 1" in answers[2].message


def test_what_could_be_two_layouts_is_not_guessed(tmp_path):
    parquet(tmp_path)
    webdataset(tmp_path / "more")
    with pytest.raises(ConfigError, match="parquet and webdataset") as caught:
        FolderGenerator("f", model=str(tmp_path))
    assert "layout: parquet" in caught.value.hint
    chosen = FolderGenerator("f", model=str(tmp_path), options={"layout": "webdataset"})
    assert chosen.generate([ask(JOBS[0])])[0].image == IMAGES[JOBS[0], 0]
    chosen.close()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layout": "zip"}, "no layout 'zip'"),
        ({"layout": "parquet"}, "holds nothing in the layout 'parquet'"),
        ({"layout": "heim"}, "holds nothing in the layout 'heim'"),
        ({"max_bytes": 0}, "at least 1"),
        ({"allow_outside": "yes"}, "must be bool"),
    ],
)
def test_wrong_options_are_told(tmp_path, options, message):
    put(tmp_path / "a.png", IMAGES[JOBS[0], 0])
    with pytest.raises(ConfigError, match=message):
        FolderGenerator("f", model=str(tmp_path), options=options)


def test_columns_may_be_named(tmp_path):
    rows = {"left": [b"x", b"y"], "right": [IMAGES[JOBS[0], 0], IMAGES[JOBS[1], 0]], "said": ["a", "b"]}
    pq.write_table(pa.table(rows), tmp_path / "x.parquet")
    with pytest.raises(ConfigError, match="several columns hold bytes"):
        FolderGenerator("f", model=str(tmp_path)).generate([ask("a")])
    options = {"image_column": "right", "text_column": "said"}
    generator = FolderGenerator("f", model=str(tmp_path), options=options)
    assert generator.generate([ask("b")])[0].image == IMAGES[JOBS[1], 0]
    with pytest.raises(ConfigError, match="compressed"):
        FolderGenerator("f", model=str(put(tmp_path / "a.tar.gz", b"")))


def test_compbench_names_that_hold_no_number_are_told(tmp_path):
    put(tmp_path / "samples" / "a bench.png", b"")
    with pytest.raises(GeneratorError, match="six digits") as caught:
        FolderGenerator("f", model=str(tmp_path)).generate([ask("a bench")])
    assert "a bench.png" in caught.value.where


def test_ten_thousand_rows_take_time_in_proportion(tmp_path):
    """Ten times the rows must not take a hundred times as long; a wide margin, since machines are busy."""

    def seconds(n):
        root = tmp_path / str(n)
        root.mkdir()
        (root / "a.png").write_bytes(IMAGES[JOBS[0], 0])
        rows = [{"file_name": "a.png", "text": f"prompt {i}"} for i in range(n)]
        (root / "metadata.jsonl").write_text(lines(rows))
        batches = [[ask(f"prompt {i}") for i in range(start, start + 50)] for start in range(0, n, 50)]
        generator, start = FolderGenerator("f", model=str(root)), time.process_time()
        assert all(a.outcome is Outcome.IMAGE for batch in batches for a in generator.generate(batch))
        return time.process_time() - start

    seconds(100)
    assert seconds(10_000) < 30 * max(seconds(1_000), 0.02)


def test_repetitions_that_lie_far_apart_are_not_read_again_and_again(tmp_path, monkeypatch):
    """Four rounds over all prompts in one row group, asked for prompt by prompt, with room for little."""
    from audit.generators.finished import _parquet

    monkeypatch.setattr(_parquet, "_KEPT", 1)
    prompts, rounds, read = 320, 4, []
    cells = [IMAGES[JOBS[0], 0] + n.to_bytes(2, "big") for n in range(prompts * rounds)]
    texts = [f"p{n % prompts}" for n in range(prompts * rounds)]
    pq.write_table(pa.table({"image": cells, "text": texts}), tmp_path / "x.parquet")
    keep = _parquet._Shard._keep
    monkeypatch.setattr(_parquet._Shard, "_keep", lambda *given: (read.append(given[1]), keep(*given))[1])
    generator = FolderGenerator("f", model=str(tmp_path))
    for start in range(0, prompts, 16):
        batch = [ask(f"p{i}", repetition=k) for i in range(start, start + 16) for k in range(rounds)]
        found = [a.image for a in generator.generate(batch)]
        assert found == [cells[prompts * r.repetition + int(r.prompt.text[1:])] for r in batch]
    generator.close()
    assert len(read) <= 2.5 * prompts * rounds / 16  # once each, and the way to four places


def test_a_large_row_group_is_not_held_whole_and_order_does_not_matter(tmp_path, monkeypatch):
    """64 MB of images in one row group, asked for from the back to the front, with room for 4 MB."""
    from audit.generators.finished import _parquet

    monkeypatch.setattr(_parquet, "_KEPT", 4 * 2**20)
    n, size = 256, 2**18
    head = IMAGES[JOBS[0], 0]
    cells = [head + np.random.default_rng(i).bytes(size) for i in range(n)]
    table = pa.table({"image": cells, "text": [f"p{i}" for i in range(n)]})
    pq.write_table(table, tmp_path / "x.parquet", write_batch_size=4, use_dictionary=False)  # pages of 1 MB
    del table
    expected = {f"p{i}": hash(cell) for i, cell in enumerate(cells)}
    del cells
    generator = FolderGenerator("f", model=str(tmp_path))
    tracemalloc.start()
    pool = pa.default_memory_pool().bytes_allocated()
    for start in range(n - 32, -1, -32):
        batch = [ask(f"p{i}") for i in range(start, start + 32)]
        assert [hash(a.image) for a in generator.generate(batch)] == [expected[r.prompt.text] for r in batch]
    peak = tracemalloc.get_traced_memory()[1] + pa.default_memory_pool().bytes_allocated() - pool
    tracemalloc.stop()
    generator.close()
    assert peak < 40 * 2**20
