# SPDX-License-Identifier: Apache-2.0
"""How the cores are shared out: processes that draw, threads in each, threads that measure.

Counts depend on the machine and the model only, never on how much is left to do, since the number of threads moves the
last bits of a network's output: a resumed run draws what an uninterrupted one would have drawn.
"""

from __future__ import annotations

import os
from pathlib import Path

from audit.checkpoints import reference_folder
from audit.config import GeneratorConfig

__all__ = ["available", "crew_size", "measuring_threads"]

_OVERHEAD = 1 << 30  # libraries and activations of one process
_SHARE = 0.6  # of the free memory


def available() -> int:
    """Cores this process may use; a smaller OMP_NUM_THREADS is a wish to be modest."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wish = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(cores, int(wish) if wish.isdigit() else cores))


def measuring_threads(cores: int) -> int:
    """Threads of one instrument while others measure and generators draw."""
    return max(1, cores // 2)


def crew_size(block: GeneratorConfig, *, cores: int, free: int | None = None) -> int:
    """Processes for one generator: as many as there are cores, if that many copies of its weights fit into memory.

    One where the weights cannot be seen (a hub id, a callable), or where an accelerator draws.
    """
    if block.workers is not None:
        return block.workers
    weights = _weights(block.model)
    if weights is None or str(block.options.get("device") or "auto") not in ("auto", "cpu"):
        return 1
    room = _SHARE * (_free() if free is None else free)
    return max(1, min(cores, int(room // (2 * weights + _OVERHEAD))))


def _weights(model: str | None) -> int | None:
    """Bytes of the files in a local model folder."""
    if not model:
        return None
    folder = reference_folder(model.partition(":")[2]) if model.startswith("reference:") else Path(model).expanduser()
    if not folder.is_dir():
        return folder.stat().st_size if folder.is_file() else None
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _free() -> int:
    """Bytes of memory that can be had without swapping."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, ValueError, StopIteration):
        return 4 * _OVERHEAD
