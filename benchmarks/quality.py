# SPDX-License-Identifier: Apache-2.0
"""Measures of quality against what people use: ``make bench-quality [-- WORD ...]``. Two threads, medians of 5.

With words, only the cases whose names hold one of them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

if __name__ == "__main__":
    for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(_name, "2")
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads of a library that waits for its turn must not spin

from benchmarks import distances, features, frechet
from benchmarks._measure import MISSED, Case, report

__all__ = ["main"]

_MEMORY = "extra memory of precision, recall, density and coverage"
_SHARE = 0.1


def main(only: list[str]) -> int:
    """Every case whose name holds one of ``only`` (all without), then what missed its target; 1 where any did."""
    with tempfile.TemporaryDirectory() as folder:
        for case in _cases(Path(folder)):
            if _asked(case.name, only):
                for line in report(case):
                    print(line, flush=True)
    if _asked(_MEMORY, only):
        print(_memory(), flush=True)
    print("all targets met" if not MISSED else "MISSED\n  " + "\n  ".join(MISSED), flush=True)
    return 1 if MISSED else 0


def _cases(folder: Path) -> Iterator[Case]:
    return chain(frechet.cases(), distances.cases(), features.cases(folder))


def _asked(name: str, only: list[str]) -> bool:
    return not only or any(word in name for word in only)


def _memory() -> str:
    """Peak above what the features take, each in a process of its own."""
    ours, theirs = (
        float(subprocess.check_output([sys.executable, "-m", "benchmarks.scripts.neighbours_memory", name]))
        for name in ("ours", "prdc")
    )
    met = ours <= _SHARE * theirs
    if not met:
        MISSED.append(f"{_MEMORY}: {ours:.0f} MB of {theirs:.0f} MB, target a tenth")
    return f"{_MEMORY}: ours {ours:.0f} MB, prdc {theirs:.0f} MB; target a tenth {'met' if met else 'MISSED'}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
