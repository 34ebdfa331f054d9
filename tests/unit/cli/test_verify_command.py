# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from audit.cli import _main
from audit.provenance import Claim, Stamper, development_chain

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line in this process, from the words to the exit code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GENAUDIT_HOME", str(tmp_path / "home"))

    def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
        line = ["genaudit", "verify", *map(str, words)]
        monkeypatch.setattr(sys, "argv", line)
        capsys.readouterr()
        code = _main._run()
        return subprocess.CompletedProcess(line, code, *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    development_chain(folder)
    return folder


@pytest.fixture(scope="module")
def plain() -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(out, "PNG")
    return out.getvalue()


@pytest.fixture(scope="module")
def signed(keys, plain) -> bytes:
    return Stamper(keys).stamp(plain, Claim.about("a-model", prompt="a cat", seed=1)).data


@pytest.fixture
def folder(tmp_path, signed, plain) -> Path:
    root = tmp_path / "set"
    (root / "in").mkdir(parents=True)
    (root / "a.png").write_bytes(signed)
    (root / "in" / "b.png").write_bytes(signed)
    (root / "in" / "notes.txt").write_text("x")
    with tarfile.open(root / "c.tar", "w") as tar:
        info = tarfile.TarInfo("m/1.png")
        info.size = len(signed)
        tar.addfile(info, io.BytesIO(signed))
    return root


def test_a_folder_with_an_archive(here: Run, folder: Path) -> None:
    done = here(folder)
    assert done.returncode == 0
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert [line[:2] for line in lines] == [
        ["valid_untrusted", str(folder / "a.png")],
        ["valid_untrusted", f"{folder / 'c.tar'}::m/1.png"],
        ["valid_untrusted", str(folder / "in" / "b.png")],
    ]
    assert "claims to be" in lines[0][2]
    assert "3 images: 3 valid_untrusted; 3 meet --require verified" in done.stderr
    assert "no list given" in done.stderr


def test_one_that_does_not_hold(here: Run, folder: Path, plain: bytes) -> None:
    (folder / "d.png").write_bytes(plain)
    done = here(folder, "--quiet")
    assert (done.returncode, done.stdout) == (21, "")
    assert "1 absent, 3 valid_untrusted; 3 meet" in done.stderr
    assert "hint: stamp it with" in done.stderr


@pytest.mark.parametrize("option", ["--trust", "--anchors"])
def test_trust(here: Run, folder: Path, keys: Path, option: str) -> None:
    done = here(folder, option, keys / "root.pem", "--json")
    assert done.returncode == 0
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert {each["state"] for each in found} == {"no_timestamp"}
    assert found[0]["trust_list"]["name"] == "root.pem"
    assert found[0]["met"] is True
    assert "trust: signers: root.pem, 1 certificates" in done.stderr


@pytest.mark.parametrize(
    ("require", "code", "code_without_trust"),
    [("verified", 0, 0), ("trusted-signer", 0, 21), ("trusted", 21, 21), ("ai", 0, 0), ("any-credentials", 0, 0)],
)
def test_what_is_required(
    here: Run, folder: Path, keys: Path, require: str, code: int, code_without_trust: int
) -> None:
    assert here(folder, "--require", require, "--in-process").returncode == code_without_trust
    assert here(folder, "--require", require, "--in-process", "--trust", keys / "root.pem").returncode == code


def test_broken_credentials_are_credentials(here: Run, tmp_path: Path, signed: bytes) -> None:
    (tmp_path / "a.png").write_bytes(signed + b"\0" * 40)
    assert here("a.png", "--require", "any-credentials", "--in-process").returncode == 0
    assert here("a.png", "--in-process").returncode == 21


def test_not_ai(here: Run, tmp_path: Path, plain: bytes) -> None:
    (tmp_path / "a.png").write_bytes(plain)
    assert here("a.png", "--require", "ai", "--in-process").returncode == 21
    assert here("a.png", "--require", "any-credentials", "--in-process").returncode == 21


def test_files_for_build_servers(here: Run, folder: Path, plain: bytes) -> None:
    (folder / "d.png").write_bytes(plain)
    done = here(folder, "--junit", "out/j.xml", "--sarif", "s.json", "--in-process", "--workers", "1")
    assert done.returncode == 21
    root = ET.parse("out/j.xml").getroot()
    assert (root.attrib["tests"], root.attrib["failures"]) == ("4", "1")
    (result,) = json.loads(Path("s.json").read_text())["runs"][0]["results"]
    assert result["ruleId"] == "absent"


def test_limits(here: Run, folder: Path) -> None:
    done = here(folder / "a.png", "--time-limit", "0.001", "--json")
    (found,) = [json.loads(line) for line in done.stdout.splitlines()]
    # A small file may be read in a millisecond; more than that ends in a verdict of its own.
    assert (found["state"], found["codes"]) in [
        ("undetermined", ["genaudit.verifier.time"]),
        ("valid_untrusted", ["signingCredential.untrusted"]),
    ]
    done = here(folder / "a.png", "--max-bytes", "100", "--json")
    assert (done.returncode, json.loads(done.stdout)["codes"]) == (21, ["genaudit.file.size"])


def test_the_rubric(here: Run, folder: Path) -> None:
    done = here(folder / "a.png", "--rubric", "--json")
    assert isinstance(json.loads(done.stdout)["rubric"], list)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "does not exist"),
        (["empty"], "no images found"),
        (["set", "--trust", "nowhere.pem"], "trust list cannot be read"),
        (["set", "--trust", "set/in/notes.txt"], "no certificate"),
        (["set", "--trust-timestamps", "set/in/notes.txt"], "no certificate"),
    ],
)
def test_usage(here: Run, folder: Path, tmp_path: Path, words: list[str], said: str) -> None:
    (tmp_path / "empty").mkdir()
    done = here(*words)
    assert (done.returncode, said in done.stderr, "hint:" in done.stderr) == (2, True, True)
    assert done.stdout == ""


def test_names_cannot_write_on_the_screen(here: Run, tmp_path: Path, signed: bytes) -> None:
    (tmp_path / "a\x1b[31m\tb\n\u202egnp.png").write_bytes(signed)
    done = here(tmp_path, "--in-process")
    assert len(done.stdout.splitlines()) == 1
    assert len(done.stdout.split("\t")) == 3
    assert not {"\x1b", "\u202e"} & set(done.stdout)
