# SPDX-License-Identifier: Apache-2.0
"""Image sets through the real command line: from a folder full of damage to a clean set, and what went and why."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import struct
import subprocess
import sys
import tarfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from audit.annotators._references import Reference
from audit.cli import _main
from audit.datasets import collect, open_set
from audit.features import Extractor, FeatureStore, Identity
from audit.reference.render import render
from audit.reference.world import AGES, PRESENTATIONS, TONE_BANDS, People, sample_people, tone_band


def _people(n: int, seed: int = 5) -> People:
    return sample_people(n, rng=np.random.default_rng(seed), identity_pool="heldout")


@pytest.fixture(scope="module")
def faces() -> NDArray[np.uint8]:
    return render(_people(16))


def _file(rgb: Any, kind: str = "PNG", **options: Any) -> bytes:
    sink = io.BytesIO()
    image = rgb if isinstance(rgb, Image.Image) else Image.fromarray(rgb)
    image.save(sink, kind, **options)
    return sink.getvalue()


def _bomb() -> bytes:
    """A PNG of 60 bytes that claims 30000x30000 pixels."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def _flipped(data: bytes) -> bytes:
    """One byte in the middle of the compressed pixels is another."""
    broken = bytearray(data)
    broken[len(data) // 2] ^= 0xFF
    return bytes(broken)


def _turned(rgb: NDArray[np.uint8]) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return _file(rgb, "PNG", exif=exif)


#: file -> (reason, in the words that are told); everything else in the folder is kept.
EXPECTED = {
    ".hidden.png": ("collect", "hidden", "dot"),
    "link.png": ("collect", "link", "link"),
    "heavy.png": ("collect", "too_many_bytes", "more than 150000"),
    "gone.png": ("collect", "missing", "not there"),
    "../secret.png": ("collect", "outside", "out of its folder"),
    "empty.png": ("clean", "empty", "no bytes"),
    "page.jpg": ("clean", "not_image", "not an image"),
    "notes.md": ("clean", "not_image", "not an image"),
    "cut.jpg": ("clean", "truncated", "truncated"),
    "cut.png": ("clean", "truncated", "truncated"),
    "stub.png": ("clean", "truncated", "runcated"),
    "garbled.jpg": ("clean", "undecodable", "header"),
    "flipped.png": ("clean", "undecodable", ""),
    "bomb.png": ("clean", "bomb", "claims more than"),
    "tiny.png": ("clean", "too_small", "8x8"),
    "large.png": ("clean", "too_large", "600x300"),
    "strip.png": ("clean", "aspect", "320x32"),
    "cmyk.jpg": ("clean", "mode", "cmyk"),
    "float.tiff": ("clean", "mode", "which level is white"),
    "moving.gif": ("clean", "animated", "3 frames"),
    "blank.jpg": ("clean", "constant", "nothing but"),
    "same.webp": ("clean", "exact_duplicate", "same pixels as 00.png"),
    "near.jpg": ("clean", "near_duplicate", "near duplicate of 01.png"),
    "smaller.png": ("clean", "near_duplicate", "near duplicate of 02.png"),
}


def _damaged_folder(folder: Path, faces: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
    """Writes the folder; returns the pixels that the clean set must hold, by name."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 256, (256, 256, 3), np.uint8)
    good = {f"{i:02d}.png": faces[i] for i in range(8)}
    alpha = np.dstack([faces[9], np.full((64, 64), 255, np.uint8)])
    alpha[:8, :, 3] = 0
    deep = np.asarray(Image.fromarray(faces[10]).convert("L")).astype(np.uint16) * 257
    grey = Image.fromarray(faces[11]).convert("L")
    palette = Image.fromarray(faces[12]).quantize(64)
    files: dict[str, bytes] = {name: _file(rgb) for name, rgb in good.items()}
    files |= {
        "turned.png": _turned(faces[8]),
        "alpha.png": _file(alpha),
        "deep.png": _file(Image.fromarray(deep)),
        "grey.png": _file(grey),
        "palette.png": _file(palette),
        ".hidden.png": _file(faces[13]),
        "heavy.png": _file(noise),
        "empty.png": b"",
        "page.jpg": b"<!doctype html><title>404</title>" * 20,
        "notes.md": b"where these come from",
        "cut.jpg": _file(noise[:128, :128], "JPEG")[:-900],
        "cut.png": _file(noise[:96, :96])[:-5000],
        "stub.png": _file(faces[13])[:20],
        "garbled.jpg": _file(faces[13], "JPEG")[:3] + bytes(range(200)),
        "flipped.png": _flipped(_file(noise[:64, :64])),
        "bomb.png": _bomb(),
        "tiny.png": _file(noise[:8, :8]),
        "large.png": _file(Image.fromarray(faces[13]).resize((600, 300))),
        "strip.png": _file(noise[:32].repeat(2, axis=1)[:, :320]),
        "cmyk.jpg": _file(Image.fromarray(faces[14]).convert("CMYK"), "JPEG"),
        "float.tiff": _file(Image.fromarray(faces[14].mean(axis=2).astype(np.float32)), "TIFF"),
        "moving.gif": _file(
            Image.fromarray(faces[13]), "GIF", save_all=True, append_images=[Image.fromarray(f) for f in faces[14:16]]
        ),
        "blank.jpg": _file(np.full((64, 64, 3), 200, np.uint8), "JPEG"),
        "same.webp": _file(faces[0], "WEBP", lossless=True),
        "near.jpg": _file(faces[1], "JPEG", quality=90),
        "smaller.png": _file(Image.fromarray(faces[2]).resize((61, 61), Image.Resampling.BICUBIC)),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / "link.png").symlink_to("/etc/hostname")
    rows = [{"file_name": f"{i:02d}.png", "text": f"person {i}", "photographer": f"p{i % 3}"} for i in range(8)]
    rows += [{"file_name": "gone.png"}, {"file_name": "../secret.png"}]
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    white = alpha[..., :3].copy()
    white[:8] = 255
    return good | {
        "turned.png": np.asarray(ImageOps.exif_transpose(Image.open(folder / "turned.png"))),
        "alpha.png": white,
        "deep.png": np.repeat((deep >> 8).astype(np.uint8)[..., None], 3, axis=2),
        "grey.png": np.asarray(grey.convert("RGB")),
        "palette.png": np.asarray(palette.convert("RGB")),
    }


@pytest.fixture
def here(monkeypatch, capsys, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The same command line in this process, which saves a second a call; from the words to the exit code."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
        line = ["genaudit", *map(str, words)]
        monkeypatch.setattr(sys, "argv", line)
        capsys.readouterr()
        code = _main._run()
        return subprocess.CompletedProcess(line, code, *capsys.readouterr())

    return run


def _ok(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def _pixels(folder: Path) -> dict[str, NDArray[np.uint8]]:
    found = open_set(folder)
    return {r.name: np.asarray(Image.open(found.image_path(r)).convert("RGB")) for r in found.records}


def _rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "dropped.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_damaged_folder_becomes_a_clean_set_and_a_list_of_what_went_and_why(faces, genaudit, tmp_path: Path) -> None:
    wanted = _damaged_folder(tmp_path / "photos", faces)
    _ok(genaudit("data", "collect", "photos", "--out", "raw", "--max-bytes", "150000", "--licence", "CC0-1.0", "-q"))
    told = genaudit("data", "clean", "raw", "--out", "clean", "--max-side", "512", "--drop-mode", "cmyk",
                    "--animated", "drop", "--json", "-q")  # fmt: skip
    rows = _rows(tmp_path / "clean")
    assert {row["name"]: (row["step"], row["reason"]) for row in rows} == {k: v[:2] for k, v in EXPECTED.items()}
    assert len(rows) == len(EXPECTED) >= 12
    for row in rows:
        assert EXPECTED[row["name"]][2] in row["words"], row
        assert row["source"] == "photos"
        assert (row["sha256"] == "") == (row["step"] == "collect"), row
    found = _pixels(tmp_path / "clean")
    assert found.keys() == wanted.keys()
    for name, rgb in wanted.items():
        assert np.array_equal(found[name], rgb), name
    summary = json.loads(_ok(told))
    assert summary["kept"] == len(wanted)
    assert summary["given"] == summary["kept"] + sum(summary["dropped"].values())
    by_name = {record.name: record for record in open_set(tmp_path / "clean").records}
    assert (by_name["03.png"].caption, by_name["03.png"].meta["photographer"]) == ("person 3", "p0")
    assert by_name["03.png"].parent is None  # untouched files keep their bytes
    assert by_name["turned.png"].parent == by_name["turned.png"].origin != by_name["turned.png"].sha256
    assert {record.licence for record in by_name.values()} == {"CC0-1.0"}
    assert {record.mode for record in by_name.values()} == {"RGB"}
    steps = open_set(tmp_path / "clean").steps
    assert [step["step"] for step in steps] == ["collect", "clean"]
    assert steps[0]["digest"] == steps[1]["input"]


def _as_folder(path: Path, faces: NDArray[np.uint8]) -> Path:
    (path / "a").mkdir(parents=True)
    lines = ["file_name,text,age"]
    for i, rgb in enumerate(faces):
        (path / "a" / f"{i}.png").write_bytes(_file(rgb))
        lines.append(f'{i}.png,"person {i}, sitting",{i}')
    (path / "a" / "metadata.csv").write_text("\n".join(lines) + "\n")
    return path


def _as_parquet(path: Path, faces: NDArray[np.uint8], *, struct_column: bool) -> Path:
    cells: list[Any] = [_file(rgb) for rgb in faces]
    if struct_column:
        cells = [{"bytes": cell, "path": f"{i}.png"} for i, cell in enumerate(cells)]
    captions = [f"person {i}, sitting" for i in range(len(faces))]
    pq.write_table(pa.table({"image": cells, "text": captions, "age": list(range(len(faces)))}), path)
    return path


def _as_tar(path: Path, faces: NDArray[np.uint8]) -> Path:
    with tarfile.open(path, "w") as archive:
        for i, rgb in enumerate(faces):
            parts = {"png": _file(rgb), "json": json.dumps({"age": i}).encode(), "txt": b"person %d, sitting\n" % i}
            for suffix, data in parts.items():
                info = tarfile.TarInfo(f"{i}.{suffix}")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return path


KINDS: dict[str, Callable[[Path, NDArray[np.uint8]], Path]] = {
    "folder": lambda path, faces: _as_folder(path / "folder", faces),
    "struct.parquet": lambda path, faces: _as_parquet(path / "struct.parquet", faces, struct_column=True),
    "plain.parquet": lambda path, faces: _as_parquet(path / "plain.parquet", faces, struct_column=False),
    "web.tar": lambda path, faces: _as_tar(path / "web.tar", faces),
}


def test_all_kinds_of_source_give_the_same_images_and_words(faces, here, tmp_path: Path) -> None:
    sources = [make(tmp_path, faces[:5]).name for make in KINDS.values()]
    _ok(here("data", "collect", *sources, "--out", "raw"))
    records = open_set(tmp_path / "raw").records
    assert len(records) == 20
    content = {
        source: [(r.sha256, r.caption, str(r.meta["age"])) for r in records if r.source == source] for source in sources
    }
    assert content["folder"] == content["struct.parquet"] == content["plain.parquet"] == content["web.tar"]
    assert content["folder"][3][1:] == ("person 3, sitting", "3")
    assert [r.name for r in records if r.source == "folder"][:2] == ["a/0.png", "a/1.png"]
    assert len(list((tmp_path / "raw" / "images").rglob("*.png"))) == 5  # content-addressed: one file each


@pytest.fixture(scope="module")
def raw(faces, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    _as_folder(folder / "photos", faces)
    collect([str(folder / "photos")], folder / "set")
    return folder / "set"


def test_augmented_copies_are_the_same_for_the_same_seed(raw, here, tmp_path: Path) -> None:
    words = ["--transform", "crop:share=0.7..0.9", "--transform", "noise:sigma=3", "--transform", "jpeg:quality=40..90"]
    for out, seed in (("a", 1), ("b", 1), ("c", 2)):
        _ok(here("data", "augment", raw, "--out", out, *words, "--copies", "2", "--seed", str(seed), "-q"))
    a, b, c = (open_set(tmp_path / name) for name in "abc")
    assert a.records == b.records
    assert (tmp_path / "a" / "records.parquet").read_bytes() == (tmp_path / "b" / "records.parquet").read_bytes()
    assert {r.sha256 for r in a.records}.isdisjoint(r.sha256 for r in c.records)
    given = open_set(raw).records
    assert [r.parent for r in a.records] == [r.sha256 for r in given for _ in range(2)]
    assert {r.media_type for r in a.records} == {"image/jpeg"}
    assert len({r.sha256 for r in a.records}) == 32
    assert all(r.width == r.height and 45 <= r.width <= 58 for r in a.records)


def test_normalised_images_have_one_size_and_say_how(raw, here, tmp_path: Path) -> None:
    _ok(here("data", "normalise", raw, "--out", "wide", "--size", "48x24", "--kernel", "lanczos", "--fit", "crop",
                 "--range=-1..1"))  # fmt: skip
    found = open_set(tmp_path / "wide")
    first = found.records[0]
    assert {(r.width, r.height, r.media_type) for r in found.records} == {(48, 24, "image/png")}
    assert (first.meta["levels"], first.meta["kernel"], first.meta["fit"]) == ("-1..1", "lanczos", "crop")
    before = open_set(raw)
    image = Image.open(before.image_path(before.records[0]))
    # The kernel sees beyond the edge of a window inside the resize, so the truth is only exact away from the edge.
    truth = np.asarray(image.crop((0, 16, 64, 48)).resize((48, 24), Image.Resampling.LANCZOS))
    difference = np.abs(np.asarray(Image.open(found.image_path(first))).astype(int) - truth)
    assert difference[5:-5].max() <= 1
    other = np.asarray(image.crop((0, 16, 64, 48)).resize((48, 24), Image.Resampling.BOX)).astype(int)
    assert np.abs(other - truth)[5:-5].max() > 5  # another kernel would be seen


def test_a_split_leaks_nothing(raw, faces, here, tmp_path: Path) -> None:
    _ok(here("data", "augment", raw, "--out", "near", "--transform", "jpeg:quality=90", "-q"))
    _ok(here("data", "augment", raw, "--out", "far", "--transform", "rotate:degrees=70", "-q"))
    folders = [str(path / "images") for path in (raw, tmp_path / "near", tmp_path / "far")]
    _ok(here("data", "collect", *folders, "--out", "all", "-q"))
    line = ["data", "split", "all", "--parts", "train=0.5,val=0.25,test=0.25", "--seed", "3"]
    _ok(here(*line, "--out", "parts"))
    parts = {name: open_set(tmp_path / "parts" / name) for name in ("train", "val", "test")}
    assert sum(len(part.records) for part in parts.values()) == 48
    place = {record.sha256: name for name, part in parts.items() for record in part.records}
    near = open_set(tmp_path / "near").records
    assert all(place[record.sha256] == place[record.parent] for record in near)
    reached = json.loads((tmp_path / "parts" / "split.json").read_text())["parts"]
    assert sum(part["images"] for part in reached.values()) == 48
    assert all(abs(part["reached"] - part["asked"]) < 0.05 for part in reached.values())
    # What was rotated looks like nothing else, but in a set of copies its origin is known.
    _ok(here("data", "augment", raw, "--out", "many", "--transform", "rotate:degrees=-90..90", "--copies", "3", "-q"))
    _ok(here("data", "split", "many", "--parts", "a=0.5,b=0.5", "--out", "halves", "-q"))
    origins = [{r.origin for r in open_set(tmp_path / "halves" / name).records} for name in "ab"]
    assert origins[0].isdisjoint(origins[1])
    assert {len(names) for names in origins} == {8}


def test_a_column_does_not_straddle(raw, here, tmp_path: Path) -> None:
    rows = open_set(raw).records
    assert len({r.meta["age"] for r in rows}) == 16
    missing = here("data", "split", raw, "--parts", "a=0.5,b=0.5", "--out", "halves", "--by", "nothing")
    assert missing.returncode == 2
    assert "age" in missing.stderr
    _ok(here("data", "split", raw, "--parts", "a=0.5,b=0.5", "--out", "halves", "--by", "source", "-q"))
    sizes = sorted(len(open_set(tmp_path / "halves" / name).records) for name in "ab")
    assert sizes == [0, 16]  # one source: it cannot be divided


def test_a_card_covers_the_truth(here, tmp_path: Path) -> None:
    people = _people(300, seed=11)
    (tmp_path / "photos").mkdir()
    for i, rgb in enumerate(render(people)):
        (tmp_path / "photos" / f"{i:04d}.png").write_bytes(_file(rgb))
    _ok(here("data", "collect", "photos", "--out", "set", "--licence", "CC0-1.0", "-q"))
    content = json.loads(_ok(here("data", "card", "set", "--json", "-q")))
    assert (content["images"], content["licences"]) == (300, {"CC0-1.0": 300})
    assert content["width"] == {"least": 64, "median": 64, "most": 64}
    assert content["digest"] == open_set(tmp_path / "set").steps[-1]["digest"]
    truth = {
        "presentation": {name: float((people.presentation == i).mean()) for i, name in enumerate(PRESENTATIONS)},
        "age": {name: float((people.age == i).mean()) for i, name in enumerate(AGES)},
        "tone_band": {band: float(np.mean([tone_band(t) == band for t in people.tone])) for band in TONE_BANDS},
    }
    seen = {row["attribute"]: row for row in content["composition"]}
    for attribute, shares in truth.items():
        row = seen[attribute]
        assert (row["status"], row["n"]) == ("ok", 300)
        for group in row["groups"]:
            assert group["low"] <= shares[group["name"]] <= group["high"], (attribute, group, shares)
            assert group["high"] - group["low"] < 0.25
    text = (tmp_path / "set" / "CARD.md").read_text()
    assert "Perceived presentation" in text
    assert content["digest"] in text


def test_a_set_serves_as_reference_and_its_features_are_kept(raw, tmp_path: Path) -> None:
    calls = []

    def embed(pictures: Any) -> NDArray[np.float32]:
        calls.append(len(pictures))
        return np.stack([p.reshape(-1, 3).mean(axis=0) for p in pictures]).astype(np.float32)

    means = Extractor(Identity("means", weights="", kernel="", scaling=""), 3, embed)
    reference = Reference.parse({"images": str(raw)}, where="test")
    first = reference.features(means, FeatureStore(means.identity, root=tmp_path))
    assert first.shape == (16, 3)
    # Some of the sixteen show the same; each distinct one is embedded once.
    assert np.array_equal(reference.features(means, FeatureStore(means.identity, root=tmp_path)), first)
    assert calls == [len(np.unique(first, axis=0))]


def test_what_is_wrong_is_told(raw, here, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "metadata.jsonl").write_text('{"file_name": "a.png"}\n{"text": 3}\n')
    (tmp_path / "torn.tar").write_bytes(b"\0" * 100 + b"x" * 1000)
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 and no more")
    cases: list[tuple[int, list[str], list[str | Path]]] = [
        (2, ["nowhere", "does not exist"], ["collect", "nowhere", "--out", "o"]),
        (2, ["metadata.jsonl:2", "no file_name"], ["collect", "bad", "--out", "o"]),
        (20, ["torn.tar"], ["collect", "torn.tar", "--out", "o"]),
        (20, ["torn.parquet"], ["collect", "torn.parquet", "--out", "o"]),
        (2, ["not a data set"], ["clean", raw, "--out", "mine", "--force"]),
        (2, ["in one another"], ["clean", raw, "--out", raw / "inner"]),
        (20, ["not a data set", "genaudit data collect"], ["clean", "mine", "--out", "o"]),
        (2, ["jpg", "did you mean 'jpeg'?"], ["augment", raw, "--out", "o", "--transform", "jpg"]),
        (2, ["out of range"], ["augment", raw, "--out", "o", "--transform", "jpeg:quality=700"]),
        (2, ["1.1", "sum to 1"], ["split", raw, "--out", "o", "--parts", "a=0.5,b=0.6"]),
        (2, ["no size"], ["normalise", raw, "--out", "o", "--size", "huge"]),
    ]
    for code, words, line in cases:
        done = here("data", *line)
        assert done.returncode == code, (line, done.stderr)
        assert all(word in done.stderr for word in words), (line, done.stderr)
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "o").exists()
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad", "mine", "torn.parquet", "torn.tar"]  # no leftovers


def test_a_set_is_replaced_only_by_force(raw, here, tmp_path: Path) -> None:
    _ok(here("data", "normalise", raw, "--out", "o", "--size", "32", "-q"))
    again = here("data", "normalise", raw, "--out", "o", "--size", "16", "-q")
    assert again.returncode == 2
    assert "--force" in again.stderr
    assert open_set(tmp_path / "o").records[0].width == 32
    _ok(here("data", "normalise", raw, "--out", "o", "--size", "16", "--force", "-q"))
    assert open_set(tmp_path / "o").records[0].width == 16
    assert [p.name for p in tmp_path.iterdir()] == ["o"]


def test_an_interrupt_leaves_no_half_set(raw, tmp_path: Path) -> None:
    line = [sys.executable, "-m", "audit", "data", "augment", str(raw), "--out", "o", "-q", "--copies", "400",
            "--transform", "blur:radius=9"]  # fmt: skip
    running = subprocess.Popen(line, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".o-*/images/*/*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(running.pid, signal.SIGINT)
    _, words = running.communicate(timeout=120)
    assert running.returncode == 130, words
    assert list(tmp_path.iterdir()) == []
