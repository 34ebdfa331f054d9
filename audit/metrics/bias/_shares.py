# SPDX-License-Identifier: Apache-2.0
"""Corrected shares of one attribute in one slice: what every measure of free choice starts from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from audit.metrics._base import images, insufficient
from audit.metrics.bias._rows import coded, parts, rows
from audit.stats.annotator_error import MAX_CONDITION, Correction, SharesEstimate
from audit.types import DeclaredGroups, Estimate, MetricSpec, OperatingCharacteristics, Status, View

__all__ = [
    "Answered",
    "Shares",
    "about",
    "answer_codes",
    "answer_text",
    "answered",
    "attribute_slices",
    "count_by_unit",
    "free_attributes",
    "shares_of",
    "units_of",
]

Codes = NDArray[np.int64]
_BASE = ("request_id", "prompt_id", "outcome", "pair", "repetition")


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """What an instrument says about one attribute, row by row.

    Attributes:
        view: all rows whose prompt leaves the attribute free.
        declared: groups and reference.
        column: whose answers.
        operating: of the instrument.
        correction: of its answers.
        codes: place of each row's answer among the instrument's, -1 for none; shape (n,).
        units: number of each row's scene or prompt, whose images share luck; shape (n,).
    """

    view: View
    declared: DeclaredGroups
    column: str
    operating: OperatingCharacteristics
    correction: Correction
    codes: Codes
    units: Codes


@dataclass(frozen=True, slots=True, eq=False)
class Shares:
    """Answers about one attribute in one slice, and the shares behind them.

    Attributes:
        view: rows of the slice.
        where: the slice, attribute included.
        declared: groups and reference.
        operating: of the instrument.
        correction: of its answers.
        answers: count of each of the instrument's answers, shape (r,).
        clusters: the same by prompt, or by scene where prompts are paired, shape (g, r).
        reference: reference share of each of the instrument's groups, shape (k,).
        estimate: corrected shares of the instrument's groups.
    """

    view: View
    where: dict[str, str]
    declared: DeclaredGroups
    operating: OperatingCharacteristics
    correction: Correction
    answers: Codes
    clusters: Codes
    reference: tuple[float, ...]
    estimate: SharesEstimate

    @property
    def n(self) -> int:
        """Images whose answer says something of the groups."""
        return self.estimate.n

    @property
    def effective_n(self) -> float:
        """Independent images that would say as much of all groups together."""
        p, effective = self.estimate.shares, self.estimate.effective
        spread = p * (1 - p) + 1e-9
        return self.n if effective is None else min(self.n, float(spread.sum() / (spread / effective).sum()))

    @property
    def determinable(self) -> int:
        """Images whose answer names a group."""
        return int(
            sum(c for a, c in zip(self.operating.answers, self.answers, strict=True) if a in self.operating.truth)
        )

    @property
    def could_not_tell(self) -> float:
        """Share of answers that name no group."""
        return 1.0 - self.determinable / int(self.answers.sum())

    def counted(self, group: str) -> int:
        """Images answered to be of a group."""
        return int(self.answers[self.operating.answers.index(group)]) if group in self.operating.answers else 0


def attribute_slices(view: View, spec: MetricSpec, *, robust: bool = False) -> Iterator[Shares | Estimate]:
    """Shares for each slice and declared attribute; an Estimate without number where there are none.

    Args:
        view: all rows.
        spec: of the metric.
        robust: whether intervals allow for luck that images of one prompt share; otherwise prompts are taken as fixed.
    """
    for item in free_attributes(view, spec):
        if isinstance(item, Estimate):
            yield item
            continue
        declared, free = item
        found = answered(free, spec, declared)
        if isinstance(found, Estimate):
            yield found
            continue
        for where, index in parts(free, free.by):
            yield shares_of(found, spec, {**where, "attribute": declared.attribute}, index, robust=robust)


def free_attributes(view: View, spec: MetricSpec) -> Iterator[tuple[DeclaredGroups, View] | Estimate]:
    """Each declared attribute with the rows whose prompts do not ask for one of its groups.

    What a prompt asks for is no choice of the generator. Where nothing is left, one estimate says so.
    """
    if not view.groups:
        yield insufficient(view, spec, {}, why="no probe set declares groups", status=Status.UNAVAILABLE)
    asked = []
    for attribute, declared in view.groups.items():
        free = leave_free(view, attribute)
        if len(view) and not free.any():
            asked.append(attribute)
        else:
            yield declared, about(view, attribute).take(free)
    if asked and len(asked) == len(view.groups):
        why = f"the prompts ask for the groups of {', '.join(asked)}: what they show is no choice of the generator"
        yield insufficient(view, spec, {}, why=why, status=Status.UNAVAILABLE)


def leave_free(view: View, attribute: str) -> NDArray[np.bool_]:
    """Rows whose prompts do not ask for a group of the attribute, shape (n,)."""
    axis = view.columns.get(f"axis.{view.asks[attribute]}") if attribute in view.asks else None
    return np.ones(len(view), dtype=bool) if axis is None else coded(axis)[1] < 0


def about(view: View, *attributes: str) -> View:
    """The view with the columns that measures of some attributes read: features, which are large, stay behind."""
    kept = {name: v for name, v in view.columns.items() if any(_about(name, each, view) for each in attributes)}
    return replace(view, columns=kept)


def _about(name: str, attribute: str, view: View) -> bool:
    """Whether a column is needed for one attribute."""
    annotator, _, column = name.partition(".")
    mine = name in view.operating and view.operating[name].attribute == attribute
    return name in _BASE or annotator == "axis" or mine or column in {attribute, f"{attribute}_weight"}


def answered(view: View, spec: MetricSpec, declared: DeclaredGroups) -> Answered | Estimate:
    """The answers about an attribute, or an estimate that says why they cannot be corrected."""
    column, problem = _instrument(view, declared)
    if problem is None:
        operating = view.operating[column]
        correction = Correction(operating.matrix())
        codes, strange = answer_codes(view, column, operating)
        if strange is not None:
            why = f"{column} answers {strange!r}, which its operating characteristics do not know"
            problem = Status.UNAVAILABLE, why
        elif not correction.identified:
            condition = f"condition number {correction.condition:.1f}, above {MAX_CONDITION:g}"
            problem = Status.UNIDENTIFIED, f"{column}: confusion matrix has {condition}"
        else:
            return Answered(view, declared, column, operating, correction, codes, units_of(view))
    status, why = problem
    return insufficient(view, spec, {"attribute": declared.attribute}, why=why, status=status)


def _instrument(view: View, declared: DeclaredGroups) -> tuple[str, tuple[Status, str] | None]:
    """The column that answers about an attribute, and why it cannot be used."""
    attribute = declared.attribute
    columns = sorted(c for c, o in view.operating.items() if o.attribute == attribute)
    seen = [c for c in columns if c in view.columns]
    if not seen:
        what = f"column {columns[0]} is absent" if columns else "no instrument with operating characteristics"
        return "", (Status.UNAVAILABLE, f"{attribute}: {what}")
    operating = view.operating[seen[0]]
    unknown = [g for g in declared.groups if g not in operating.truth]
    if unknown:
        return seen[0], (Status.UNAVAILABLE, f"{seen[0]} does not know the declared group {unknown[0]!r}")
    counts = operating.matrix()
    if counts.ndim != 2 or not 2 <= counts.shape[0] <= counts.shape[1] or not (counts.sum(axis=1) > 0).all():
        why = f"{seen[0]}: a single group, one without validation images, or fewer answers than groups"
        return seen[0], (Status.UNIDENTIFIED, why)
    return seen[0], None


def answer_codes(view: View, column: str, operating: OperatingCharacteristics) -> tuple[Codes, str | None]:
    """Place of each row's answer among those of an instrument, and an answer that it is not known to give."""
    places: dict[str | None, int] = {answer: i for i, answer in enumerate(operating.answers)}
    said = [answer_text(v) if image else None for v, image in zip(view.columns[column], images(view), strict=True)]
    strange = sorted(text for text in set(said) if text is not None and text not in places)
    return np.array([places.get(text, -1) for text in said], dtype=np.int64), strange[0] if strange else None


