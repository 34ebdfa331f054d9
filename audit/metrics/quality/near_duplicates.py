# SPDX-License-Identifier: Apache-2.0
"""Whether different seeds of one prompt give nearly the same picture, as compressing or resizing one would."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audit.metrics._base import estimate, images, insufficient, metric, missing_column, slices
from audit.stats.pair_share import hamming, matches_each, pairs_interval
from audit.types import Estimate, MetricSpec, Scalar, View

__all__ = ["METRIC"]

# Of pictures of 64 pixels 99 in 100 stay within 6 bits of themselves under JPEG 50, noise of 3 levels, resizing to 3/4
# and back, or less contrast; of different portraits in one pose 1 pair in 2,000 is as near.
_THRESHOLD: Final = 6
_MOST_OF_ONE, _MOST_BETWEEN = 10_000, 2048  # pictures of one prompt, and those compared with other prompts

Hashes = dict[str, NDArray[np.uint64]]


@metric(
    MetricSpec(
        id="quality.near_duplicates",
        version="1",
        title="Seeds that give nearly the same picture",
        unit="share",
        direction="lower",
        bounds=(0.0, 1.0),
        purposes=frozenset({"quality"}),
        needs=("faults.phash",),
        min_n=2,
        cluster="prompt_id",
        citation="Zauner 2010, ch. 3; Hoeffding 1948; Efron and Stein 1981; Kruskal 1963",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """Overall and by axis: mean over prompts of the share of pairs of images within ``extra.threshold`` bits of 64.

    ``extra.false_match`` is the same share among pictures of *different* prompts, which is what the threshold lets
    through where nothing repeats, over all prompts of the set; pictures of one colour have no hash.
    """
    absent = missing_column(view, spec)
    if absent is not None:
        yield absent
        return
    extra: dict[str, Scalar] = {"threshold": _THRESHOLD, **_between(_hashes(view), view.level)}
    for where, part in slices(view):
        found = _within(part, spec, where)
        yield replace(found, extra={**found.extra, **extra})


def _hashes(view: View) -> Hashes:
    """The hashes of each prompt's pictures, by prompt."""
    column = view.columns["faults.phash"]
    kept = images(view) & np.array([value is not None for value in column], dtype=bool)
    prompts = view.columns["prompt_id"][kept].astype(str)
    values = np.array([int(value, 16) for value in column[kept]], dtype=np.uint64)
    return {str(name): values[prompts == name] for name in np.unique(prompts)}


def _within(view: View, spec: MetricSpec, where: dict[str, str]) -> Estimate:
    every = [hashes[:_MOST_OF_ONE] for hashes in _hashes(view).values()]
    groups = [matches_each(hashes, within=_THRESHOLD) for hashes in every if len(hashes) >= spec.min_n]
    if not groups:
        return insufficient(view, spec, where, why="no prompt has two images to compare")
    interval = pairs_interval(groups, level=view.level)
    extra: dict[str, Scalar] = {"pairs": sum(len(group) * (len(group) - 1) // 2 for group in groups)}
    return estimate(view, spec, where, interval, missing=len(view) - interval.n, extra=extra)


def _between(hashes: Hashes, level: float) -> dict[str, Scalar]:
    """How often pictures of different prompts match; empty with one prompt."""
    each = max(1, _MOST_BETWEEN // max(len(hashes), 1))
    kept = [values[:each] for values in list(hashes.values())[:_MOST_BETWEEN]]
    if len(kept) < 2:
        return {}
    sizes = np.array([len(values) for values in kept])
    starts, together = np.concatenate([[0], np.cumsum(sizes)[:-1]]), np.concatenate(kept)
    near = (hamming(together, together) <= _THRESHOLD).astype(np.float64)
    rates = np.add.reduceat(np.add.reduceat(near, starts, axis=0), starts, axis=1) / np.outer(sizes, sizes)
    found = pairs_interval([rates.sum(axis=1) - np.diagonal(rates)], level=level)
    pairs = (len(together) ** 2 - int(sizes @ sizes)) // 2
    return {
        "false_match": found.value,
        "false_match_low": found.low,
        "false_match_high": found.high,
        "false_match_pairs": pairs,
    }
