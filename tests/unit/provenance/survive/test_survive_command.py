# SPDX-License-Identifier: Apache-2.0
"""The command as people run it: a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def folder(tmp_path_factory, save) -> Path:
    made = tmp_path_factory.mktemp("pictures")
    for seed in range(6):
        (made / f"{seed}.png").write_bytes(save(seed=seed))
    return made


@pytest.fixture
def start(tmp_path, stamper) -> Callable[..., subprocess.Popen[str]]:
    def run(*words: str) -> subprocess.Popen[str]:
        keys = ["--keys", str(stamper.chain.folder)]
        line = [sys.executable, "-m", "audit", "survive", *words, "--watermark", "none", *keys]
        environment = {**os.environ, "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=tmp_path
        )

    return run


@pytest.mark.slow
def test_a_table_and_the_files(start, folder, tmp_path) -> None:
    process = start(str(folder), "--edits", "copy,container", "--sample", "3", "--out", "out", "--workers", "1")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    rows = {line.split("│")[1].strip(): line for line in out.splitlines() if line.startswith("│")}
    assert rows["Copied"].count("kept 100") == 3
    assert rows["64 bytes appended"].count("broken 100") == 1
    assert "Of 3 a copy with all layers was stamped" in out
    assert "Traceback" not in err
    again = start(str(folder), "--edits", "copy,container", "--sample", "3", "--out", "out", "--json")
    out, err = again.communicate(timeout=120)
    assert err == ""
    summary = json.loads(out)
    assert summary["images"]["measured"] == 3
    assert json.loads((tmp_path / "out" / "survival.json").read_text())["cells"] == summary["cells"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nowhere"], 2, "does not exist"),
        (["{folder}", "--edits", "jepg-90"], 2, "did you mean"),
        (["{folder}", "--sample", "0"], 2, "sample"),
        (["{folder}", "--anchors", "none.pem"], 2, "trust anchors"),
        (["{folder}", "--out", "/dev/null", "--edits", "copy"], 20, "error:"),
    ],
)
def test_errors_say_what_to_do(start, folder, words, code, said) -> None:
    process = start(*(word.replace("{folder}", str(folder)) for word in words))
    _, err = process.communicate(timeout=120)
    assert process.returncode == code, err
    assert said in err
    assert "Traceback" not in err


@pytest.mark.slow
def test_an_interrupt_keeps_finished_images_and_the_same_command_goes_on(start, folder, tmp_path) -> None:
    words = [str(folder), "--out", "out", "--workers", "2", "--json"]
    process = start(*words)
    journal = tmp_path / "out" / "findings.jsonl"
    deadline = time.monotonic() + 90
    while not (journal.is_file() and journal.read_bytes().count(b'"image"')):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    done = journal.read_bytes().count(b'"image"')
    if process.returncode == 0:
        pytest.fail("the measurement was over before it could be interrupted")
    assert process.returncode == 130, err
    assert "run the same command again" in err
    assert 1 <= done < 6
    assert not (tmp_path / "out" / "survival.json").exists()
    process = start(*words)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert json.loads(out)["images"]["measured"] == 6
    assert journal.read_bytes().count(b'"image"') == 6


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc")
def test_workers_do_not_outlive_a_command_that_is_killed(start, folder, tmp_path) -> None:
    def children(parent: int) -> set[int]:
        found = set()
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                father = int(status.read_text().rpartition(")")[2].split()[1])
            except OSError:  # ended in between
                continue
            if father == parent:
                found.add(int(status.parent.name))
        return found

    process = start(str(folder), "--out", "out", "--workers", "2")
    deadline = time.monotonic() + 90
    while not (tmp_path / "out" / "findings.jsonl").is_file():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    workers = children(process.pid)
    assert len(workers) >= 2
    process.kill()
    process.communicate()
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)
