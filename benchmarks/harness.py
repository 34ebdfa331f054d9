# SPDX-License-Identifier: Apache-2.0
"""What the harness costs: whole processes of ``genaudit run`` against plain scripts. ``make bench-harness``.

Every round runs all four processes one after the other on the bundled diffusion model, with the same prompts, seeds and
batches; ratios are taken within a round.
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
    "probes": [{"set": "occupations", "repetitions": 48}],
}
_BARE = {"instruments": {"annotators": []}, "provenance": {"stamp": False}, "gallery": None, "reference": None}


def main(rounds: int = _ROUNDS) -> None:
    """Print medians, extremes and where the time goes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asked = _requests()
        took = _warm(folder, asked)
        for number in range(rounds):
            took.append(_round(folder / str(number), asked))
            print(f"round {number + 1}: " + ", ".join(f"{what} {t:.1f} s" for what, t in took[-1].items()), flush=True)
        _report(took[1:], folder / str(rounds - 1))


def _requests() -> str:
    plan = make_plan(AuditConfig.model_validate(_AUDIT))
    rows = [{"id": r.id, "text": r.prompt.text, "seed": r.seed} for r in plan.requests]
    return "\n".join(map(json.dumps, rows))


def _warm(folder: Path, asked: str) -> list[dict[str, float]]:
    """One round that does not count: disk cache, key, and the reference features that a machine computes once."""
    return [_round(folder / "warm", "\n".join(asked.splitlines()[:_BATCH]), limit=1)]


def _round(folder: Path, asked: str, limit: int | None = None) -> dict[str, float]:
    folder.mkdir()
    model = str(reference_folder("diffusion"))
    scripts = [sys.executable, "-m"]
    return {
        "bare loop": _time([*scripts, "benchmarks.scripts.bare_loop", model, str(_BATCH)], asked),
        "run, nothing measured": _time(_audit(folder / "bare", _BARE, limit), ""),
        "one after the other": _time(
            [*scripts, "benchmarks.scripts.one_after_the_other", model, str(_BATCH), str(folder / "script")], asked
        ),
        "run, all defaults": _time(_audit(folder / "full", {}, limit), ""),
    }


def _audit(out: Path, changes: Mapping[str, Any], limit: int | None) -> list[str]:
    path = out.with_suffix(".yaml")
    path.write_text(yaml.safe_dump({**_AUDIT, **changes}))
    limits = ["--limit", str(limit)] if limit else []
    return [sys.executable, "-m", "audit", "run", str(path), "--out", str(out), "--quiet", *limits]


def _time(line: Sequence[str], given: str) -> float:
    start = time.perf_counter()
    subprocess.run(line, input=given, text=True, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def _report(took: Sequence[Mapping[str, float]], last: Path) -> None:
    images = Run.open(last / "full").requests().num_rows
    print(f"\n{images} images, medians of {len(took)} rounds (extremes):")
    for ours, theirs, limit in (
        ("run, nothing measured", "bare loop", 1.05),
        ("run, all defaults", "one after the other", 0.75),
    ):
        ratios = sorted(row[ours] / row[theirs] for row in took)
        middle = median(ratios)
        word = "holds" if middle <= limit else "MISSED"
        print(f"  {ours} / {theirs}: {middle:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}); at most {limit}: {word}")
    for name in ("bare", "full"):
        manifest = Run.open(last / name).manifest
        print(f"  where the time went, {name} run, seconds over all threads:")
        for kind, seconds in sorted({**manifest["spent"], **_stages(manifest)}.items(), key=lambda item: -item[1]):
            print(f"    {kind:<28}{seconds:8.2f}")
    print("  limit: the cores; drawing alone keeps them busy, so what is measured beside it is paid for in full")


def _stages(manifest: Mapping[str, Any]) -> dict[str, float]:
    return {f"wall, {stage}": seconds for stage, seconds in manifest["seconds"].items()}


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
