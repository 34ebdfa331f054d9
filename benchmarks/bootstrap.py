# SPDX-License-Identifier: Apache-2.0
"""Clustered bootstrap of shares by slice and group: seconds and memory by rows, against resampling rows.

``make bench-bootstrap``. Each size runs in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from statistics import median

import numpy as np

from audit.stats.annotator_error import Correction
from audit.stats.bootstrap import bootstrap_shares

SLICES, GROUPS, DRAWS = 150, 10, 1000
SIZES = 10_000, 100_000, 1_000_000
DESIGNS = "images independent", "20 prompts in each slice", "each seed in every slice"


def table(rows: int, design: str) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Slice, answer (one a "could not tell") and cluster of each row."""
    rng = np.random.default_rng(0)
    slices, answers = rng.integers(0, SLICES, rows), rng.integers(0, GROUPS + 1, rows)
    if design == DESIGNS[0]:
        return slices, answers, None
    seeds = rng.integers(0, 20 if design == DESIGNS[1] else rows // SLICES, rows)
    return slices, answers, slices * 20 + seeds if design == DESIGNS[1] else seeds


def instrument() -> Correction:
    return Correction(np.full((GROUPS, GROUPS + 1), 3.0) + 300 * np.eye(GROUPS, GROUPS + 1))


def plain(slices: np.ndarray, answers: np.ndarray, draws: int) -> np.ndarray:
    """The usual way: draw rows, count again."""
    rng, n, shape = np.random.default_rng(1), len(slices), (SLICES, GROUPS + 1)
    found = np.empty((draws, *shape))
    for i in range(draws):
        kept = rng.integers(0, n, n)
        found[i] = np.bincount(slices[kept] * shape[1] + answers[kept], minlength=shape[0] * shape[1]).reshape(shape)
    return found / found.sum(axis=2, keepdims=True)


def child(rows: int, design: str, rounds: int, *, corrected: bool) -> None:
    slices, answers, clusters = table(rows, design)
    base, seconds = _peak(), []
    for _ in range(rounds):
        start = time.perf_counter()
        found = bootstrap_shares(
            slices,
            answers,
            clusters,
            shape=(SLICES, GROUPS + 1),
            correction=instrument() if corrected else None,
            draws=DRAWS,
        )
        low, high = found.intervals()
        seconds.append(time.perf_counter() - start)
    width = float(np.nanmean(high - low))
    start, drawn = time.perf_counter(), 20
    shares = plain(slices, answers, drawn)
    usual = (time.perf_counter() - start) / drawn * DRAWS
    print(json.dumps([median(seconds), _peak(), base, width, usual, float(shares.std(axis=0).mean())]))


def _peak() -> float:
    """Peak resident memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--child", nargs=3, metavar=("ROWS", "DESIGN", "CORRECTED"), help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    if args.child:
        child(int(args.child[0]), args.child[1], args.rounds, corrected=args.child[2] == "True")
        return
    print(f"{SLICES} slices, {GROUPS} groups, {DRAWS} draws; median of {args.rounds}; the usual way from 20 draws x 50")
    for design in DESIGNS:
        for corrected in (False, True):
            last = None
            for rows in SIZES:
                command = [sys.executable, "-m", "benchmarks.bootstrap", "--rounds", str(args.rounds)]
                command += ["--child", str(rows), design, str(corrected)]
                out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                seconds, peak, base, width, usual, _ = json.loads(out)
                growth = "" if last is None else f", x{seconds / last:.1f} for x10 rows"
                last = seconds
                print(
                    f"{design}, {'corrected' if corrected else 'as answered'}, {rows:>9,} rows: {seconds:6.2f} s, "
                    f"peak {peak:5.0f} MB ({base:.0f} before), mean width {width:.4f}{growth}; "
                    f"drawing rows {usual:6.1f} s, x{usual / seconds:.1f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
