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

__all__ = ["available", "crew_size", "free_memory", "measuring_threads"]

_OVERHEAD = 1 << 30  # libraries and activations of one process
_SHARE = 0.6  # of the free memory
_GROUPS = Path("/sys/fs/cgroup")


def available(groups: Path = _GROUPS) -> int:
    """Cores this process may use, by affinity and quota; a smaller OMP_NUM_THREADS is a wish to be modest."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wish = os.environ.get("OMP_NUM_THREADS", "")
    limits = [int(wish)] if wish.isdigit() else []
    return max(1, min([cores, *limits, *_quota(groups)]))


def _quota(groups: Path) -> list[int]:
    """Cores that a control group grants (version 2, else version 1); empty where it sets no limit."""
    old = groups / "cpu"
    numbers = _numbers(groups / "cpu.max") or _numbers(old / "cpu.cfs_quota_us") + _numbers(old / "cpu.cfs_period_us")
    return [round(numbers[0] / numbers[1])] if len(numbers) == 2 and min(numbers) > 0 else []


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
    room = _SHARE * (free_memory() if free is None else free)
    return max(1, min(cores, int(room // (2 * weights + _OVERHEAD))))


def _weights(model: str | None) -> int | None:
    """Bytes of the files in a local model folder."""
    if not model:
        return None
    folder = reference_folder(model.partition(":")[2]) if model.startswith("reference:") else Path(model).expanduser()
    if not folder.is_dir():
        return folder.stat().st_size if folder.is_file() else None
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def free_memory(groups: Path = _GROUPS) -> int:
    """Bytes of memory that can be had without swapping, and without the kernel ending a container."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, ValueError, StopIteration):
        free = 4 * _OVERHEAD
    most = [*_numbers(groups / "memory.max"), *_numbers(groups / "memory" / "memory.limit_in_bytes")]
    used = [*_numbers(groups / "memory.current"), *_numbers(groups / "memory" / "memory.usage_in_bytes")]
    return min([free, *(limit - use for limit, use in zip(most, used, strict=False))])


def _numbers(path: Path) -> list[int]:
    """The numbers in a file of a control group; none where there is no file, or no limit."""
    try:
        return [int(word) for word in path.read_text(encoding="ascii").split()]
    except (OSError, ValueError):
        return []
