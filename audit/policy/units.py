# SPDX-License-Identifier: Apache-2.0
"""Units that are written with a prefix: 3221225472 bytes are 3 GiB, in findings and in reports alike."""

from __future__ import annotations

import math
from collections.abc import Mapping

from audit.types import Estimate

__all__ = ["prefixed", "unit_of"]

_STEPS: Mapping[str, tuple[float, tuple[str, ...]]] = {
    "bytes": (1024.0, ("B", "KiB", "MiB", "GiB", "TiB")),
    "FLOP": (1000.0, ("FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP", "EFLOP")),
    "joules": (1000.0, ("J", "kJ", "MJ", "GJ")),
}
_PLAIN = {"seconds": "s", "s": "s"}


def prefixed(unit: str, size: float | None) -> tuple[float, str]:
    """What a number of this size is multiplied by, and the unit that it then has; empty where none is written.

    >>> prefixed("bytes", 3 * 1024**3) == (1024.0**-3, "GiB")
    True
    >>> prefixed("seconds", 2.0), prefixed("score", 2.0)
    ((1.0, 's'), (1.0, ''))
    """
    if unit not in _STEPS:
        return 1.0, _PLAIN.get(unit, "")
    base, names = _STEPS[unit]
    if size is None or not math.isfinite(size) or abs(size) < base:
        return 1.0, names[0]
    step = next(k for k in reversed(range(len(names))) if abs(size) >= base**k)
    return base**-step, names[step]


def unit_of(estimate: Estimate) -> tuple[float, str]:
    """The same for an estimate; money has the currency that it was stated in, where that is known."""
    if estimate.unit == "money":
        return 1.0, str(estimate.extra.get("currency", ""))
    return prefixed(estimate.unit, estimate.value)
