# SPDX-License-Identifier: Apache-2.0
"""Shares of a prompt that is stopped as soon as it is decided: intervals that hold however often one looked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from audit.metrics._base import insufficient
from audit.metrics.bias._groups import GroupShares
from audit.metrics.bias._shares import Shares
from audit.stats.annotator_error import Correction
from audit.stats.sequential import outlook, sequential_estimate
from audit.types import Estimate, MetricSpec, Scalar, Status

__all__ = ["WATCHED_LEVELS", "watched"]

Array = NDArray[np.float64]
_METHOD = "confidence sequence with the error of the confusion counts; holds at any stopping time"
_AT_CAP = f"{_METHOD}, and the fixed interval once at the last image"

#: Levels of confidence curves; coarser than those of fixed designs, because each is looked at after every round.
WATCHED_LEVELS = tuple(1 - 0.2 / 4**i for i in range(8))


def watched(shares: Shares, found: GroupShares, spec: MetricSpec, *, cap: int) -> GroupShares | Estimate:
    """The same shares with anytime-valid limits, and what the images still to come could decide.

    Args:
        shares: answers of one slice.
        found: its shares in a fixed design.
        spec: of the metric.
        cap: images a prompt of the fixed design.
    """
    if len(set(shares.view.columns["prompt_id"].tolist())) > 1:
        why = "its prompts are stopped one by one, so that they are not asked equally often"
        return insufficient(shares.view, spec, shares.where, n=found.n, why=why, status=Status.UNAVAILABLE)
    asked = len(shares.view)
    places = [shares.operating.truth.index(group) for group in shares.declared.groups]
    answers = tuple(int(count) for count in shares.answers)

    def limits(levels: tuple[float, ...]) -> tuple[Array, Array]:
        ends = [_ends(shares.operating.counts, answers, cap, asked >= cap, level) for level in levels]
        return np.array([low for low, _ in ends])[:, places], np.array([high for _, high in ends])[:, places]

    ahead = outlook(shares.correction, shares.answers, remaining=max(0, cap - asked))
    more = [
        {
            "outlook_share": float(ahead.share[j]),
            "outlook_spread": float(ahead.spread[j]),
            "outlook_matrix": float(ahead.matrix[j]),
            "outlook_n": float(ahead.n[0]),
        }
        for j in places
    ]
    by_group: list[Mapping[str, Scalar]] = [{**old, **new} for old, new in zip(found.by_group, more, strict=True)]
    return replace(
        found,
        limits=limits,
        clusters=found.n,
        method=_AT_CAP if asked >= cap else _METHOD,
        extra={**found.extra, "asked": asked, "cap": cap},
        by_group=tuple(by_group),
    )


@lru_cache(maxsize=65_536)
def _ends(
    counts: tuple[tuple[int, ...], ...], answers: tuple[int, ...], cap: int, final: bool, level: float
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Limits at one level; kept, because every look asks again about prompts that were stopped before."""
    correction = Correction(np.asarray(counts, dtype=np.float64))
    found = sequential_estimate(correction, np.array(answers), cap=cap, final=final, level=level)
    return tuple(map(float, found.low)), tuple(map(float, found.high))
