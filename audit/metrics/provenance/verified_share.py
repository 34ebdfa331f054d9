# SPDX-License-Identifier: Apache-2.0
"""Share of images whose Content Credentials verify."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from audit.metrics._base import estimate, images, insufficient, metric, missing_column
from audit.stats.intervals import clopper_pearson
from audit.types import Estimate, MetricSpec, Scalar, View

__all__ = ["METRIC"]

_COLUMN = "credentials.state"
_VERIFIED = ("trusted", "no_timestamp", "valid_untrusted")
_UNKNOWN = "undetermined"


@metric(
    MetricSpec(
        id="provenance.verified_share",
        version="1",
        title="Images with credentials that verify",
        unit="share",
        direction="higher",
        bounds=(0.0, 1.0),
        purposes=frozenset(),
        needs=(_COLUMN,),
        min_n=1,
        cluster=None,
        citation="C2PA 2.2, sec. 15; Clopper and Pearson 1934",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """One estimate over all images that could be checked, with the number of images in each state."""
    absent = missing_column(view, spec)
    if absent is not None:
        yield absent
        return
    states = [str(s) for s in view.columns[_COLUMN][images(view)] if isinstance(s, str | np.str_)]
    counts = Counter(states)
    extra: dict[str, Scalar] = {f"state.{state}": counts[state] for state in sorted(counts)}
    n = len(states) - counts[_UNKNOWN]  # an image that could not be checked is missing, not one that fails
    if n < spec.min_n:
        yield insufficient(view, spec, {}, why="no image was checked")
        return
    interval = clopper_pearson(sum(counts[state] for state in _VERIFIED), n, level=view.level)
    yield estimate(view, spec, {}, interval, missing=len(view) - n, extra=extra)