def units_of(view: View) -> Codes:
    """Number of each row's prompt, or of its scene where prompts are paired: those share their seeds."""
    prompts = view.columns["prompt_id"].astype(str)
    if "pair" in view.columns:
        paired = coded(view.columns["pair"])[1]
        prompts = np.where(paired < 0, prompts, np.char.add("pair ", paired.astype(str)))
    found: Codes = np.unique(prompts, return_inverse=True)[1].astype(np.int64)
    return found


def shares_of(
    found: Answered, spec: MetricSpec, where: Mapping[str, str], index: Codes, *, robust: bool = True
) -> Shares | Estimate:
    """Shares in the rows at ``index``, or an estimate without number where too few answers say anything."""
    view, r = rows(found.view, index), len(found.operating.answers)
    table = count_by_unit(found.codes[index], found.units[index], r)
    answers = table.sum(axis=0)
    n = int(found.correction.heard(answers).sum())
    if n < spec.min_n:
        return insufficient(view, spec, where, n=n, why=f"{n} images with an answer, needs {spec.min_n}")
    reference = tuple(float(found.declared.reference.get(g, 0.0)) for g in found.operating.truth)
    clusters = table.astype(np.float64) if robust else None
    shares = found.correction.estimate(answers, level=view.level, clusters=clusters)
    return Shares(
        view=view,
        where=dict(where),
        declared=found.declared,
        operating=found.operating,
        correction=found.correction,
        answers=answers,
        clusters=table,
        reference=reference,
        estimate=shares,
    )


def count_by_unit(codes: Codes, units: Codes, r: int) -> Codes:
    """Count of each of r answers by unit, shape (g, r), units without an answer left out."""
    kept = codes >= 0
    names, unit = np.unique(units[kept], return_inverse=True)
    found: Codes = np.bincount(unit * r + codes[kept], minlength=len(names) * r).reshape(-1, r).astype(np.int64)
    return found


def answer_text(value: object) -> str | None:
    """An answer as text; numbers may arrive as floats because a column with gaps holds NaN."""
    if value is None or value != value:  # noqa: PLR0124
        return None
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)
