# SPDX-License-Identifier: Apache-2.0
"""Vendi score: how many different images there are, as if all were equally far from each other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from audit.metrics._base import estimate, insufficient, metric
from audit.metrics.quality._spaces import SPACES, Space, no_space, spaces
from audit.stats.diversity import vendi_score
from audit.stats.intervals import Interval
from audit.types import Estimate, MetricSpec, Status, View

__all__ = ["METRIC"]


@metric(
    MetricSpec(
        id="quality.vendi",
        version="1",
        title="Vendi score",
        unit="images",
        direction="higher",
        bounds=(1.0, None),
        purposes=frozenset({"quality"}),
        needs=(),
        reads=SPACES,
        min_n=20,
        cluster=None,
        citation="Friedman and Dieng 2023, eq. 3; cosine kernel, order 1",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """Each feature space, over all images. It grows with their number: only equal numbers compare.

    Where the run has reference images, ``extra.reference`` is the score of as many of them, the first ones.
    """
    found = [_score(view, spec, space) for space in spaces(view)]
    yield from found or [no_space(view, spec)]


def _score(view: View, spec: MetricSpec, space: Space) -> Estimate:
    n = len(space.features)
    if n < spec.min_n:
        return insufficient(view, spec, space.slice, n=n, why=f"{n} images, needs {spec.min_n}")
    if not np.abs(space.features).sum(axis=1).all():
        why = "an embedding of zeros has no direction"
        return insufficient(view, spec, space.slice, n=n, why=why, status=Status.UNAVAILABLE)
    found = vendi_score(space.features, level=view.level)
    interval = Interval(found.value, found.low, found.high, n, n, found.method)
    extra = {"standard_error": found.standard_error, "dimension": found.dimension, **_reference(space, n)}
    return estimate(view, spec, space.slice, interval, missing=len(view) - n, extra=extra)


def _reference(space: Space, n: int) -> dict[str, float]:
    rows = space.reference[:n] if isinstance(space.reference, np.ndarray) else np.empty((0, 0))
    alike = rows.shape == space.features.shape and np.abs(rows).sum(axis=1).all()
    return {"reference": vendi_score(rows).value} if alike else {}
