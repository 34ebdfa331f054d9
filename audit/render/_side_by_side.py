# SPDX-License-Identifier: Apache-2.0
"""Which prompts are shown side by side: evenly spaced in the plan, the same prompt and seed for every generator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

__all__ = ["COLUMNS", "column_of", "side_by_side"]

COLUMNS = 8
_PICTURES = 80  # of many generators fewer prompts are shown, but at least 3

T = TypeVar("T")


def column_of(request: Mapping[str, Any]) -> str:
    """Equal for requests with the same prompt, repetition and seed."""
    return f"{request['probe']}/{request['prompt_id']}#{request['repetition']}@{request['seed']}"


def side_by_side(rows: Sequence[T], request: Callable[[T], Mapping[str, Any]]) -> list[T]:
    """Answers to some prompts, column by column, in each column one of every generator.

    Columns are dealt to the probe sets in turn, and within a set taken at even distances, of the first repetition; a
    request that one generator was never asked is none.

    Args:
        rows: all answers in plan order.
        request: the request of a row, with generator, probe, prompt_id, repetition and seed.
    """
    generators = {request(row)["generator"] for row in rows}
    columns: dict[str, list[T]] = {}
    for row in rows:
        if request(row)["repetition"] == 0:
            columns.setdefault(column_of(request(row)), []).append(row)
    by_probe: dict[str, list[list[T]]] = {}
    for column in columns.values():
        if len(column) == len(generators) > 1:
            by_probe.setdefault(request(column[0])["probe"], []).append(column)
    width = max(3, min(COLUMNS, _PICTURES // max(1, len(generators))))
    dealt = _deal([len(found) for found in by_probe.values()], width)
    chosen = (found[i * len(found) // k] for found, k in zip(by_probe.values(), dealt, strict=True) for i in range(k))
    return [row for column in chosen for row in column]


def _deal(sizes: Sequence[int], total: int) -> list[int]:
    """``total`` places, one after the other in turn, never more than there is.

    >>> _deal([8, 48, 2], 8)
    [3, 3, 2]
    """
    taken = [0] * len(sizes)
    while sum(taken) < min(total, sum(sizes)):
        for place, size in enumerate(sizes):
            if taken[place] < size and sum(taken) < total:
                taken[place] += 1
    return taken
