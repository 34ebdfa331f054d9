# SPDX-License-Identifier: Apache-2.0
"""One rule on many slices: which findings hold when that many were looked at.

A gate errs in two ways. It can fail a slice that keeps the limit: over a hundred occupations at 5 % each some would
fail by luck alone, so the p-values of "outside the limits" are adjusted together - Holm 1979 keeps the chance of any
such failure under the level, Benjamini and Hochberg 1995 the expected share of them among all failures. And it can pass
a generator that breaks the limit somewhere; but it passes only if *every* slice passes, and the chance that one bad
slice does is already that of its own two one-sided tests (Berger 1982, intersection-union), so passing needs no
adjustment.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from audit.policy.limits import Limits, decide
from audit.stats.equivalence import p_from_curve
from audit.stats.multiplicity import benjamini_hochberg, holm
from audit.types import Decision, Estimate

__all__ = ["Correction", "Judged", "curve_of", "judge_family"]

Correction = Literal["holm", "bh", "none"]

#: Levels at which an interval that has no curve of its own is drawn out.
_ALPHAS = tuple(0.2 / 2**i for i in range(16))


@dataclass(frozen=True, slots=True)
class Judged:
    """What is decided about one slice.

    Attributes:
        decision: with the other slices in mind.
        alone: as if it were the only one.
        p_outside: of "outside the limits", adjusted.
        p_inside: of "inside the limits" (two one-sided tests), not adjusted.
        tests: how many slices were judged together.
    """

    decision: Decision
    alone: Decision
    p_outside: float
    p_inside: float
    tests: int


def judge_family(estimates: Sequence[Estimate], limits: Limits, *, correction: Correction) -> list[Judged]:
    """Decisions about estimates that have a number, all of one rule and one generator, in their order."""
    alone = [decide(estimate.low, estimate.high, limits) for estimate in estimates]
    p = np.array([_p(estimate, limits) for estimate in estimates]).reshape(-1, 2)
    outside = _ADJUST[correction](p[:, 0])
    together = len(estimates) > 1 and correction != "none"
    found = []
    for i, estimate in enumerate(estimates):
        decision = alone[i]
        if together and decision is Decision.FAIL and outside[i] > 1 - estimate.level + 1e-12:
            decision = Decision.INCONCLUSIVE
        found.append(Judged(decision, alone[i], float(outside[i]), float(p[i, 1]), len(estimates)))
    return found


def _none(p: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return p


_ADJUST = {"holm": holm, "bh": benjamini_hochberg, "none": _none}


def _p(estimate: Estimate, limits: Limits) -> tuple[float, float]:
    curve = curve_of(estimate)
    if not curve:
        return 1.0, 1.0
    levels, lows, highs = (np.array(column) for column in zip(*curve, strict=True))
    return p_from_curve(1 - levels, lows, highs, limits)


def curve_of(estimate: Estimate) -> tuple[tuple[float, float, float], ...]:
    """The estimate's intervals by rising level; where it brings none, its one interval drawn out as a normal one is."""
    if estimate.curve:
        return estimate.curve
    value, low, high = estimate.value, estimate.low, estimate.high
    if value is None or low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return ()
    unit = special.ndtri((1 + estimate.level) / 2)
    points = []
    for alpha in _ALPHAS:
        scale = float(special.ndtri(1 - alpha / 2) / unit)
        points.append((1 - alpha, value - scale * (value - low), value + scale * (high - value)))
    return tuple(points)
