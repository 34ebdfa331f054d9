# SPDX-License-Identifier: Apache-2.0
"""Eight gates judged together, look after look, by the code that ``genaudit run --until-decided`` judges with."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from audit.metrics.bias._groups import LEVELS
from audit.metrics.bias._watched import WATCHED_LEVELS
from audit.policy.family import judge_family
from audit.stats.annotator_error import Correction
from audit.stats.sequential import hopeless, outlook, sequential_estimate
from audit.types import Decision, Estimate, Status

__all__ = ["judged_together"]

Counts = NDArray[np.int64]


def judged_together(
    correction: Correction, answers: Counts, *, gate: tuple[float, float], step: int
) -> tuple[Counts, list[Decision], list[Decision]]:
    """Images each question took, decisions, and those of the fixed design, all questions of one audit under Holm.

    Args:
        correction: of the instrument.
        answers: codes, shape (questions, cap).
        gate: smallest and largest allowed share of the first group.
        step: images between two looks.
    """
    r, (questions, cap) = correction.counts.shape[1], answers.shape
    used, open_ = np.zeros(questions, dtype=np.int64), np.ones(questions, dtype=bool)
    limits = np.tile(gate, (len(correction.rows), 1))

    @cache
    def watched(counts: tuple[int, ...], final: bool) -> Estimate:
        found = [
            sequential_estimate(correction, np.array(counts), cap=cap, final=final, level=level)
            for level in (*WATCHED_LEVELS, 0.95)
        ]
        curve = tuple(
            (level, float(f.low[0]), float(f.high[0])) for level, f in zip(WATCHED_LEVELS, found, strict=False)
        )
        return _estimate(float(found[-1].shares[0]), float(found[-1].low[0]), float(found[-1].high[0]), curve)

    decided: list[Decision] = []
    while open_.any():
        used[open_] += step
        tables = [np.bincount(answers[q, : used[q]], minlength=r) for q in range(questions)]
        family = [watched(tuple(map(int, t)), bool(used[q] >= cap)) for q, t in enumerate(tables)]
        decided = [judged.decision for judged in judge_family(family, gate, correction="holm")]
        for q in np.flatnonzero(open_):
            over = used[q] >= cap or hopeless(outlook(correction, tables[q], remaining=int(cap - used[q])), limits)[0]
            open_[q] = decided[q] is Decision.INCONCLUSIVE and not over
    whole = [np.bincount(row, minlength=r) for row in answers]
    fixed = judge_family([_fixed(correction, counts) for counts in whole], gate, correction="holm")
    return used, decided, [judged.decision for judged in fixed]


def _fixed(correction: Correction, counts: Counts) -> Estimate:
    found = correction.estimate(counts)
    low, high = correction.curve(counts, levels=np.array(LEVELS))
    curve = tuple((level, float(a), float(b)) for level, a, b in zip(LEVELS, low[:, 0], high[:, 0], strict=True))
    return _estimate(float(found.shares[0]), float(found.low[0]), float(found.high[0]), curve)


def _estimate(value: float, low: float, high: float, curve: tuple[tuple[float, float, float], ...]) -> Estimate:
    words = {
        "metric": "share",
        "version": "1",
        "unit": "share",
        "generator": "g",
        "slice": {},
        "method": "",
        "level": 0.95,
    }
    numbers = {"value": value, "low": low, "high": high, "n": 1, "clusters": 1, "missing": 0}
    return Estimate(**words, **numbers, status=Status.OK, curve=curve)
