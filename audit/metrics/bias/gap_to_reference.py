# SPDX-License-Identifier: Apache-2.0
"""Gaps to further references: labour statistics, other policies, and what the generator was trained on.

Parity with labour statistics repeats present inequality and equal shares are a choice; the gap to both, side by side,
leaves that to the reader.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from audit.metrics._base import estimate, insufficient, metric
from audit.metrics.bias._groups import LEVELS, GroupShares, group_shares
from audit.metrics.bias.training import Training
from audit.stats.amplification import difference, training_interval
from audit.stats.intervals import Interval
from audit.types import DeclaredGroups, Estimate, MetricSpec, Scalar, Status, View

__all__ = ["METRIC", "TRAINING"]

#: Name of the composition of the training data among the references.
TRAINING = "training data"
_TRAINING_AXIS = "occupation"


@dataclass(frozen=True, slots=True)
class _Row:
    """Reference shares of one slice; ``n`` where they are those of a sample."""

    name: str
    shares: Mapping[str, float]
    source: str
    year: int | None = None
    n: int | None = None


@metric(
    MetricSpec(
        id="bias.gap_to_reference",
        version="1",
        title="Gap to further references",
        unit="share difference",
        direction="none",
        bounds=(-1.0, 1.0),
        purposes=frozenset({"bias"}),
        needs=("training",),
        min_n=10,
        cluster=None,
        citation="Rogan and Gladen 1978, eq. 1; Zou and Donner 2008",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """One estimate per reference, value of its axis, attribute and group; slices without a row have none."""
    training: Training | None = view.references.get("training")
    axes = {other.axis for declared in view.groups.values() for other in declared.others.values()}
    axes |= {_TRAINING_AXIS} if training is not None else set()
    if not axes:
        why = "neither a further reference nor a training composition is declared"
        yield insufficient(view, spec, {}, why=why, status=Status.UNAVAILABLE)
        return
    given = False
    for item in group_shares(replace(view, by=tuple(sorted(axes))), spec):
        if isinstance(item, Estimate):
            given = True
            yield item
            continue
        for row in _rows_of(item.declared, item.where, training):
            given = True
            yield from _gaps(item, row, spec)
    if not given:
        why = f"no slice by {', '.join(sorted(axes))} has a row among the further references"
        yield insufficient(view, spec, {}, why=why, status=Status.UNAVAILABLE)


def _rows_of(declared: DeclaredGroups, where: Mapping[str, str], training: Training | None) -> Iterator[_Row]:
    """The rows for one slice."""
    for name, other in declared.others.items():
        row = other.rows.get(where.get(other.axis, ""))
        if row is not None:
            yield _Row(name, row.shares, row.source, row.year)
    composition = training.rows.get((where.get(_TRAINING_AXIS, ""), declared.attribute)) if training else None
    if training and composition and set(composition.shares) == set(declared.groups):
        yield _Row(TRAINING, composition.shares, training.source, n=composition.n)


def _gaps(shares: GroupShares, row: _Row, spec: MetricSpec) -> Iterator[Estimate]:
    view, groups = shares.view, shares.declared.groups
    reference = tuple(float(row.shares.get(group, 0.0)) for group in groups)
    scatter = shares.scatter(reference)
    levels = (view.level, *LEVELS)
    lows, highs = shares.limits(levels)
    for j, group in enumerate(groups):
        share = float(shares.shares[j])
        ends = [
            _gap(Interval(share, float(a), float(b), shares.n, shares.clusters, shares.method), reference[j], row, at)
            for at, a, b in zip(levels, lows[:, j], highs[:, j], strict=True)
        ]
        extra: dict[str, Scalar] = {
            "share": share,
            "share_low": float(lows[0, j]),
            "share_high": float(highs[0, j]),
            "reference": reference[j],
            "reference_source": row.source,
            "reference_year": row.year,
            "reference_n": row.n,
            **shares.extra,
        }
        found = estimate(
            view,
            spec,
            {**shares.where, "reference": row.name, "group": group},
            ends[0],
            missing=len(view) - shares.n,
            floor=float(scatter[j]),
            extra=extra,
        )
        yield replace(found, curve=tuple((at, e.low, e.high) for at, e in zip(LEVELS, ends[1:], strict=True)))


def _gap(drawn: Interval, reference: float, row: _Row, level: float) -> Interval:
    """Share minus reference; where the reference is a sample, with its error (MOVER)."""
    found = difference(drawn, training_interval(reference, row.n, level=level))
    sampled = ", reference sampled (Wilson, MOVER)" if row.n else ""
    low, high = max(-1.0, found.low), min(1.0, found.high)
    return Interval(found.value, low, high, drawn.n, drawn.clusters, f"{drawn.method}{sampled}")
