# SPDX-License-Identifier: Apache-2.0
"""Killed at random moments and resumed: the same numbers, no request lost or doubled."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from audit.runs import Run


def _start(config: Path, out: Path) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "audit", "run", str(config), "--out", str(out), "--quiet"]
    return subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def _finish(config: Path, out: Path) -> None:
    process = _start(config, out)
    _, complaint = process.communicate(timeout=280)
    assert process.returncode == 0, complaint


def _wait_for_folder(process: subprocess.Popen[str], out: Path) -> None:
    """Most of a process's life is importing libraries; the interesting moments begin with the run folder."""
    while process.poll() is None and not (out / "log.jsonl").exists():
        time.sleep(0.01)


def _parts(out: Path) -> int:
    return len(list(out.rglob("part-*.parquet")))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_killed_five_times_and_resumed_gives_the_same_estimates(small, tmp_path: Path, seed: int) -> None:
    """Four folders, each killed with SIGKILL at five random moments: twenty in all.

    A moment is a number of finished parts and a random time after it, so that kills fall into start-up, generating,
    annotating and estimating however fast the machine is.
    """
    config = small()
    straight = tmp_path / "straight"
    _finish(config, straight)
    total = _parts(straight)

    rng = random.Random(seed)
    out = tmp_path / "killed"
    unfinished = 0
    for remaining in (4, 3, 2, 1, 0):
        process = _start(config, out)
        have = _parts(out)
        goal = total if remaining == 0 else rng.randint(have, have + (total - have) // (remaining + 1))
        while process.poll() is None and _parts(out) < goal:
            time.sleep(0.002)
        time.sleep(rng.uniform(0.0, 0.05 if remaining else 0.5))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        unfinished += not Run(out).complete
    assert unfinished >= 4, "kills came after the end: the test tested nothing"
    _finish(config, out)

    one, other = Run.open(straight), Run.open(out)
    assert (one.path / "estimates.parquet").read_bytes() == (other.path / "estimates.parquet").read_bytes()
    answered = other.generations()["request_id"].to_pylist()
    assert len(answered) == len(set(answered)) == one.requests().num_rows
    stored = {path.stem for path in (out / "images").rglob("*.png")}
    assert stored == set(other.generations()["sha256"].to_pylist()), "orphans of the killed process are swept"
    assert not list(out.rglob(".tmp-*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_exits_130_and_can_be_resumed(small, tmp_path: Path, number: signal.Signals) -> None:
    config, out = small(probes=[{"set": "occupations", "repetitions": 12}]), tmp_path / "run"
    process = _start(config, out)
    _wait_for_folder(process, out)
    process.send_signal(number)
    _, complaint = process.communicate(timeout=120)
    assert process.returncode == 130, complaint
    assert "interrupted" in complaint
    assert "Traceback" not in complaint
    assert not Run.open(out).complete
    _finish(config, out)
    assert Run.open(out).complete


def test_two_processes_do_not_work_on_one_run(small, tmp_path: Path) -> None:
    config, out = small(probes=[{"set": "occupations", "repetitions": 40}]), tmp_path / "run"
    first = _start(config, out)
    while first.poll() is None and not (out / "generations").exists():
        time.sleep(0.01)
    second = _start(config, out)
    _, complaint = second.communicate(timeout=120)
    first.kill()
    first.communicate(timeout=60)
    assert second.returncode == 20, complaint
    assert "another process is working on this run" in complaint
