# SPDX-License-Identifier: Apache-2.0
"""Inception score: how sure a classifier is of each image, and how many classes it sees in all."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from audit.metrics._base import estimate, images, insufficient, metric, missing_column, slices
from audit.stats.inception_score import inception_score, inception_score_splits
from audit.stats.intervals import Interval
from audit.types import Estimate, MetricSpec, Scalar, View

__all__ = ["METRIC"]

_LOGITS = "inception.logits"
_SPLITS = 10


@metric(
    MetricSpec(
        id="quality.inception_score",
        version="1",
        title="Inception score",
        unit="score",
        direction="higher",
        bounds=(1.0, None),
        purposes=frozenset({"quality"}),
        needs=(_LOGITS,),
        min_n=20,
        cluster=None,
        citation="Salimans et al. 2016, eq. 1; jackknife on the logarithm",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """Overall and by axis. It sees no reference: images of the classifier's classes score well, portraits do not.

    ``extra`` of the whole view holds mean and spread over 10 splits, as the score is commonly printed.
    """
    absent = missing_column(view, spec)
    if absent is not None:
        yield absent
        return
    for where, part in slices(view):
        yield _score(part, spec, where)


def _score(view: View, spec: MetricSpec, where: dict[str, str]) -> Estimate:
    logits = np.asarray(view.columns[_LOGITS])
    known = images(view) & np.isfinite(logits).all(axis=1) if logits.ndim == 2 else np.zeros(len(view), dtype=bool)
    n = int(known.sum())
    if n < spec.min_n:
        return insufficient(view, spec, where, n=n, why=f"{n} images, needs {spec.min_n}")
    found = inception_score(logits[known], level=view.level)
    extra: dict[str, Scalar] = {"raw": found.raw, "standard_error": found.standard_error, "classes": found.classes}
    if not where and n >= 2 * _SPLITS:
        common = inception_score_splits(logits[known], splits=_SPLITS, seed=view.seed)
        extra |= {"splits_mean": common.mean, "splits_spread": common.spread}
    interval = Interval(found.value, found.low, found.high, n, n, found.method)
    return estimate(view, spec, where, interval, missing=len(view) - n, extra=extra)
