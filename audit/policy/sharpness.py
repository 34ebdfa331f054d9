# SPDX-License-Identifier: Apache-2.0
"""What these images could have decided at all: the power behind a finding, said with every one of them.

An inconclusive finding of a small sample says nothing of the generator. So each finding tells from which value on such
a sample fails four times in five, and how often it passes a generator that keeps well inside the limits. Both are
normal approximations with the standard error at the reference where the metric tells it, else from the width of the
interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import special

from audit.policy.limits import Limits
from audit.types import Estimate, Status

__all__ = ["POWER", "Sharpness", "sharpness", "standard_error"]

#: Chance of finding what is there that is asked for by convention.
POWER = 0.8


@dataclass(frozen=True, slots=True)
class Sharpness:
    """What a finding could have found.

    Attributes:
        fails_from: distance beyond the limit at which a generator fails with probability `POWER`.
        passes: probability that a generator in the middle of two limits passes; None with one limit.
    """

    fails_from: float
    passes: float | None


def standard_error(estimate: Estimate) -> float | None:
    """Standard error of the estimate: at the reference where the metric says what it can detect, else by its width."""
    z = float(special.ndtri((1 + estimate.level) / 2))
    detectable = estimate.extra.get("detectable")
    if isinstance(detectable, int | float):
        return float(detectable) / (z + float(special.ndtri(POWER)))
    if estimate.low is None or estimate.high is None or not math.isfinite(estimate.high - estimate.low):
        return None
    return (estimate.high - estimate.low) / (2 * z)


def sharpness(estimate: Estimate, limits: Limits) -> Sharpness | None:
    """How sharp a sample of this size is at these limits; None without a number or a finite interval.

    >>> from audit.types import Estimate, Status
    >>> e = Estimate("m", "1", "share", "g", {}, 0.0, -0.196, 0.196, 0.95, 100, 100, 0, Status.OK, "t")
    >>> found = sharpness(e, (-0.2, 0.2))
    >>> round(found.fails_from, 3), round(found.passes, 3)
    (0.28, 0.032)
    """
    error = standard_error(estimate)
    if estimate.status is not Status.OK or error is None:
        return None
    z = float(special.ndtri((1 + estimate.level) / 2))
    passes = None
    if error > 0 and all(map(math.isfinite, limits)):
        half = (limits[1] - limits[0]) / 2
        passes = max(0.0, 2 * float(special.ndtr(half / error - z)) - 1)
    return Sharpness((z + float(special.ndtri(POWER))) * error, passes)
