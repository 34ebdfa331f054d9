# SPDX-License-Identifier: Apache-2.0
"""Share of a declared group among the images, corrected for the instrument's error, minus its reference share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from audit.metrics._base import estimate, metric
from audit.metrics.bias._groups import LEVELS, GroupShares, group_shares
from audit.metrics.bias._watched import WATCHED_LEVELS
from audit.stats.bounds import TOGETHER, worst_case
from audit.stats.equivalence import p_from_curve
from audit.stats.intervals import Interval
from audit.stats.multiplicity import benjamini_hochberg
from audit.types import Estimate, MetricSpec, Scalar, Status, View

__all__ = ["METRIC"]

_WHOLE = {"attribute", "group"}


@metric(
    MetricSpec(
        id="bias.representation_gap",
        version="2",
        title="Representation gap",
        unit="share",
        direction="none",
        bounds=(-1.0, 1.0),
        purposes=frozenset({"bias"}),
        needs=(),
        min_n=10,
        cluster=None,
        citation="Rogan and Gladen 1978, eq. 1; Lancaster 1961; Angelopoulos et al. 2023; Manski 1989",
        anytime=True,
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """One estimate per slice, attribute and declared group, seen or not; none of attributes that prompts ask for."""
    found: list[Estimate] = []
    for shares in group_shares(view, spec):
        found += [shares] if isinstance(shares, Estimate) else _gaps(shares, spec)
    yield from _explored(found)


def _explored(found: Sequence[Estimate]) -> list[Estimate]:
    """The estimates with p and q of "no gap": q is adjusted over the slices and groups of an attribute.

    For looking around (Benjamini and Hochberg 1995): of the gaps with q up to .05 one in twenty is luck. Pooled slices
    are left out, they hold the others. Gates adjust by themselves.
    """
    p = [_p(e) if set(e.slice) - _WHOLE else None for e in found]
    attributes = [e.slice.get("attribute") for e in found]
    q: dict[int, float] = {}
    for attribute in dict.fromkeys(attributes):
        mine = [i for i, each in enumerate(attributes) if each == attribute and p[i] is not None]
        adjusted = benjamini_hochberg(np.array([p[i] for i in mine], dtype=np.float64))
        q.update(zip(mine, map(float, adjusted), strict=True))
    return [
        replace(e, extra={**e.extra, "p_value": p[i], "q_value": q[i]}) if i in q else e for i, e in enumerate(found)
    ]


def _p(estimate: Estimate) -> float | None:
    """The p of "the share is the reference share", read off the curve; None without a number."""
    if estimate.status is not Status.OK:
        return None
    levels, lows, highs = (np.array(column) for column in zip(*estimate.curve, strict=True))
    return p_from_curve(1 - levels, lows, highs, (0.0, 0.0))[0]


def _gaps(shares: GroupShares, spec: MetricSpec) -> Iterator[Estimate]:
    view, floor = shares.view, shares.scatter(shares.reference)
    levels = LEVELS if view.cap is None else WATCHED_LEVELS
    (low, high), (lows, highs) = shares.curve(levels)
    for j, group in enumerate(shares.declared.groups):
        share, reference = float(shares.shares[j]), shares.reference[j]
        interval = Interval(
            share - reference,
            float(low[j]) - reference,
            float(high[j]) - reference,
            shares.n,
            shares.clusters,
            shares.method,
        )
        extra: dict[str, Scalar] = {
            "share": share,
            "share_low": float(low[j]),
            "share_high": float(high[j]),
            "reference": reference,
            "reference_source": shares.declared.source,
            "ratio": share / reference if reference > 0 else None,
            "detectable": shares.detectable(j),
            **shares.extra,
            **shares.by_group[j],
            **_bounds(shares, share, reference),
        }
        found = estimate(
            view,
            spec,
            {**shares.where, "group": group},
            interval,
            missing=len(view) - shares.n,
            floor=float(floor[j]),
            extra=extra,
        )
        ends = zip(levels, lows[:, j] - reference, highs[:, j] - reference, strict=True)
        yield replace(found, curve=tuple((level, float(a), float(b)) for level, a, b in ends))


def _bounds(shares: GroupShares, share: float, reference: float) -> dict[str, Scalar]:
    """Smallest and largest gap if all that show no group had shown this one, or none had: each kind, and together.

    ``bound_limit_low`` and ``bound_limit_high`` allow for the number of images as well (Imbens and Manski 2004).
    """
    told, found = shares.told, dict[str, Scalar]()
    for kind, unseen in {**shares.unseen, TOGETHER: sum(shares.unseen.values())}.items():
        requests = told + unseen
        if not requests:
            continue
        name = "bound" if kind == TOGETHER else f"bound_{kind}"
        found[f"{name}_low"] = share * told / requests - reference
        found[f"{name}_high"] = (share * told + unseen) / requests - reference
    unseen = sum(shares.unseen.values())
    if told + unseen:
        limits = worst_case(round(share * told), told, unseen, level=shares.view.level)
        found["bound_limit_low"], found["bound_limit_high"] = limits.low - reference, limits.high - reference
    return found
