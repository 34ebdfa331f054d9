# SPDX-License-Identifier: Apache-2.0
"""What drawing a batch takes, measured in the process that draws: memory, processor time, energy, operations.

A number that cannot be had is left out, and the reason stands in its place.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from audit.generators._energy import Energy
from audit.types import Generation, Generator, Outcome, Request, Scalar

__all__ = ["Meter"]

_PROC = Path("/proc/self")
_PEAK = "5"  # what resets the peak of the resident memory, see proc(5)
_SLACK = 32 << 20
_NAMED = 6  # uncounted operations that are named


@dataclass(slots=True)
class Meter:
    """Draws, and says in ``meta`` of every image what its batch took; an image has an equal share of that.

    Attributes:
        count: whether operations are still to be counted. They depend on shapes only, so one batch is enough.
        energy: counters of the machine.
    """

    count: bool = True
    energy: Energy = field(default_factory=Energy)

    def recall(self, metas: Iterable[Mapping[str, Scalar]]) -> None:
        """Count nothing again that an earlier process of the run has counted."""
        self.count = self.count and not any("meter.flops_by" in meta for meta in metas)

    def draw(self, generator: Generator, batch: Sequence[Request], *, drawers: int = 1) -> list[Generation]:
        """Answers of ``generator``, those that are images with what they took under ``meter.…`` in their ``meta``.

        Args:
            generator: what draws.
            batch: what it is asked.
            drawers: processes that draw for this generator at once; they share counters of the whole machine equally.

        Raises:
            Exception: whatever the generator raises.
        """
        whole, before = _reset_peak(), _processor_seconds()
        _reset_device()
        self.energy.begin()
        answers, counted = self._draw(generator, batch)
        images = sum(answer.outcome is Outcome.IMAGE for answer in answers)
        if not images:
            return answers
        joules, energy_by = self.energy.spent()
        told: dict[str, Scalar] = {
            "meter.cpu_seconds": (_processor_seconds() - before) / images,
            "meter.drawers": drawers,
            **_memory(whole=whole),
            **({} if joules is None else {"meter.energy": joules / images / drawers}),
            "meter.energy_by": energy_by,
        }
        if counted is not None:
            self.count = False
            told |= counted.told(images)
        return [replace(a, meta={**a.meta, **told}) if a.outcome is Outcome.IMAGE else a for a in answers]

    def _draw(self, generator: Generator, batch: Sequence[Request]) -> tuple[list[Generation], _Counted | None]:
        if not self.count:
            return list(generator.generate(batch)), None
        if not getattr(generator, "countable", True):
            return list(generator.generate(batch)), _Counted(why="its networks are compiled, and run unseen")
        if "torch" not in sys.modules:
            return list(generator.generate(batch)), _Counted(why="nothing in its process uses torch")
        from audit.generators._operations import OperationCounter

        counter = OperationCounter()
        try:
            with counter:
                answers = list(generator.generate(batch))
        except Exception:  # noqa: BLE001 - if it was not the counter, the same comes again
            return list(generator.generate(batch)), _Counted(why="drawing failed while operations were counted")
        why = "" if counter.total else "no operation of torch was seen"
        return answers, _Counted(counter.total, tuple(counter.uncounted), why)


@dataclass(frozen=True, slots=True)
class _Counted:
    """Operations of one batch, or why there are none."""

    total: int = 0
    uncounted: tuple[str, ...] = ()
    why: str = ""

    def told(self, images: int) -> dict[str, Scalar]:
        """What ``meta`` says of it."""
        if self.why:
            return {"meter.flops_by": f"not counted: {self.why}"}
        by = f"counted once, over {images} images, by the shapes of what is multiplied"
        if self.uncounted:
            more = len(self.uncounted) - _NAMED
            names = ", ".join(self.uncounted[:_NAMED]) + (f" and {more} more" if more > 0 else "")
            by = f"{by}; at least, since these operations have no formula: {names}"
        return {"meter.flops": self.total / images, "meter.flops_by": by}


# -- memory and time -------------------------------------------------------------------------------------------


def _processor_seconds() -> float:
    """User and system time of this process and of those that it has waited for."""
    own, waited = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + waited.ru_utime + waited.ru_stime


def _reset_peak(proc: Path = _PROC) -> bool:
    """Begin a new peak of the resident memory; False where the system does not let us, or says so and does not."""
    try:
        (proc / "clear_refs").write_text(_PEAK, encoding="ascii")
        now = _status(proc)
        return now["VmHWM"] <= now["VmRSS"] + _SLACK
    except (OSError, KeyError, ValueError):
        return False


def _status(proc: Path = _PROC) -> dict[str, int]:
    """Bytes by name of field."""
    rows = (line.split() for line in (proc / "status").read_text(encoding="utf-8").splitlines())
    return {row[0].rstrip(":"): int(row[1]) * 1024 for row in rows if len(row) == 3 and row[2] == "kB"}


def _memory(*, whole: bool) -> dict[str, Scalar]:
    """Peak resident memory of the process, and of an accelerator where one draws."""
    try:
        peak = _status()["VmHWM"]
    except (OSError, KeyError, ValueError):
        unit = 1 if sys.platform == "darwin" else 1024
        peak, whole = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, False
    by = "resident memory of the process that draws" + ("" if whole else ", since it began")
    return {"meter.memory": peak, "meter.memory_by": by, **_device_memory()}


def _cuda() -> Any:
    """The module of torch where this process has begun to use an accelerator, else None."""
    torch: Any = sys.modules.get("torch")
    started = torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized()
    return torch.cuda if started else None


def _reset_device() -> None:
    cuda = _cuda()
    for index in range(cuda.device_count()) if cuda else ():
        cuda.reset_peak_memory_stats(index)


def _device_memory() -> dict[str, Scalar]:
    """Over all accelerators: at most allocated for tensors, and reserved for that."""
    cuda = _cuda()
    if cuda is None:
        return {}
    devices = range(cuda.device_count())
    return {
        "meter.device_memory": sum(cuda.max_memory_allocated(index) for index in devices),
        "meter.device_reserved": sum(cuda.max_memory_reserved(index) for index in devices),
    }
