# SPDX-License-Identifier: Apache-2.0
"""Megabytes that one pass of precision, recall, density and coverage takes beside its input: ``ours`` or ``prdc``."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path

import numpy as np
from prdc import compute_prdc

from audit.stats.neighbours import neighbours

_N, _WIDTH = 5000, 2048


def _kilobytes(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


def main(which: str) -> float:
    """Peak resident memory of the call less what was resident before it; libraries are warm."""
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal((_N, _WIDTH), dtype=np.float32) for _ in range(2))
    work = {"ours": neighbours, "prdc": lambda a, b: compute_prdc(b, a, 5)}[which]
    with contextlib.redirect_stdout(io.StringIO()):
        work(x[:300], y[:300])
        Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
        before = _kilobytes("VmRSS")
        work(x, y)
    return (_kilobytes("VmHWM") - before) / 1024


if __name__ == "__main__":
    print(main(sys.argv[1]))
