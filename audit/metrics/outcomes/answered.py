# SPDX-License-Identifier: Apache-2.0
"""Share of requests that ended in an image, and of those that ended otherwise."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from audit.metrics._base import estimate, insufficient, metric, slices
from audit.stats.intervals import wilson
from audit.types import Estimate, MetricSpec, Outcome, View

__all__ = ["METRIC"]


@metric(
    MetricSpec(
        id="outcomes.answered",
        version="1",
        title="Requests answered with an image",
        unit="share",
        direction="higher",
        bounds=(0.0, 1.0),
        purposes=frozenset(),
        needs=(),
        min_n=1,
        cluster=None,
        citation="Wilson 1927",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """Overall and by axis the share of images; over all requests also the share of each other outcome."""
    for where, part in slices(view):
        yield _share(part, spec, where, Outcome.IMAGE)
    for outcome in Outcome:
        if outcome is not Outcome.IMAGE:
            yield _share(view, spec, {"outcome": outcome.value}, outcome)


def _share(view: View, spec: MetricSpec, where: dict[str, str], outcome: Outcome) -> Estimate:
    n = len(view)
    if n < spec.min_n:
        return insufficient(view, spec, where, why="no requests")
    k = int(np.sum(view.columns["outcome"] == outcome.value))
    return estimate(view, spec, where, wilson(k, n, level=view.level), extra={"count": k})
