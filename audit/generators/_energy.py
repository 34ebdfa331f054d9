# SPDX-License-Identifier: Apache-2.0
"""Energy that the machine itself counts: processors by RAPL, accelerators of NVIDIA by NVML. Never a guess.

Both counters are of the whole package or device: whoever else computes there is in the number.
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Energy", "NvmlCounter", "RaplCounter"]

_POWERCAP = Path("/sys/class/powercap")
_MOST_WATTS = 500.0  # of one zone: a counter that could have wrapped twice says nothing
_JOULES = 1e-6  # RAPL counts in microjoules, NVML in millijoules
_NVML_OK = 0


@dataclass(frozen=True, slots=True)
class _Zone:
    counter: Path
    range: int

    def read(self) -> int:
        return int(self.counter.read_text(encoding="ascii"))


class RaplCounter:
    """Processor packages and their memory, where the system lets this user read the counters.

    Args:
        root: of the powercap tree.
    """

    def __init__(self, root: Path = _POWERCAP) -> None:
        self.zones, self.why = _zones(root)
        self.by = "processor packages of the whole machine (RAPL)"

    def read(self) -> tuple[tuple[int, ...], float]:
        """All counters and the time, for ``between``. Raises OSError or ValueError."""
        return tuple(zone.read() for zone in self.zones), time.monotonic()

    def between(self, start: tuple[tuple[int, ...], float], end: tuple[tuple[int, ...], float]) -> float | None:
        """Joules from one reading to a later one; None where a counter may have wrapped more than once."""
        took = end[1] - start[1]
        spans = [zone.range for zone in self.zones]
        if any(took * _MOST_WATTS >= span * _JOULES for span in spans):
            return None
        moved = ((b - a) % (span + 1) for a, b, span in zip(start[0], end[0], spans, strict=True))
        return sum(moved) * _JOULES


def _zones(root: Path) -> tuple[list[_Zone], str]:
    """Packages, and memory beside them: cores are part of a package, and ``psys`` holds it."""
    found, why = [], "the machine has no RAPL counters"
    for folder in sorted(root.glob("intel-rapl:*")):
        try:
            name = (folder / "name").read_text(encoding="ascii").strip()
            if not name.startswith(("package", "dram")):
                continue
            zone = _Zone(folder / "energy_uj", int((folder / "max_energy_range_uj").read_text(encoding="ascii")))
            zone.read()
        except PermissionError:
            return [], "this user may not read the RAPL counters (energy_uj)"
        except (OSError, ValueError):
            continue
        found.append(zone)
    return found, why


class NvmlCounter:
    """The accelerators of NVIDIA that torch uses in this process, asked of the driver's own library."""

    def __init__(self) -> None:
        self.by = "the whole accelerator (NVML)"
        self._library = _nvml()
        self._handles: dict[str, ctypes.c_void_p] = {}

    def read(self) -> Mapping[str, int]:
        """Millijoules by device in use; empty where there is none, or it does not count."""
        library = self._library
        found: dict[str, int] = {}
        for name in _devices() if library is not None else ():
            handle = self._handles.get(name) or self._handle(name)
            spent = ctypes.c_ulonglong()
            if handle and library.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(spent)) == _NVML_OK:
                found[name] = spent.value
        return found

    def between(self, start: Mapping[str, int], end: Mapping[str, int]) -> float | None:
        """Joules of the devices in use at the end; None where one of them was not read before."""
        if not end or set(end) - set(start):
            return None
        return sum(spent - start[name] for name, spent in end.items()) * 1e-3

    def _handle(self, name: str) -> ctypes.c_void_p | None:
        handle = ctypes.c_void_p()
        assert self._library is not None
        if self._library.nvmlDeviceGetHandleByUUID(name.encode(), ctypes.byref(handle)) != _NVML_OK:
            return None
        self._handles[name] = handle
        return handle


def _nvml() -> Any:
    """The library, ready to be asked; None where it is not there or does not work."""
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
        return library if library.nvmlInit_v2() == _NVML_OK else None
    except (OSError, AttributeError):
        return None


def _devices() -> list[str]:
    """UUIDs of the devices that torch has begun to use in this process."""
    torch: Any = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return []
    return [f"GPU-{torch.cuda.get_device_properties(index).uuid}" for index in range(torch.cuda.device_count())]


@dataclass(slots=True)
class Energy:
    """What was spent between two calls, by all counters that can be read.

    Attributes:
        rapl, nvml: the counters.
    """

    rapl: RaplCounter = field(default_factory=RaplCounter)
    nvml: NvmlCounter = field(default_factory=NvmlCounter)
    _start: Any = None

    def begin(self) -> None:
        """Read the counters."""
        try:
            self._start = (self.rapl.read(), self.nvml.read())
        except (OSError, ValueError):
            self._start = None

    def spent(self) -> tuple[float | None, str]:
        """Joules since ``begin`` and what they are of; or None and why there is no number."""
        try:
            rapl, nvml = self.rapl.read(), self.nvml.read()
        except (OSError, ValueError):
            return None, "the counters of energy could not be read"
        if self._start is None:
            return None, "the counters of energy could not be read"
        devices = self.nvml.between(self._start[1], nvml)
        if nvml and devices is None:
            return None, "the accelerator was not in use yet when drawing began"
        processors = self.rapl.between(self._start[0], rapl) if self.rapl.zones else None
        if self.rapl.zones and processors is None:
            return None, "drawing took so long that a counter may have wrapped twice: choose a smaller batch_size"
        parts = {self.rapl.by: processors, self.nvml.by: devices}
        known = {by: joules for by, joules in parts.items() if joules is not None}
        if not known:
            return None, self.rapl.why
        missing = "" if self.rapl.zones else f"; processors left out: {self.rapl.why}"
        return sum(known.values()), " and ".join(known) + missing
