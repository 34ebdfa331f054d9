# SPDX-License-Identifier: Apache-2.0
"""The largest of many absolute gaps, and limits that allow for having looked at all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audit.metrics.bias._groups import LEVELS, GroupShares

__all__ = ["Cell", "Largest", "largest_gap"]

_REPS = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """Groups of one slice.

    Attributes:
        shares: of the slice.
        among: which of its declared groups are looked at.
    """

    shares: GroupShares
    among: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Largest:
    """The largest absolute gap.

    Attributes:
        value: of the estimate. low, high: limits at the level of the view.
        shares: of the slice that it is found in. group: index of its group.
        looked_at: how many gaps.
        floor: mean largest gap of a generator that draws at the reference.
        curve: the limits at all of `LEVELS`.
    """

    value: float
    low: float
    high: float
    shares: GroupShares
    group: int
    looked_at: int
    floor: float
    curve: tuple[tuple[float, float, float], ...]


def largest_gap(cells: Sequence[Cell]) -> Largest:
    """The largest |share - reference| over the groups of all cells, at least one.

    Each gap has its limits at the level 1 - alpha / m (Bonferroni), so that all m hold at once: the largest true gap is
    at least the largest lower limit of an absolute gap, and at most the largest upper one.
    """
    value, where, group = -1.0, cells[0], 0
    for cell in cells:
        gaps = np.abs(cell.shares.shares - np.array(cell.shares.reference))
        j = max(cell.among, key=lambda i: float(gaps[i]))
        if gaps[j] > value:
            value, where, group = float(gaps[j]), cell, j
    view = where.shares.view
    (_, low, high), *curve = _simultaneous(cells, (view.level, *LEVELS))
    m = sum(len(cell.among) for cell in cells)
    floor = _floor(cells, seed=view.seed)
    return Largest(value, low, high, where.shares, group, m, floor, tuple(curve))


def _simultaneous(cells: Sequence[Cell], levels: Sequence[float]) -> list[tuple[float, float, float]]:
    m = sum(len(cell.among) for cell in cells)
    each = tuple(1 - (1 - level) / m for level in levels)
    nearest, furthest = np.zeros(len(levels)), np.zeros(len(levels))
    for cell in cells:
        at = list(cell.among)
        reference = np.array(cell.shares.reference)[at]
        lows, highs = (limits[:, at] - reference for limits in cell.shares.limits(each))
        nearest = np.maximum(nearest, np.maximum(lows, -highs).max(axis=1))
        furthest = np.maximum(furthest, np.maximum(np.abs(lows), np.abs(highs)).max(axis=1))
    return [(level, float(a), float(b)) for level, a, b in zip(levels, nearest, furthest, strict=True)]


def _floor(cells: Sequence[Cell], *, seed: int) -> float:
    """Mean largest |gap| at the reference: normal errors of each group's size, those of a slice bound to sum 0."""
    rng, largest = np.random.default_rng(seed), np.zeros(_REPS)
    for cell in cells:
        k, at = len(cell.shares.shares), list(cell.among)
        noise = rng.standard_normal((_REPS, k))
        noise = (noise - noise.mean(axis=1, keepdims=True)) * np.sqrt(k / (k - 1))
        errors = cell.shares.scatter(cell.shares.reference) * np.sqrt(np.pi / 2)
        largest = np.maximum(largest, np.abs(noise * errors)[:, at].max(axis=1))
    return float(largest.mean())
