# SPDX-License-Identifier: Apache-2.0
"""What the harness costs: whole processes of ``genaudit run`` against plain scripts. ``make bench-harness``.

Every round runs all processes one after the other on the bundled diffusion model, with the same prompts, seeds and
batches; ratios are taken within a round. Published evaluation scripts ask for one image at a time; one that draws in
batches is measured as well, and there the cores are the limit: drawing is nearly all that it does.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from audit.checkpoints import reference_folder
from audit.config import AuditConfig
from audit.runs import Run, make_plan

__all__ = ["main"]

_BATCH = 16
_ROUNDS = 5
_REPETITIONS = 36  # of eight prompts
_AUDIT: dict[str, Any] = {
    "name": "bench",
    "generators": [
        {
            "name": "diffusion",
            "kind": "diffusers",
            "model": "reference:diffusion",
            "params": {"steps": 20, "guidance": 1.5},
            "options": {"lanes": _BATCH},
            "batch_size": _BATCH,
        }
    ],
}
_BARE = {"instruments": {"annotators": []}, "provenance": {"stamp": False}, "gallery": None, "reference": None}


def main(rounds: int = _ROUNDS) -> None:
    """Print medians, extremes and where the time goes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        took = [_round(folder / "warm", 2)]  # does not count: disk cache, key, reference features
        for number in range(rounds):
            took.append(_round(folder / str(number), _REPETITIONS))
            print(f"round {number + 1}: " + ", ".join(f"{what} {t:.1f} s" for what, t in took[-1].items()), flush=True)
        _report(took[1:], folder / str(rounds - 1))


def _plan(repetitions: int) -> dict[str, Any]:
    return {**_AUDIT, "probes": [{"set": "occupations", "repetitions": repetitions}]}


def _requests(repetitions: int) -> str:
    plan = make_plan(AuditConfig.model_validate(_plan(repetitions)))
    rows = [{"id": r.id, "text": r.prompt.text, "seed": r.seed} for r in plan.requests]
    return "\n".join(map(json.dumps, rows))


def _round(folder: Path, repetitions: int) -> dict[str, float]:
    folder.mkdir()
    script, model = [sys.executable, "-m"], str(reference_folder("diffusion"))
    plain = [*script, "benchmarks.scripts.one_after_the_other", model]
    asked, plan = _requests(repetitions), _plan(repetitions)
    return {
        "bare loop": _time([*script, "benchmarks.scripts.bare_loop", model, str(_BATCH)], asked),
        "run, nothing measured": _time(_audit(folder / "bare", {**plan, **_BARE}), ""),
        "one image after the other": _time([*plain, "1", str(folder / "single")], asked),
        "one batch after the other": _time([*plain, str(_BATCH), str(folder / "batches")], asked),
        "run, all defaults": _time(_audit(folder / "full", plan), ""),
    }


def _audit(out: Path, audit: Mapping[str, Any]) -> list[str]:
    path = out.with_suffix(".yaml")
    path.write_text(yaml.safe_dump(audit))
    return [sys.executable, "-m", "audit", "run", str(path), "--out", str(out), "--quiet"]


def _time(line: Sequence[str], given: str) -> float:
    start = time.perf_counter()
    subprocess.run(line, input=given, text=True, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def _report(took: Sequence[Mapping[str, float]], last: Path) -> None:
    images = Run.open(last / "full").requests().num_rows
    print(f"\n{images} images, medians of {len(took)} rounds (extremes):")
    for ours, theirs, limit in (
        ("run, nothing measured", "bare loop", 1.05),
        ("run, all defaults", "one image after the other", 0.75),
        ("run, all defaults", "one batch after the other", None),
    ):
        ratios = sorted(row[ours] / row[theirs] for row in took)
        middle = median(ratios)
        word = f"; at most {limit}: {'holds' if middle <= limit else 'MISSED'}" if limit else ""
        print(f"  {ours} / {theirs}: {middle:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}){word}")
    for name in ("bare", "full"):
        manifest = Run.open(last / name).manifest
        print(f"  where the time went, {name} run, seconds over all threads:")
        for kind, seconds in sorted({**manifest["spent"], **_stages(manifest)}.items(), key=lambda item: -item[1]):
            print(f"    {kind:<28}{seconds:8.2f}")
    spent = Run.open(last / "full").manifest["spent"]
    beside = sum(seconds for kind, seconds in spent.items() if kind != "draw") / images
    print(f"  limit: the cores; drawing keeps them busy, and all else took {beside * 1e3:.0f} ms of a thread an image")


def _stages(manifest: Mapping[str, Any]) -> dict[str, float]:
    return {f"wall, {stage}": seconds for stage, seconds in manifest["seconds"].items()}


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
