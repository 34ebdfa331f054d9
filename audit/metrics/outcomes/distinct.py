# SPDX-License-Identifier: Apache-2.0
"""Whether different seeds of one prompt give different pictures: n images are worth less where pictures repeat."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from audit.metrics._base import estimate, images, insufficient, metric, slices
from audit.stats.collisions import collision_interval, effective_size
from audit.stats.intervals import Interval
from audit.types import Estimate, MetricSpec, Scalar, Status, View

__all__ = ["METRIC"]

Slice = tuple[dict[str, str], View]


@metric(
    MetricSpec(
        id="outcomes.distinct",
        version="1",
        title="Different seeds give different pictures",
        unit="share",
        direction="higher",
        bounds=(0.0, 1.0),
        purposes=frozenset({"bias", "quality", "likeness"}),  # all there are, one probe set at a time
        needs=(),
        min_n=2,
        cluster="prompt_id",
        citation="Simpson 1949; Kish 1965, sec. 5.4; Hoeffding 1948; Efron and Stein 1981",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """Overall, by axis, and by each prompt with a repeated picture: mean over prompts of pairs of seeds that differ.

    ``extra`` counts ``pictures``, ``distinct`` ones, ``duplicates`` (that repeat an earlier one of the same prompt) and
    ``elsewhere`` (distinct within their prompt, but there under another prompt too), and holds ``effective_n``.
    """
    if "picture" not in view.columns:
        yield insufficient(view, spec, {}, why="no digests of the pictures", status=Status.UNAVAILABLE)
        return
    alone: set[str] = set()
    for where, part in slices(view):
        prompts = set(part.columns["prompt_id"].astype(str))
        alone |= prompts if len(prompts) == 1 else set()
        yield _distinct(part, spec, where)
    for where, part in _repeating(view):
        if where["prompt"] not in alone:
            yield _distinct(part, spec, where)


def _repeating(view: View) -> Iterator[Slice]:
    """The prompts with a picture that repeats; a slice for every prompt would bury the report."""
    names = view.columns["prompt_id"].astype(str)
    for name in np.unique(names):
        part = view.take(names == name)
        shown = _shown(part)
        if len(np.unique(shown)) < len(shown):
            yield {"prompt": str(name)}, part


def _shown(view: View) -> NDArray[np.str_]:
    """Digests of the pictures there are, shape (n,)."""
    return view.columns["picture"][_seen(view)].astype(str)


def _seen(view: View) -> NDArray[np.bool_]:
    there = np.array([digest is not None for digest in view.columns["picture"]], dtype=bool)
    kept: NDArray[np.bool_] = images(view) & there
    return kept


def _counts(digests: NDArray[np.str_]) -> NDArray[np.int64]:
    """How many images show each picture."""
    return np.unique(digests, return_counts=True)[1].astype(np.int64)


def _distinct(view: View, spec: MetricSpec, where: dict[str, str]) -> Estimate:
    shown, prompts = _shown(view), view.columns["prompt_id"][_seen(view)].astype(str)
    every = [_counts(shown[prompts == name]) for name in np.unique(prompts)]
    pairs = [counts for counts in every if counts.sum() >= spec.min_n]
    extra = _extra(every, _counts(shown))
    if not pairs:
        return insufficient(view, spec, where, why="no prompt has two images to compare", extra=extra)
    same = collision_interval(pairs, level=view.level)
    interval = Interval(1 - same.value, 1 - same.high, 1 - same.low, same.n, same.clusters, same.method)
    return estimate(view, spec, where, interval, missing=len(view) - same.n, extra=extra)


def _extra(prompts: list[NDArray[np.int64]], together: NDArray[np.int64]) -> dict[str, Scalar]:
    pictures, within = int(together.sum()), sum(len(counts) for counts in prompts)
    return {
        "pictures": pictures,
        "distinct": len(together),
        "duplicates": pictures - within,
        "elsewhere": within - len(together),
        "effective_n": effective_size(together),
    }
