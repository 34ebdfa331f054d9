# SPDX-License-Identifier: Apache-2.0
"""Every image is found, none is lost because it was hard to read, and nothing is unpacked."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audit.errors import ConfigError
from audit.provenance import State, verify_many
from audit.provenance._sources import SUFFIXES, Source, find, named


def names(*paths: Path, **options) -> list[str]:
    return [source.name for source in find(paths, **options)]


def write(path: Path, data: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def archive(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def test_files_are_taken_whatever_they_are_called(tmp_path) -> None:
    path = write(tmp_path / "no suffix")
    assert list(find([path])) == [Source(str(path), path)]
    assert named(str(path)) == named(path) == Source(str(path), path)
    source = Source("x", data=b"y")
    assert named(source) is source


def test_folders_in_a_fixed_order(tmp_path) -> None:
    for suffix in SUFFIXES:
        write(tmp_path / "b" / f"x{suffix}")
        write(tmp_path / "b" / f"X{suffix.upper()}")
    for name in ("a/z.png", "a/b/c/deep.jpg", "notes.txt", "script.svg", "a/no_suffix", "c.png/inside.gif"):
        write(tmp_path / name)
    found = names(tmp_path)
    assert found == names(tmp_path)
    assert len(found) == 2 * len(SUFFIXES) + 3
    assert str(tmp_path / "c.png/inside.gif") in found
    assert not [name for name in found if name.endswith((".txt", ".svg", "no_suffix"))]


def test_links(tmp_path) -> None:
    image = write(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "link.png").symlink_to(image)
    (tmp_path / "in" / "dangling.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "in" / "self.png").symlink_to(tmp_path / "in" / "self.png")
    found = list(find([tmp_path / "in"]))
    assert sorted(Path(source.name).name for source in found) == ["a.png", "dangling.png", "link.png", "self.png"]
    states = [verdict.state for verdict in verify_many(found, isolated=False)]
    assert states == [State.UNREADABLE] * 4  # none is lost


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_opened(tmp_path) -> None:
    closed = tmp_path / "closed"
    write(closed / "a.png")
    closed.chmod(0)
    try:
        (source,) = find([tmp_path])
    finally:
        closed.chmod(0o700)
    assert "cannot be opened" in str(source.problem)


def test_a_folder_that_goes_away(tmp_path, monkeypatch) -> None:
    write(tmp_path / "a" / "x.png")
    write(tmp_path / "b" / "y.png")
    real = os.scandir

    def scandir(path):
        if Path(path).name == "a":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = list(find([tmp_path]))
    assert [source.name for source in found] == [str(tmp_path / "b/y.png"), str(tmp_path / "a")]
    assert found[1].problem == "folder cannot be opened: Permission denied"


def test_a_run_folder_is_its_images(tmp_path) -> None:
    write(tmp_path / "plan.json", b"{}")
    write(tmp_path / "images" / "ab" / "ab12.png")
    write(tmp_path / "thumbs" / "ab" / "ab12.webp")
    write(tmp_path / "generations" / "part-0.parquet", b"no image in there")
    assert names(tmp_path) == [str(tmp_path / "images/ab/ab12.png")]


def test_nothing_there(tmp_path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        names(tmp_path / "missing")
    assert names(tmp_path) == []


# -- tar -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "mode"), [(".tar", "w"), (".tar.gz", "w:gz"), (".tgz", "w:gz"), (".tar.xz", "w:xz")]
)
def test_archives(tmp_path, suffix, mode, signer, picture) -> None:
    files = {"0.png": signer.sign(picture()), "0.json": b"{}", "a/b/1.JPG": picture("JPEG"), "0.txt": b"t"}
    path = archive(tmp_path / f"x{suffix}", files, mode)
    found = list(find([path]))
    assert [source.name for source in found] == [f"{path}::0.png", f"{path}::a/b/1.JPG"]
    assert found[0].data == files["0.png"]
    states = [verdict.state for verdict in verify_many(find([tmp_path]), isolated=False)]
    assert states == [State.VALID_UNTRUSTED, State.ABSENT]


def test_members_that_are_no_files(tmp_path) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as tar:
        for name, kind in (("d.png", tarfile.DIRTYPE), ("l.png", tarfile.SYMTYPE), ("p.png", tarfile.FIFOTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
        info = tarfile.TarInfo("../../escape.png")
        info.size = 1
        tar.addfile(info, io.BytesIO(b"x"))
    assert names(path) == [f"{path}::../../escape.png"]  # only a name: nothing is written anywhere
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.tar"]


def test_a_member_above_the_limit(tmp_path) -> None:
    path = archive(tmp_path / "x.tar", {"large.png": b"x" * 5000, "small.png": b"x"})
    large, small = find([path], max_bytes=1000)
    assert (large.data, large.problem) == (None, "5000 bytes are more than the limit of 1000")
    assert small.data == b"x"


def test_a_member_that_claims_gigabytes(tmp_path) -> None:
    info = tarfile.TarInfo("bomb.png")
    info.size = 2**40
    path = write(tmp_path / "x.tar", info.tobuf() + b"x" * 512)
    first, second = find([path])
    assert "more than the limit" in str(first.problem)
    assert "cannot be read to its end" in str(second.problem)


def test_a_header_that_claims_gigabytes(tmp_path) -> None:
    """Headers are read into memory as a whole, so a few bytes of gzip could ask for all there is."""
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 2**32
    path = write(tmp_path / "x.tar.gz", gzip.compress(info.tobuf(tarfile.USTAR_FORMAT) + b"\0" * 2**20))
    (source,) = find([path])
    assert "a header of 4294967296 bytes" in str(source.problem)


@pytest.mark.parametrize("cut", [100, 700, 10500])
def test_an_archive_cut_short_is_told(tmp_path, cut) -> None:
    whole = archive(tmp_path / "whole.tar", {f"{i}.png": b"x" * 3000 for i in range(5)}).read_bytes()
    path = write(tmp_path / "cut.tar", whole[:cut])
    *members, last = find([path])
    assert "cannot be read to its end" in str(last.problem)
    assert len(members) <= cut // 3000


@pytest.mark.parametrize("data", [b"", b"no archive at all", b"\x1f\x8bbroken gzip"])
def test_what_is_no_archive(tmp_path, data) -> None:
    (source,) = find([write(tmp_path / "x.tar", data)])
    assert source.problem


def test_archives_stay_small_in_memory(tmp_path) -> None:
    """One member at a time, and no list of those that were."""
    import tracemalloc

    path = archive(tmp_path / "x.tar", {f"{i}.png": b"x" * 200_000 for i in range(100)})
    tracemalloc.start()
    count = sum(1 for _ in find([path]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 100
    assert peak < 2_000_000


# -- Parquet ---------------------------------------------------------------------------------------------------


def table(path: Path, **columns) -> Path:
    pq.write_table(pa.table(columns), path, row_group_size=7)
    return path


def test_tables_as_hugging_face_writes_them(tmp_path, signer, picture) -> None:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    signed, plain = signer.sign(picture()), picture()
    rows = [{"bytes": signed if i % 2 else plain, "path": f"{i}.png"} for i in range(20)]
    rows[3] = None
    rows[4] = {"bytes": None, "path": "elsewhere.png"}
    rows[5] = {"bytes": None, "path": None}
    path = table(tmp_path / "x.parquet", image=pa.array(rows, kind), label=list(range(20)))
    found = list(find([path]))
    assert [source.name for source in found] == [f"{path}::row {i}" for i in range(20) if i not in (3, 5)]
    assert found[3].problem == "the row names a file outside the table"
    states = [verdict.state for verdict in verify_many(found, isolated=False)]
    assert states.count(State.VALID_UNTRUSTED) == 8
    assert states.count(State.ABSENT) == 9


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_plain_columns(tmp_path, kind) -> None:
    first, second = pa.array([b"a", None, b"ccc"], kind), pa.array([b"d", b"e", b"f"], kind)
    path = table(tmp_path / "x.parquet", image=first, Bytes=second, other=pa.array([b"z"] * 3, kind))
    found = list(find([path], max_bytes=2))
    assert [source.name.partition("::")[2] for source in found] == [
        "row 0 image", "row 0 Bytes", "row 1 Bytes", "row 2 image", "row 2 Bytes",
    ]  # fmt: skip
    assert [source.data for source in found] == [b"a", b"d", b"e", None, b"f"]
    assert found[3].problem == "3 bytes are more than the limit of 2"


def test_a_table_without_images(tmp_path) -> None:
    path = table(tmp_path / "x.parquet", text=["a"], numbers=[1])
    with pytest.raises(ConfigError, match="no column of images"):
        names(path)
    assert names(tmp_path) == []  # met in a folder, it is none of our business


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1" + b"\xff" * 100 + b"PAR1"])
def test_a_broken_table_is_told(tmp_path, data) -> None:
    (source,) = find([write(tmp_path / "x.parquet", data)])
    assert "cannot be read to its end" in str(source.problem)
