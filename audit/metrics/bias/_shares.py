# SPDX-License-Identifier: Apache-2.0
"""Corrected shares of one attribute in one slice: what both bias metrics start from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit.metrics._base import images, insufficient, slices
from audit.stats.annotator_error import MAX_CONDITION, Correction, SharesEstimate
from audit.types import DeclaredGroups, Estimate, MetricSpec, OperatingCharacteristics, Status, View

__all__ = ["Shares", "attribute_slices"]


@dataclass(frozen=True, slots=True, eq=False)
class Shares:
    """Answers about one attribute in one slice, and the shares behind them.

    Attributes:
        view: rows of the slice.
        where: the slice, attribute included.
        declared: groups and reference.
        operating: of the instrument.
        answers: count of each of the instrument's answers, shape (r,).
        reference: reference share of each of the instrument's groups, shape (k,).
        estimate: corrected shares of the instrument's groups.
    """

    view: View
    where: dict[str, str]
    declared: DeclaredGroups
    operating: OperatingCharacteristics
    answers: NDArray[np.int64]
    reference: tuple[float, ...]
    estimate: SharesEstimate

    @property
    def n(self) -> int:
        """Images whose answer says something of the groups."""
        return self.estimate.n

    @property
    def determinable(self) -> int:
        """Images whose answer names a group."""
        return int(
            sum(c for a, c in zip(self.operating.answers, self.answers, strict=True) if a in self.operating.truth)
        )


def attribute_slices(view: View, spec: MetricSpec) -> Iterator[Shares | Estimate]:
    """Shares for each slice and declared attribute; an Estimate without number where there are none."""
    if not view.groups:
        yield insufficient(view, spec, {}, why="no probe set declares groups", status=Status.UNAVAILABLE)
    for attribute, declared in view.groups.items():
        problem, column = _instrument(view, declared)
        if problem:
            status, why = problem
            yield insufficient(view, spec, {"attribute": attribute}, why=why, status=status)
            continue
        operating = view.operating[column]
        correction = Correction(operating.matrix())
        if not correction.identified:
            why = f"{column}: confusion matrix has condition number {correction.condition:.1f}, above {MAX_CONDITION:g}"
            yield insufficient(view, spec, {"attribute": attribute}, why=why, status=Status.UNIDENTIFIED)
            continue
        for where, part in slices(view):
            yield _shares(part, spec, {**where, "attribute": attribute}, declared, operating, column, correction)


def _instrument(view: View, declared: DeclaredGroups) -> tuple[tuple[Status, str] | None, str]:
    """The column that answers about an attribute, or why there is none."""
    attribute = declared.attribute
    columns = sorted(c for c, o in view.operating.items() if o.attribute == attribute)
    seen = [c for c in columns if c in view.columns]
    if not seen:
        what = f"column {columns[0]} is absent" if columns else "no instrument with operating characteristics"
        return (Status.UNAVAILABLE, f"{attribute}: {what}"), ""
    operating = view.operating[seen[0]]
    unknown = [g for g in declared.groups if g not in operating.truth]
    if unknown:
        return (Status.UNAVAILABLE, f"{seen[0]} does not know the declared group {unknown[0]!r}"), ""
    counts = operating.matrix()
    if counts.ndim != 2 or not 2 <= counts.shape[0] <= counts.shape[1] or not (counts.sum(axis=1) > 0).all():
        return (
            Status.UNIDENTIFIED,
            f"{seen[0]}: a single group, one without validation images, or fewer answers than groups",
        ), ""
    return None, seen[0]


def _shares(
    view: View,
    spec: MetricSpec,
    where: dict[str, str],
    declared: DeclaredGroups,
    operating: OperatingCharacteristics,
    column: str,
    correction: Correction,
) -> Shares | Estimate:
    values = view.columns[column][images(view)]
    said = [_text(v) for v in values]
    strange = sorted({s for s in said if s is not None and s not in operating.answers})
    answers = np.array([said.count(a) for a in operating.answers], dtype=np.int64)
    n = int(correction.heard(answers).sum())
    if strange:
        why = f"{column} answers {strange[0]!r}, which its operating characteristics do not know"
        return insufficient(view, spec, where, n=n, why=why, status=Status.UNAVAILABLE)
    if n < spec.min_n:
        return insufficient(view, spec, where, n=n, why=f"{n} images with an answer, needs {spec.min_n}")
    reference = tuple(float(declared.reference.get(g, 0.0)) for g in operating.truth)
    shares = correction.estimate(answers.astype(np.float64), level=view.level)
    return Shares(view, where, declared, operating, answers, reference, shares)


def _text(value: object) -> str | None:
    """An answer as text; numbers may arrive as floats because a column with gaps holds NaN."""
    if value is None or value != value:  # noqa: PLR0124
        return None
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)
