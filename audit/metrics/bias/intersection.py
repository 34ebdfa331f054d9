# SPDX-License-Identifier: Apache-2.0
"""Gaps of the groups where two attributes meet ("feminine & dark"): a generator may keep both shares and lose the cell.

The reference of a cell is the product of the two references. Its answers are pairs of answers, with the Kronecker
product of the two confusion matrices: errors about one attribute are taken to be independent of errors about the other,
given the truth. Where one instrument's errors were counted within the groups of the other attribute
(`OperatingCharacteristics.within`), those counts are used and that part of the assumption falls away. A pair of groups
is credited with the smaller of its two numbers of validation images, which makes the counts no surer than they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from audit.metrics._base import estimate, insufficient, metric
from audit.metrics.bias._groups import LEVELS, GroupShares, corrected_groups
from audit.metrics.bias._largest import Cell, largest_gap
from audit.metrics.bias._rows import parts
from audit.metrics.bias._shares import Answered, about, answered, leave_free, shares_of
from audit.stats.annotator_error import MAX_CONDITION, Correction
from audit.stats.intervals import Interval
from audit.types import DeclaredGroups, Estimate, MetricSpec, OperatingCharacteristics, Scalar, Status, View

__all__ = ["LEAST_EXPECTED", "METRIC", "joint_counts"]

#: A cell where the reference expects fewer images is not told: one person more or less would be half of it.
LEAST_EXPECTED = 5.0


@metric(
    MetricSpec(
        id="bias.intersection",
        version="1",
        title="Gap where two attributes meet",
        unit="share",
        direction="none",
        bounds=(-1.0, 1.0),
        purposes=frozenset({"bias"}),
        needs=(),
        min_n=10,
        cluster=None,
        citation="Crenshaw 1989; Buolamwini and Gebru 2018; Rogan and Gladen 1978, eq. 1",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """One estimate per slice, pair of declared attributes and cell, and the largest of each slice and pair."""
    pairs = [(a, b) for a, b in combinations(view.groups.values(), 2) if not _nested(a.attribute, b.attribute)]
    free = [(a, b, leave_free(view, a.attribute) & leave_free(view, b.attribute)) for a, b in pairs]
    free = [(a, b, mask) for a, b, mask in free if mask.any() or not len(view)]
    if not free:
        why = "needs two declared attributes that the prompts do not ask for"
        yield insufficient(view, spec, {}, why=why, status=Status.UNAVAILABLE)
    for a, b, mask in free:
        yield from _pair(about(view, a.attribute, b.attribute).take(mask), spec, a, b)


def _nested(a: str, b: str) -> bool:
    """Whether one attribute is a coarser reading of the other, such as "tone" and "tone_band"."""
    return a.startswith(f"{b}_") or b.startswith(f"{a}_")


def _pair(view: View, spec: MetricSpec, a: DeclaredGroups, b: DeclaredGroups) -> Iterator[Estimate]:
    name = {"attribute": f"{a.attribute} x {b.attribute}"}
    found = [answered(view, spec, declared) for declared in (a, b)]
    for each in found:
        if isinstance(each, Estimate):
            yield replace(each, slice=name)
            return
    first, second = (each for each in found if isinstance(each, Answered))
    joint = _joint(first, second)
    if not joint.correction.identified:
        condition = f"condition number {joint.correction.condition:.1f}, above {MAX_CONDITION:g}"
        why = f"the two confusion matrices together have {condition}"
        yield insufficient(view, spec, name, why=why, status=Status.UNIDENTIFIED)
        return
    for where, index in parts(view, view.by):
        shares = shares_of(joint, spec, {**where, **name}, index)
        yield from [shares] if isinstance(shares, Estimate) else _cells(corrected_groups(shares), spec)


def _joint(a: Answered, b: Answered) -> Answered:
    """Both answers of each row as one."""
    operating, counts = joint_counts(a.operating, b.operating)
    references = (a.declared.reference, b.declared.reference)
    declared = DeclaredGroups(
        operating.attribute,
        tuple(_both(g, h) for g in a.declared.groups for h in b.declared.groups),
        {_both(g, h): p * q for g, p in references[0].items() for h, q in references[1].items()},
        f"product of: {a.declared.source}; {b.declared.source}",
    )
    codes = np.where((a.codes < 0) | (b.codes < 0), -1, a.codes * len(b.operating.answers) + b.codes)
    return Answered(a.view, declared, f"{a.column}, {b.column}", operating, Correction(counts), codes, a.units)


def _both(a: str, b: str) -> str:
    return f"{a} & {b}"


def joint_counts(
    a: OperatingCharacteristics, b: OperatingCharacteristics
) -> tuple[OperatingCharacteristics, NDArray[np.float64]]:
    """Confusion counts of pairs of answers, rounded in the characteristics and as they are.

    Row (i, j), of images whose groups are i and j, is the product of row i of ``a`` and row j of ``b``, times the
    smaller of the two numbers of validation images. Where an instrument was counted within the groups of the other
    attribute, its row is that of the images of both groups.
    """
    rows = [
        _product(_row(a, i, b.attribute, second), _row(b, j, a.attribute, first))
        for i, first in enumerate(a.truth)
        for j, second in enumerate(b.truth)
    ]
    counts = np.stack(rows)
    whole = tuple(tuple(round(float(count)) for count in row) for row in counts)
    joint = OperatingCharacteristics(
        f"{a.attribute} x {b.attribute}",
        tuple(_both(g, h) for g in a.truth for h in b.truth),
        tuple(_both(g, h) for g in a.answers for h in b.answers),
        whole,
        f"{a.measured_on}; {b.measured_on}",
    )
    return joint, counts


def _row(oc: OperatingCharacteristics, i: int, other: str, group: str) -> NDArray[np.float64]:
    """Counts of group i, within a group of the other attribute where they were counted so."""
    within = oc.within.get(f"{other}={group}")
    return np.asarray(oc.counts[i] if within is None else within[i], dtype=np.float64)


def _product(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    size = float(min(first.sum(), second.sum()))
    found: NDArray[np.float64] = np.outer(first / max(first.sum(), 1.0), second / max(second.sum(), 1.0)).ravel() * size
    return found


def _cells(shares: GroupShares, spec: MetricSpec) -> Iterator[Estimate]:
    view, floor = shares.view, shares.scatter(shares.reference)
    (low, high), (lows, highs) = shares.curve()
    told = [j for j, reference in enumerate(shares.reference) if shares.n * reference >= LEAST_EXPECTED]
    for j, group in enumerate(shares.declared.groups):
        where, reference, share = {**shares.where, "group": group}, shares.reference[j], float(shares.shares[j])
        if j not in told:
            why = f"suppressed: {shares.n * reference:.1f} images expected, needs {LEAST_EXPECTED:g}"
            yield insufficient(view, spec, where, n=shares.n, why=why)
            continue
        ends = float(low[j]) - reference, float(high[j]) - reference
        interval = Interval(share - reference, *ends, shares.n, shares.clusters, shares.method)
        extra: dict[str, Scalar] = {"share": share, "reference": reference, **shares.extra, **shares.by_group[j]}
        missing = len(view) - shares.n
        found = estimate(view, spec, where, interval, missing=missing, floor=float(floor[j]), extra=extra)
        curve = zip(LEVELS, lows[:, j] - reference, highs[:, j] - reference, strict=True)
        yield replace(found, curve=tuple((level, float(a), float(b)) for level, a, b in curve))
    if told:
        yield _worst(shares, spec, tuple(told))


def _worst(shares: GroupShares, spec: MetricSpec, told: tuple[int, ...]) -> Estimate:
    """The largest gap of the slice, of either sign."""
    worst = largest_gap([Cell(shares, told)])
    extra: dict[str, Scalar] = {
        "worst_group": shares.declared.groups[worst.group],
        "worst_share": float(shares.shares[worst.group]),
        "worst_reference": shares.reference[worst.group],
        "looked_at": len(told),
        "suppressed": len(shares.shares) - len(told),
        "excess": worst.value - worst.floor,
    }
    method = f"Bonferroni over {len(told)} gaps: {shares.method}"
    interval = Interval(worst.value, worst.low, worst.high, shares.n, shares.clusters, method)
    missing = len(shares.view) - shares.n
    found = estimate(shares.view, spec, shares.where, interval, missing=missing, floor=worst.floor, extra=extra)
    return replace(found, curve=worst.curve)
