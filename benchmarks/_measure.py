# SPDX-License-Identifier: Apache-2.0
"""Interleaved timing: on a noisy machine only ratios taken in the same breath mean anything."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

__all__ = ["Case", "report"]


@dataclass(frozen=True)
class Case:
    """One task, done by us and by peers on the same input.

    ``limit`` says what the machine allows, measured where it is a function; ``targets`` says by peer how many times
    faster we mean to be.
    """

    name: str
    ours: Callable[[], Any]
    peers: Mapping[str, Callable[[], Any]]
    agree: Callable[[Any, Any], bool]
    limit: str | Callable[[float], str]
    rounds: int = 5
    targets: Mapping[str, float] = field(default_factory=dict)


MISSED: list[str] = []


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def report(case: Case) -> list[str]:
    """One line a peer: how many times faster we are, median and extremes over the rounds; results must agree."""
    own: list[float] = []
    theirs: dict[str, list[float]] = {name: [] for name in case.peers}
    case.ours()  # libraries load and threads start outside the measurement
    for _ in range(case.rounds):
        seconds, result = _timed(case.ours)
        own.append(seconds)
        for name, peer in case.peers.items():
            seconds, other = _timed(peer)
            theirs[name].append(seconds)
            if not case.agree(result, other):
                raise SystemExit(f"{case.name}: {name} gives {other}, ours {result}")
    lines = [f"{case.name}: ours {median(own) * 1e3:.1f} ms ({min(own) * 1e3:.1f} to {max(own) * 1e3:.1f})"]
    for name, seconds in theirs.items():
        ratios = sorted(them / us for them, us in zip(seconds, own, strict=True))
        said = f"  x{median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) against {name}, {median(seconds):.3f} s"
        lines.append(said + _met(case, name, median(ratios)))
    limit = case.limit if isinstance(case.limit, str) else case.limit(median(own))
    return [*lines, f"  limit: {limit}"]


def _met(case: Case, peer: str, ratio: float) -> str:
    target = case.targets.get(peer)
    if target is None:
        return ""
    if ratio < target:
        MISSED.append(f"{case.name}: x{ratio:.2f} against {peer}, target x{target:g}")
    return f"; target x{target:g} {'met' if ratio >= target else 'MISSED'}"
