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


def _drawing(parent: int) -> set[int]:
    """Processes that draw for a run: children whose command is ours."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status, line = (folder / "stat").read_text(), (folder / "cmdline").read_bytes()
        except OSError:  # gone meanwhile
            continue
        if b"audit.generators._child" in line and int(status.rpartition(")")[2].split()[1]) == parent:
            found.add(int(folder.name))
    return found


def _alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_drawing_processes_end_with_the_run_and_it_is_resumed(small, tmp_path: Path, number: signal.Signals) -> None:
    """A real pipeline on two processes, stopped in the middle of a batch; resumed, it has drawn what it would have."""
    model = {"name": "d", "kind": "diffusers", "model": "reference:diffusion", "params": {"steps": 8}}
    config = small(
        generators=[{**model, "batch_size": 4, "workers": 2}],
        probes=[{"set": "occupations", "repetitions": 8}],
        instruments={"annotators": ["faults"]},
        metrics=["outcomes.answered"],
    )
    straight, out = tmp_path / "straight", tmp_path / "run"
    _finish(config, straight)
    process = _start(config, out)
    while process.poll() is None and _parts(out) < 4:
        time.sleep(0.01)
    drawing = _drawing(process.pid)
    assert len(drawing) == 2
    process.send_signal(number)
    start = time.monotonic()
    process.communicate(timeout=60)
    assert process.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
    while any(map(_alive, drawing)) and time.monotonic() - start < 20:
        time.sleep(0.05)
    assert not any(map(_alive, drawing)), "a drawing process outlived the run"
    assert not Run(out).complete
    _finish(config, out)
    assert _shown(out) == _shown(straight)
    assert len(_shown(out)) == 64


def _shown(folder: Path) -> dict[str, str]:
    """Digest of the pixels by request."""
    return {row["request_id"]: row["pixels"] for row in Run.open(folder).generations().to_pylist()}
