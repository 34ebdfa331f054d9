# SPDX-License-Identifier: Apache-2.0
"""Share of each declared group in one slice, by whichever way it is known best.

Where people labelled enough images of the slice, their labels, with the instrument's answers on all images to narrow
the interval (prediction-powered inference); otherwise the instrument's answers, corrected for its measured error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

from audit.metrics._base import images, insufficient
from audit.metrics.bias._people import Labels, labels_about, powered
from audit.metrics.bias._rows import parts, rows
from audit.metrics.bias._shares import Answered, Shares, answered, free_attributes, shares_of
from audit.stats.annotator_error import Correction, misfit
from audit.stats.floor import correction_floor
from audit.stats.power import smallest_detectable_gap
from audit.types import DeclaredGroups, Estimate, MetricSpec, Outcome, Scalar, View

__all__ = ["LEVELS", "GroupShares", "corrected_groups", "group_shares", "standard_errors"]

Array = NDArray[np.float64]
Limits = Callable[[tuple[float, ...]], tuple[Array, Array]]

#: Levels of confidence curves, fine enough for Holm's adjustment over some thousand slices.
LEVELS = tuple(1 - 0.2 / 2**i for i in range(16))
_POWER = 0.8


@dataclass(frozen=True, slots=True, eq=False)
class GroupShares:
    """Shares of the k declared groups of one attribute in one slice.

    Attributes:
        view: rows of the slice.
        where: the slice, attribute included.
        declared: groups and reference.
        shares: shape (k,).
        limits: of m levels, lower and upper limits of each share, both (m, k).
        scatter: mean |share - reference| of a generator that draws at the reference, shape (k,); of any reference.
        error: standard error of each share at a reference, shape (k,).
        n: images behind them. clusters: independent units behind them.
        method: of the interval, in words.
        extra: what else is known of the slice. by_group: and of each group.
        told: images that show a group. unseen: requests that show none, by kind.
    """

    view: View
    where: Mapping[str, str]
    declared: DeclaredGroups
    shares: Array
    limits: Limits
    scatter: Callable[[tuple[float, ...]], Array]
    error: Callable[[tuple[float, ...]], Array]
    n: int
    clusters: int
    method: str
    extra: Mapping[str, Scalar]
    by_group: tuple[Mapping[str, Scalar], ...]
    told: int
    unseen: Mapping[str, int]

    @property
    def reference(self) -> tuple[float, ...]:
        """Reference share of each declared group."""
        return tuple(float(self.declared.reference.get(group, 0.0)) for group in self.declared.groups)

    def curve(self, levels: tuple[float, ...] = LEVELS) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        """Limits at the level of the view, each (k,), and those at all of ``levels``, each (m, k)."""
        low, high = self.limits((self.view.level, *levels))
        return (low[0], high[0]), (low[1:], high[1:])

    def detectable(self, j: int) -> float | None:
        """Smallest gap to the reference of group ``j`` that these images find four times in five."""
        reference, level = self.reference[j], self.view.level
        if not 0.0 < reference < 1.0:
            return None
        inflation = float(self.error(self.reference)[j]) ** 2 * self.n / (reference * (1 - reference))
        return smallest_detectable_gap(self.n, reference=reference, inflation=inflation, power=_POWER, level=level)


def group_shares(view: View, spec: MetricSpec) -> Iterator[GroupShares | Estimate]:
    """Shares of the declared groups for each slice and attribute; an Estimate without number where there are none."""
    for item in free_attributes(view, spec):
        if isinstance(item, Estimate):
            yield item
            continue
        declared, free = item
        found, labels = answered(free, spec, declared), labels_about(free, declared)
        if isinstance(found, Estimate) and labels is None:
            yield found
            continue
        for where, index in parts(free, free.by):
            yield _slice(free, spec, {**where, "attribute": declared.attribute}, index, found, labels)


def _slice(
    view: View,
    spec: MetricSpec,
    where: Mapping[str, str],
    index: NDArray[np.int64],
    found: Answered | Estimate,
    labels: Labels | None,
) -> GroupShares | Estimate:
    part = rows(view, index)
    if labels is not None and labels.enough(index) and view.cap is None:
        shares = _labelled(part, where, labels, index)
        if shares is not None:
            return shares
    if isinstance(found, Estimate):
        count = 0 if labels is None else labels.count(index)
        why = f"{found.why}; {count} labels by people, needs {Labels.ENOUGH}"
        return insufficient(part, spec, where, n=count, why=why, status=found.status)
    corrected = shares_of(found, spec, where, index)
    if isinstance(corrected, Estimate):
        return corrected
    groups = corrected_groups(corrected)
    if view.cap is None:
        return groups
    from audit.metrics.bias._watched import watched  # it builds on this module

    return watched(corrected, groups, spec, cap=view.cap)


def corrected_groups(shares: Shares) -> GroupShares:
    """The declared groups among those of the instrument."""
    view, operating, declared, correction = shares.view, shares.operating, shares.declared, shares.correction
    places = [operating.truth.index(group) for group in declared.groups]

    def limits(levels: tuple[float, ...]) -> tuple[Array, Array]:
        clusters = shares.clusters.astype(np.float64)
        low, high = correction.curve(shares.answers, levels=np.array(levels), clusters=clusters)
        return low[:, places], high[:, places]

    def whole(reference: tuple[float, ...]) -> tuple[float, ...]:
        by_group = dict(zip(declared.groups, reference, strict=True))
        return tuple(by_group.get(group, 0.0) for group in operating.truth)

    def scatter(reference: tuple[float, ...]) -> Array:
        floor = correction_floor(shares.n, whole(reference), operating.counts, seed=view.seed)
        return np.array(floor.gap)[places]

    def error(reference: tuple[float, ...]) -> Array:
        n = shares.n if shares.estimate.effective is None else shares.estimate.effective
        return standard_errors(correction, np.array(whole(reference)), n=n)[places]

    told = shares.determinable
    return GroupShares(
        view=view,
        where=shares.where,
        declared=declared,
        shares=shares.estimate.shares[places],
        limits=limits,
        scatter=scatter,
        error=error,
        n=shares.n,
        clusters=shares.estimate.clusters,
        method=shares.estimate.method,
        extra={
            "could_not_tell": shares.could_not_tell,
            "measured_on": operating.measured_on,
            "misfit": _misfit(operating.counts, tuple(shares.answers.tolist())),
        },
        by_group=tuple({"raw_share": shares.counted(group) / told if told else None} for group in declared.groups),
        told=told,
        unseen=_unseen(view, int(images(view).sum()) - told),
    )


@lru_cache(maxsize=4096)  # several measures of the same slice ask for it
def _misfit(counts: tuple[tuple[int, ...], ...], answers: tuple[int, ...]) -> float:
    return misfit(np.asarray(counts, dtype=np.float64), np.asarray(answers, dtype=np.float64))


def _unseen(view: View, could_not_tell: int) -> dict[str, int]:
    """Requests of a slice that show no group, by kind."""
    ended = view.columns["outcome"]
    kinds = {o.value: int(np.sum(ended == o.value)) for o in (Outcome.REFUSED, Outcome.BLOCKED)}
    return {"could_not_tell": could_not_tell, **kinds}


def _labelled(view: View, where: Mapping[str, str], labels: Labels, index: NDArray[np.int64]) -> GroupShares | None:
    found = powered(labels, index, level=view.level)
    if found is None:
        return None

    def limits(levels: tuple[float, ...]) -> tuple[Array, Array]:
        each = [powered(labels, index, level=level) for level in levels]
        return np.stack([e.low for e in each if e]), np.stack([e.high for e in each if e])

    quantile = float(special.stdtrit(found.units - 1, (1 + view.level) / 2))
    errors = (found.high - found.low) / (2 * quantile)
    told = round(found.told * found.images)
    return GroupShares(
        view=view,
        where=dict(where),
        declared=labels.declared,
        shares=found.shares,
        limits=limits,
        scatter=lambda _: np.sqrt(2 / np.pi) * errors,  # mean absolute error of a normal
        error=lambda _: errors,
        n=found.images,
        clusters=found.units,
        method=found.method,
        extra={"labelled": found.labelled, "could_not_tell": 1 - found.told},
        by_group=tuple({"gain": gain} for gain in found.gain),
        told=told,
        unseen=_unseen(view, found.images - told),
    )


def standard_errors(correction: Correction, shares: Array, *, n: Array | float) -> Array:
    """Standard error of corrected shares where the true ones are ``shares``: answers and confusion counts; (k,)."""
    squares, answers = correction.scores**2, shares @ correction.matrix
    sampling = answers @ squares - (answers @ correction.scores) ** 2
    found: Array = np.sqrt(np.maximum(sampling, 0.0) / n + shares**2 @ correction.instrument.variance)
    return found
