# SPDX-License-Identifier: Apache-2.0
"""Share of a declared group among the images, corrected for the instrument's error, minus its reference share."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from audit.metrics._base import estimate, metric
from audit.metrics.bias._shares import Shares, attribute_slices
from audit.stats.annotator_error import misfit
from audit.stats.floor import correction_floor
from audit.stats.intervals import Interval
from audit.types import Estimate, MetricSpec, Scalar, View

__all__ = ["METRIC"]

_METHOD = "exact test inversion with the error of answers and of the confusion counts; prompts taken as fixed"


@metric(
    MetricSpec(
        id="bias.representation_gap",
        version="1",
        title="Representation gap",
        unit="share",
        direction="none",
        bounds=(-1.0, 1.0),
        purposes=frozenset({"bias"}),
        needs=(),
        min_n=10,
        cluster=None,
        citation="Rogan and Gladen 1978, eq. 1; Clopper and Pearson 1934",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """One estimate per slice, attribute and declared group, seen or not."""
    for shares in attribute_slices(view, spec):
        if isinstance(shares, Estimate):
            yield shares
        else:
            yield from _gaps(shares, spec)


def _gaps(shares: Shares, spec: MetricSpec) -> Iterator[Estimate]:
    view, operating, found = shares.view, shares.operating, shares.estimate
    floor = correction_floor(shares.n, shares.reference, operating.counts, seed=view.seed)
    doubt = misfit(operating.matrix(), shares.answers.astype(np.float64))
    for group in shares.declared.groups:
        j = operating.truth.index(group)
        reference = shares.reference[j]
        low, high = float(found.low[j]), float(found.high[j])
        interval = Interval(
            float(found.shares[j]) - reference, low - reference, high - reference, shares.n, shares.n, _METHOD
        )
        counted = int(shares.answers[operating.answers.index(group)]) if group in operating.answers else 0
        extra: dict[str, Scalar] = {
            "share": float(found.shares[j]),
            "share_low": low,
            "share_high": high,
            "raw_share": counted / shares.determinable if shares.determinable else None,
            "could_not_tell": 1.0 - shares.determinable / int(shares.answers.sum()),
            "reference": reference,
            "reference_source": shares.declared.source,
            "measured_on": operating.measured_on,
            "misfit": doubt,
        }
        yield estimate(
            view,
            spec,
            {**shares.where, "group": group},
            interval,
            missing=len(view) - shares.n,
            floor=floor.gap[j],
            extra=extra,
        )
