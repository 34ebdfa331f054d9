# SPDX-License-Identifier: Apache-2.0
"""What metrics are given, and the numbers they return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from audit.types._seen import OperatingCharacteristics
from audit.types._words import Columns, Scalar, Status, family_of

__all__ = ["DeclaredGroups", "Estimate", "Metric", "MetricSpec", "OtherReference", "ReferenceRow", "View"]


@dataclass(frozen=True, slots=True)
class ReferenceRow:
    """Reference shares of one slice, e.g. of one occupation.

    Attributes:
        shares: by group, sum 1.
        source: where they come from, in words.
        year: of the figures, None for a policy choice.
    """

    shares: Mapping[str, float]
    source: str
    year: int | None = None


@dataclass(frozen=True, slots=True)
class OtherReference:
    """A second reference that shares are held against, beside the one that gates are about.

    Attributes:
        axis: template axis whose values the rows are for, e.g. "occupation".
        rows: by value of the axis; a value without a row has no reference.
    """

    axis: str
    rows: Mapping[str, ReferenceRow]


@dataclass(frozen=True, slots=True)
class DeclaredGroups:
    """The groups of one attribute, declared by the probe set and never inferred from the data.

    Attributes:
        attribute: e.g. "presentation".
        groups: all groups there are, whether or not any image shows them.
        reference: share by group that the gap is measured against (sums to 1).
        source: where the reference comes from, in words ("policy choice: equal shares", "BLS CPS table 11").
        year: of the reference, None for a policy choice.
        others: further references by name, e.g. "labour statistics".
    """

    attribute: str
    groups: tuple[str, ...]
    reference: Mapping[str, float]
    source: str
    year: int | None = None
    others: Mapping[str, OtherReference] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """What a metric is, without computing it.

    Attributes:
        id: dotted, family first: "bias.representation_gap".
        version: raised whenever its meaning changes.
        title: for tables, e.g. "Representation gap".
        unit: "share", "score", "distance", "seconds" ...
        direction: whether "higher" or "lower" is better, or "none".
        bounds: smallest and largest possible value (None: unbounded).
        purposes: purposes of the probe sets it reads ("bias", "quality", "likeness"); empty: all of them.
        needs: columns it reads, as ``<annotator>.<column>``, and references by name whose digest its numbers depend on.
        min_n: fewest observations that give a number.
        cluster: column whose values share luck ("prompt_id"), None for independent rows.
        citation: paper and equation.
        reads: columns it also reads where they are there.
        design: what a probe set must declare to be asked about: ``paired`` axes, groups that prompts ``asks`` for, or
            the ``poles`` of an association, or ``wordings``; an audit whose sets do not leaves the metric out unless it
            names it.
        compares: whether it sets generators side by side: its views then hold the `View.rivals`.
        anytime: whether its intervals hold however the number of images was chosen, in views that name a `View.cap`.
    """

    id: str
    version: str
    title: str
    unit: str
    direction: Literal["higher", "lower", "none"]
    bounds: tuple[float | None, float | None]
    purposes: frozenset[str]
    needs: tuple[str, ...]
    min_n: int
    cluster: str | None
    citation: str
    reads: tuple[str, ...] = ()
    design: Literal["paired", "asks", "poles", "wordings"] | None = None
    anytime: bool = False
    compares: bool = False

    @property
    def family(self) -> str:
        """What the id begins with."""
        return family_of(self.id)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number that can be argued about, or the reason why there is none.

    Attributes:
        metric, version, unit: from the metric's spec.
        generator: whose images.
        slice: which part of them, e.g. ``{"occupation": "nurse", "attribute": "presentation", "group": "feminine"}``.
        value: the estimate; None exactly when ``status`` is not OK.
        low, high: interval at ``level``.
        n: images behind it. clusters: independent units behind it. missing: requests that gave no observation.
        floor: what a perfect generator would score at this n (finite-sample floor), where that is not 0.
        method: of the interval, in words.
        why: reason, when there is no number.
        fingerprint: digest of everything it was measured with (metric version, instruments, references).
        extra: further numbers of the same measurement (uncorrected share, reference share, threshold ...).
        curve: the same interval at other levels, as (level, low, high) with rising level: what p-values are read off.
    """

    metric: str
    version: str
    unit: str
    generator: str
    slice: Mapping[str, str]
    value: float | None
    low: float | None
    high: float | None
    level: float
    n: int
    clusters: int
    missing: int
    status: Status
    method: str
    floor: float | None = None
    why: str | None = None
    fingerprint: str = ""
    extra: Mapping[str, Scalar] = field(default_factory=dict)
    curve: tuple[tuple[float, float, float], ...] = ()

    def __post_init__(self) -> None:
        if (self.value is None) != (self.status is not Status.OK):
            raise ValueError(
                f"{self.metric} {dict(self.slice)}: value {self.value} does not go with status {self.status}"
            )
        if self.value is not None and not np.isfinite(self.value):
            raise ValueError(f"{self.metric} {dict(self.slice)}: value {self.value} is not finite")


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What a metric sees: all requests of one generator on the probe sets of the metric's purposes.

    Attributes:
        generator: its name.
        columns: one row a *request*. Always there: "request_id", "prompt_id", "probe", "outcome" (str), "repetition",
            "text", "pair" (`Prompt.pair`), "seconds" (NaN where unknown), "picture" (digest of the pixels, None without
            an image), "batch" (equal for requests asked together), "axis.<name>" for each template axis; then
            "<annotator>.<column>", holding None/NaN where there is no image or no answer.
        groups: declared groups by attribute, of the probe sets in view.
        operating: operating characteristics by *column* ("attributes.presentation"); each names its attribute.
        references: reference data by name, e.g. "features.clip" -> float32 (m, d), "likeness" -> Calibration.
        level: of the intervals, e.g. 0.95.
        seed: for resampling; same seed, same numbers.
        fingerprints: digest by annotator or reference name, to be mixed into ``Estimate.fingerprint``.
        by: template axes that the probe sets declare as slices, e.g. ``("occupation",)``.
        asks: by attribute, the template axis whose value is the group that the prompt asks for.
        paired: template axes whose values are exchanged within a pair, with these values in declared order.
        cap: images a prompt that the fixed design would take, where prompts may stop earlier; None: a fixed design.
        rivals: the same columns of the generators listed after this one, by name, for metrics that compare; requests
            with equal "prompt_id" and "repetition" had equal seeds.
    """

    generator: str
    columns: Columns
    groups: Mapping[str, DeclaredGroups] = field(default_factory=dict)
    operating: Mapping[str, OperatingCharacteristics] = field(default_factory=dict)
    references: Mapping[str, Any] = field(default_factory=dict)
    level: float = 0.95
    seed: int = 0
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    by: tuple[str, ...] = ()
    asks: Mapping[str, str] = field(default_factory=dict)
    paired: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    cap: int | None = None
    rivals: Mapping[str, Columns] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.columns["request_id"])

    def take(self, mask: NDArray[np.bool_]) -> View:
        """The rows where ``mask`` (n,) is true, everything else unchanged."""
        columns = {name: values[mask] for name, values in self.columns.items()}
        return replace(self, columns=columns)


@runtime_checkable
class Metric(Protocol):
    """A spec and a pure function from a view to estimates."""

    @property
    def spec(self) -> MetricSpec:
        """What it is."""
        ...

    def __call__(self, view: View, /) -> Sequence[Estimate]:
        """One estimate per slice it reports; the runner adds the fingerprint. Never raises for lack of data."""
        ...
