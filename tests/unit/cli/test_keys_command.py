# SPDX-License-Identifier: Apache-2.0
"""``genaudit keys`` through the real command line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from audit.cli import _main
from audit.provenance.keys import SigningContext, TimeStamps, development_chain
from audit.provenance.keys._der import children
from tests.unit.provenance.keys.pki import PLAIN, make, pem, read, signed

ROOT = Path(__file__).parents[3]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def here(monkeypatch, capsys, tmp_path: Path) -> Run:  # type: ignore[no-untyped-def]
    """The command line in this process, from the words to the exit code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GENAUDIT_HOME", str(tmp_path / "home"))

    def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
        line = ["genaudit", "keys", *map(str, words)]
        monkeypatch.setattr(sys, "argv", line)
        capsys.readouterr()
        code = _main._run()
        return subprocess.CompletedProcess(line, code, *capsys.readouterr())

    return run


def test_a_chain_that_signs(here: Run, tmp_path: Path) -> None:
    folder = make().write(tmp_path / "k")
    done = here("check", folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "verdict\tsigns; tried on a tiny image in" in done.stdout
    assert "chain\t2 certificates, ES256, Own Org, until 20" in done.stdout
    assert "note\tpolicy.missing\t" in done.stdout
    found = json.loads(here("check", folder, "--json").stdout)
    assert (found["signs"], found["algorithm"], found["certificates"], found["refusal"]) == (True, "ES256", 2, None)
    assert {"rule", "level", "message", "hint", "source"} == set(found["findings"][0])


def test_a_chain_that_cannot_sign(here: Run, tmp_path: Path) -> None:
    folder = make(eku=None, aki=False).write(tmp_path / "k")
    done = here("check", folder)
    assert done.returncode == 2
    lines = done.stdout.splitlines()
    assert lines[0].startswith("error\teku.missing\tthe signer's certificate lacks an extended key usage (EKU)")
    assert lines[1].startswith("\thint: ask your CA")
    assert any(line.startswith("error\taki.missing\t") for line in lines)
    assert lines[-1] == f"verdict\t{folder / 'chain.pem'} cannot sign"
    assert json.loads(here("check", folder, "--json").stdout)["signs"] is False


def test_the_options(here: Run, tmp_path: Path) -> None:
    made = make()
    folder = made.write(tmp_path / "k")
    done = here("check", folder / "chain.pem")
    assert "not tried, no key was given" in done.stdout
    assert here("check", folder / "chain.pem", "--key", folder / "key.pem").stdout.count("tried on a tiny image") == 1
    assert "error\tcertificate.expired" in here("check", folder, "--at", "2990-01-01").stdout
    (tmp_path / "roots.pem").write_bytes(pem(make().root))
    assert "warning\tchain.anchor" in here("check", folder, "--anchors", tmp_path / "roots.pem").stdout
    (tmp_path / "roots.pem").write_text("junk")
    done = here("check", folder, "--anchors", tmp_path / "roots.pem")
    assert (done.returncode, "error: anchors: no readable certificate" in done.stderr) == (2, True)
    assert here("check", tmp_path / "nowhere").returncode == 2
    assert here("check", folder, "--at", "yesterday").returncode == 2


def test_a_program_is_asked_to_sign(here: Run, tmp_path: Path) -> None:
    from tests.unit.provenance.keys.test_external import PROGRAM

    folder = make().write(tmp_path / "k")
    (folder / "signer.py").write_text(PROGRAM)
    line = f"command:{sys.executable} {folder / 'signer.py'} {folder} "
    done = here("check", line + "good")
    assert (done.returncode, "signs; tried" in done.stdout) == (0, True)
    done = here("check", line + "fail-sign")
    assert (done.returncode, "error\tsigning\tthe program ended with code 3: slot 0 is locked" in done.stdout) == (
        2,
        True,
    )
    done = here("check", line + "fail")
    assert (done.returncode, done.stderr.startswith("error: command:")) == (2, True)


def test_a_development_chain(here: Run, tmp_path: Path) -> None:
    done = here("dev")
    assert done.returncode == 0
    assert f"anchors\t{tmp_path / 'home' / 'keys' / 'root.pem'}" in done.stdout
    assert "for trials only" in done.stderr
    said = json.loads(here("dev", "--out", tmp_path / "t", "--tsa", "--json").stdout)
    assert said["development"] is True
    assert Path(said["tsa_anchors"]).read_bytes().startswith(b"-----BEGIN CERTIFICATE")
    assert here("check", tmp_path / "t").returncode == 0
    own = make().write(tmp_path / "own")
    done = here("dev", "--out", own)
    assert "a chain that this tool did not make" in done.stderr
    assert "anchors" not in done.stdout


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
def test_the_authority_runs_until_it_is_interrupted(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "GENAUDIT_HOME": str(tmp_path)}
    line = [sys.executable, "-m", "audit", "keys", "tsa", "--port", "0"]
    pipe = subprocess.PIPE
    with subprocess.Popen(line, env=env, stdout=pipe, stderr=pipe, text=True, cwd=ROOT) as child:
        assert child.stdout is not None
        url = child.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        (tmp_path / "d").write_text("data")
        words = ["-data", str(tmp_path / "d"), "-cert", "-out", str(tmp_path / "q")]
        subprocess.run(["openssl", "ts", "-query", *words], check=True, capture_output=True)
        with urllib.request.urlopen(url, data=(tmp_path / "q").read_bytes(), timeout=10) as answer:
            assert len(list(children(answer.read()))) == 1
        chain = development_chain(tmp_path / "keys")
        outcome = signed(SigningContext(PLAIN, chain, TimeStamps(url)))
        assert outcome.timestamped, outcome.note
        _, codes, _ = read(outcome.result, tsa_root=(tmp_path / "keys" / "tsa-root.pem").read_bytes())
        assert "timeStamp.trusted" in codes
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "for trials only" in errors
    assert "Traceback" not in errors


def test_a_taken_port(here: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = here("tsa", "--port", server.getsockname()[1])
    assert (done.returncode, "cannot listen" in done.stderr) == (2, True)
