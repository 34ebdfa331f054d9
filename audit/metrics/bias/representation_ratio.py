# SPDX-License-Identifier: Apache-2.0
"""Share of a declared group among the images over its reference share: 1 as referred to, 0 never drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from audit.metrics._base import estimate, insufficient, metric
from audit.metrics.bias._groups import LEVELS, GroupShares, group_shares
from audit.stats.intervals import Interval
from audit.types import Estimate, MetricSpec, Scalar, Status, View

__all__ = ["METRIC"]


@metric(
    MetricSpec(
        id="bias.representation_ratio",
        version="1",
        title="Representation ratio",
        unit="ratio",
        direction="none",
        bounds=(0.0, None),
        purposes=frozenset({"bias"}),
        needs=(),
        min_n=10,
        cluster=None,
        citation="Rogan and Gladen 1978, eq. 1; the four-fifths rule of 29 CFR 1607.4 D compares such ratios",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """One estimate per slice, attribute and declared group; no number where the reference is no share at all."""
    for shares in group_shares(view, spec):
        if isinstance(shares, Estimate):
            yield shares
        else:
            yield from _ratios(shares, spec)


def _ratios(shares: GroupShares, spec: MetricSpec) -> Iterator[Estimate]:
    view, scatter = shares.view, shares.scatter(shares.reference)
    (low, high), (lows, highs) = shares.curve()
    for j, group in enumerate(shares.declared.groups):
        where, reference = {**shares.where, "group": group}, shares.reference[j]
        if reference <= 0:
            why = f"the reference share of {group} is 0"
            yield insufficient(view, spec, where, n=shares.n, why=why, status=Status.UNAVAILABLE)
            continue
        share = float(shares.shares[j])
        ends = float(low[j]) / reference, float(high[j]) / reference
        interval = Interval(share / reference, *ends, shares.n, shares.clusters, shares.method)
        extra: dict[str, Scalar] = {
            "share": share,
            "reference": reference,
            "reference_source": shares.declared.source,
            "scatter": float(scatter[j]) / reference,
            **shares.extra,
        }
        found = estimate(view, spec, where, interval, missing=len(view) - shares.n, extra=extra)
        curve = zip(LEVELS, lows[:, j] / reference, highs[:, j] / reference, strict=True)
        yield replace(found, curve=tuple((level, float(a), float(b)) for level, a, b in curve))
