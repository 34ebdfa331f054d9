# SPDX-License-Identifier: Apache-2.0
"""A share of images whose luck is shared within prompts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.stats.annotator_error import Correction
from audit.stats.intervals import Interval

__all__ = ["clustered_share"]

# Counts so many that they say "never wrong": the corrected share of such an instrument is the plain one.
_PERFECT = Correction(np.diag([1e12, 1e12]))


def clustered_share(hits: NDArray[np.bool_], clusters: NDArray[Any] | None = None, *, level: float = 0.95) -> Interval:
    """Share of hits with the mid-p interval of a share, its sample size deflated by what clusters have in common.

    Unlike a t interval it has width where all hit or none does. A single cluster says nothing of others: then the hits
    are the units, and the method says so.

    Args:
        hits: shape (n,), n at least 1.
        clusters: label of the cluster of each, shape (n,); None where they are independent.
        level: confidence level.

    Raises:
        ValueError: no hit and no miss.
    """
    answers = np.array([hits.sum(), (~hits).sum()], dtype=np.float64)
    table: NDArray[np.float64] | None = None
    if clusters is not None:
        labels = np.unique(clusters, return_inverse=True)[1]
        table = np.stack([np.bincount(labels, weights=side.astype(np.float64)) for side in (hits, ~hits)], axis=1)
    found = _PERFECT.estimate(answers, level=level, clusters=table)
    method = "mid-p" if found.clusters == len(hits) else f"mid-p, robust to {found.clusters} clusters"
    return Interval(
        float(found.shares[0]), float(found.low[0]), float(found.high[0]), len(hits), found.clusters, method
    )
