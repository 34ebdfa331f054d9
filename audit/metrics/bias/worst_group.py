# SPDX-License-Identifier: Apache-2.0
"""The largest absolute gap of an attribute, over all its groups and all slices, with an interval for the largest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from audit.metrics._base import estimate, metric
from audit.metrics.bias._groups import GroupShares, group_shares
from audit.metrics.bias._largest import Cell, largest_gap
from audit.stats.intervals import Interval
from audit.types import Estimate, MetricSpec, Scalar, View

__all__ = ["METRIC"]


@metric(
    MetricSpec(
        id="bias.worst_group",
        version="1",
        title="Largest gap",
        unit="share",
        direction="lower",
        bounds=(0.0, 1.0),
        purposes=frozenset({"bias"}),
        needs=(),
        min_n=10,
        cluster=None,
        citation="Rogan and Gladen 1978, eq. 1; Dunn 1961 (Bonferroni limits)",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """One estimate an attribute: over the slices that the probe set declares where there are some, else the pool."""
    found: dict[str, list[GroupShares | Estimate]] = {}
    for item in group_shares(view, spec):
        where = item.slice if isinstance(item, Estimate) else item.where
        found.setdefault(where.get("attribute", ""), []).append(item)
    for attribute, items in found.items():
        cells = [item for item in items if isinstance(item, GroupShares)]
        sliced = [item for item in cells if len(item.where) > 1]
        if cells:
            yield _worst(view, spec, {"attribute": attribute}, sliced or cells, declared=len(items) - bool(sliced))
        else:
            yield from (item for item in items[:1] if isinstance(item, Estimate))


def _worst(
    view: View, spec: MetricSpec, where: dict[str, str], found: Sequence[GroupShares], *, declared: int
) -> Estimate:
    worst = largest_gap([Cell(shares, tuple(range(len(shares.shares)))) for shares in found])
    n, cell = _images(found), worst.shares
    method = f"Bonferroni over {worst.looked_at} gaps: {cell.method}"
    extra: dict[str, Scalar] = {
        **{f"worst_{name}": value for name, value in cell.where.items() if name != "attribute"},
        "worst_group": cell.declared.groups[worst.group],
        "worst_share": float(cell.shares[worst.group]),
        "worst_reference": cell.reference[worst.group],
        "worst_n": cell.n,
        "looked_at": worst.looked_at,
        "slices_left_out": declared - len(found),
        "excess": worst.value - worst.floor,
    }
    interval = Interval(worst.value, worst.low, worst.high, n, n, method)
    missing = max(0, len(view) - n)
    done = estimate(view, spec, where, interval, missing=missing, floor=worst.floor, extra=extra)
    return replace(done, curve=worst.curve)


def _images(cells: Sequence[GroupShares]) -> int:
    """Images behind the cells; those that stand in slices of several axes count once."""
    axes = {tuple(name for name in cell.where if name != "attribute"): 0 for cell in cells}
    for cell in cells:
        axes[tuple(name for name in cell.where if name != "attribute")] += cell.n
    return max(axes.values())
