# SPDX-License-Identifier: Apache-2.0
"""Sources that mean harm or are simply wrong: nothing leaves its folder, and everything is told."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from audit.datasets import CollectOptions, clean, collect, open_set
from audit.errors import ConfigError, StoreError


def _png(seed: int = 0) -> bytes:
    sink = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (32, 32, 3), np.uint8)).save(sink, "PNG")
    return sink.getvalue()


def _tar(path: Path, *members: tuple[str, bytes | None]) -> str:
    """Members without bytes are links to /etc/passwd."""
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            if data is None:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            else:
                info.size = len(data)
            archive.addfile(info, io.BytesIO(data or b""))
    return str(path)


def test_an_archive_writes_nowhere_but_into_the_set(tmp_path: Path) -> None:
    source = _tar(
        tmp_path / "x.tar", ("../../evil.png", _png(1)), ("/abs/evil.png", _png(2)), ("link.png", None), (".a", b"x")
    )
    collect([source], tmp_path / "out")
    found = open_set(tmp_path / "out")
    assert [record.name for record in found.records] == ["../../evil.png", "/abs/evil.png"]
    assert [(row.name, row.reason) for row in found.dropped] == [("link.png", "link"), (".a", "hidden")]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "x.tar"]
    inside = {p.name for p in (tmp_path / "out" / "images").rglob("*.png")}
    assert inside == {f"{record.sha256}.png" for record in found.records}


def test_one_name_twice_stays_two(tmp_path: Path) -> None:
    source = _tar(tmp_path / "x.tar.gz", ("a.png", _png(1)), ("a.png", _png(2)), ("a.png#2", _png(3)))
    collect([source], tmp_path / "out")
    assert [r.name for r in open_set(tmp_path / "out").records] == ["a.png", "a.png#2", "a.png#2#2"]


def test_sidecars_belong_to_their_key_and_orphans_are_told(tmp_path: Path) -> None:
    source = _tar(
        tmp_path / "x.tar",
        ("a.png", _png(1)),
        ("a.json", b'{"license": "MIT", "width": 7, "deep": {"x": [1]}}'),
        ("b.png", _png(2)),
        ("b.json", b"[1, 2"),
        ("c.txt", b"nobody's words"),
    )
    collect([source], tmp_path / "raw", options=CollectOptions(licence="CC0-1.0"))
    found = open_set(tmp_path / "raw")
    assert [(r.name, r.licence) for r in found.records] == [("a.png", "MIT"), ("c.txt", "CC0-1.0")]
    assert found.records[0].meta == {"width_given": 7, "deep": '{"x": [1]}'}
    assert found.records[0].width == 32
    assert [(d.name, d.reason) for d in found.dropped] == [("b.png", "bad_metadata")]
    clean(tmp_path / "raw", tmp_path / "clean")
    assert [d.reason for d in open_set(tmp_path / "clean").dropped] == ["bad_metadata", "not_image"]


def test_a_row_without_bytes_is_told_and_columns_can_be_named(tmp_path: Path) -> None:
    table = pa.table({"mask": [b"1", b"2"], "photo": [_png(1), None], "text": ["a", "b"], "note": ["x", None]})
    pq.write_table(table, tmp_path / "x.parquet")
    options = CollectOptions(image_column="photo", caption_column="note")
    done = collect([str(tmp_path / "x.parquet")], tmp_path / "out", options=options)
    found = open_set(tmp_path / "out")
    assert (done.given, done.kept, done.dropped) == (2, 1, {"missing": 1})
    assert (found.records[0].caption, found.records[0].meta) == ("x", {"text": "a"})
    with pytest.raises(ConfigError, match="holds no images") as caught:
        collect([str(tmp_path / "x.parquet")], tmp_path / "o", options=CollectOptions(image_column="text"))
    assert "photo" in str(caught.value.hint)


def test_names_that_are_no_unicode_and_files_that_are_no_files(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.png")).write_bytes(_png())
    os.mkfifo(folder / "pipe.png")  # reading it would wait for ever
    (folder / "loop").symlink_to(folder)
    collect([str(folder)], tmp_path / "out")
    found = open_set(tmp_path / "out")
    assert [record.name for record in found.records] == ["caf�.png"]
    assert {(row.name, row.reason) for row in found.dropped} == {("pipe.png", "link"), ("loop", "link")}


def test_a_folder_with_archives_in_it_is_several_sources(tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "a.png").write_bytes(_png(1))
    _tar(folder / "b.tar", ("b.png", _png(2)))
    pq.write_table(pa.table({"image": [_png(3)]}), folder / "c.parquet")
    collect([str(folder)], tmp_path / "out")
    names = [(r.source.removeprefix(str(folder)), r.name) for r in open_set(tmp_path / "out").records]
    assert names == [("", "a.png"), ("/b.tar", "b.png"), ("/c.parquet", "row-00000000")]


def test_programs_are_not_run(tmp_path: Path) -> None:
    """Pillow hands PostScript to another program; we do not even open it."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\nshowpage\n")
    collect([str(tmp_path / "in")], tmp_path / "raw")
    clean(tmp_path / "raw", tmp_path / "out")
    assert [row.reason for row in open_set(tmp_path / "out").dropped] == ["not_image"]


def test_a_torn_archive_and_a_wrong_place_are_errors(tmp_path: Path) -> None:
    source = Path(_tar(tmp_path / "x.tar.gz", ("a.png", _png(1)), ("b.png", _png(2))))
    source.write_bytes(source.read_bytes()[:-500])
    with pytest.raises(StoreError, match=r"x\.tar\.gz"):
        collect([str(source)], tmp_path / "out")
    (tmp_path / "in").mkdir()
    for out in (tmp_path / "in", tmp_path / "in" / "out", tmp_path):
        with pytest.raises(ConfigError):
            collect([str(tmp_path / "in")], out)
    with pytest.raises(ConfigError, match="twice"):
        collect([str(tmp_path / "in")] * 2, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("metadata.csv", "file_name,text\na.png,one,two\n", "more cells"),
        ("metadata.csv", "name\na.png\n", "no file_name"),
        ("metadata.jsonl", '{"file_name": "a.png"}\n{"file_name": "./a.png"}\n', "named twice"),
        ("metadata.jsonl", "[]\n", "no file_name"),
        ("metadata.jsonl", "{\n", "not a JSON object"),
    ],
)
def test_malformed_metadata_is_an_error_with_its_line(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        collect([str(tmp_path / "in")], tmp_path / "out")
    assert f"{name}:" in str(caught.value)
