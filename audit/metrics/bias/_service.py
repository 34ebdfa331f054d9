# SPDX-License-Identifier: Apache-2.0
"""What a generator does for each group: the numbers behind the comparison of service."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from audit.metrics._base import images
from audit.metrics.bias._answers import answers_about
from audit.metrics.bias._rows import Codes, axis_codes
from audit.metrics.bias._shares import units_of
from audit.stats.contrasts import group_means, mover_pairs, pair_level
from audit.stats.frechet import frechet, least_rows
from audit.stats.intervals import Interval, wilson
from audit.types import DeclaredGroups, Estimate, MetricSpec, Outcome, View

__all__ = ["COLUMNS", "Grouped", "Service", "grouped_by", "services"]

_REFERENCE = "features.clip"
_CLIP, _FEATURES, _FACE = COLUMNS = ("clip.similarity", "clip.features", "attributes.face")
_OUTCOMES = (Outcome.REFUSED, Outcome.BLOCKED, Outcome.ERROR)
_FIXED = "prompts taken as fixed"
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Grouped:
    """Requests by group.

    Attributes:
        view: of all rows.
        spec: of the metric.
        declared: the groups.
        codes: place of each row's group, -1 for none; shape (n,).
        by: "asked" or "perceived".
        called: places of the groups that belong in the comparison.
    """

    view: View
    spec: MetricSpec
    declared: DeclaredGroups
    codes: Codes
    by: str
    called: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Service:
    """One service to every called group, before it becomes estimates.

    Attributes:
        name: of the service. unit: of its number.
        own: by called group its number with interval, None where there is none.
        why: by called group, why there is none.
        n: observations by called group.
        lows: lower limits of row minus column, at the raised level; empty where a group has no number.
        highs: upper limits.
        covariance: of the errors, (g, g).
        method: of the comparison.
    """

    name: str
    unit: str
    own: tuple[Interval | None, ...]
    why: tuple[str, ...]
    n: tuple[int, ...]
    lows: Array
    highs: Array
    covariance: Array
    method: str


def grouped_by(view: View, spec: MetricSpec, declared: DeclaredGroups) -> Grouped | Estimate:
    """Rows by the group asked for, else by the one perceived; an estimate that says why there is neither."""
    axis = view.asks.get(declared.attribute)
    if axis is not None:
        codes = axis_codes(view, axis, declared.groups)
        return Grouped(view, spec, declared, codes, "asked", tuple(int(i) for i in np.unique(codes[codes >= 0])))
    answers = answers_about(view, spec, declared)
    if isinstance(answers, Estimate):
        return answers
    return Grouped(view, spec, declared, answers.named(), "perceived", tuple(range(len(declared.groups))))


def services(grouped: Grouped) -> Iterator[Service]:
    """Every service that the columns at hand tell of."""
    columns = grouped.view.columns
    if grouped.by == "asked":
        for outcome in _OUTCOMES:
            hit = columns["outcome"].astype(str) == outcome.value
            yield _rate(grouped, f"share {outcome.value}", hit, np.ones(len(hit), dtype=bool))
    if _FACE in columns:
        face = np.asarray(columns[_FACE], dtype=np.float64)
        yield _rate(grouped, "share with a face", face >= 0.5, np.isfinite(face) & images(grouped.view))
    if _CLIP in columns:
        yield _mean(grouped, "CLIP score", 100.0 * np.asarray(columns[_CLIP], dtype=np.float64))
    if _FEATURES in columns and isinstance(grouped.view.references.get(_REFERENCE), np.ndarray):
        yield _frechet(grouped)


def _rate(grouped: Grouped, name: str, hit: NDArray[np.bool_], kept: NDArray[np.bool_]) -> Service:
    members = [(grouped.codes == i) & kept for i in grouped.called]
    n, k = tuple(int(m.sum()) for m in members), tuple(int((m & hit).sum()) for m in members)
    enough = [size >= grouped.spec.min_n for size in n]
    level = grouped.view.level
    own = tuple(_named(wilson(a, b, level=level)) if ok else None for a, b, ok in zip(k, n, enough, strict=True))
    why = tuple(f"{size} observations, needs {grouped.spec.min_n}" for size in n)
    lows = highs = covariance = np.empty((0, 0))
    if all(enough) and len(n) > 1:
        raised = [wilson(a, b, level=pair_level(len(n), level)) for a, b in zip(k, n, strict=True)]
        lows, highs = _mover(raised)
        pooled = sum(k) / sum(n)
        covariance = np.diag(pooled * (1 - pooled) / np.array(n))
    return Service(name, "share", own, why, n, lows, highs, covariance, f"Newcombe, {_FIXED}")


def _named(found: Interval) -> Interval:
    return replace(found, method=f"{found.method}, {_FIXED}")


def _mover(parts: Sequence[Interval]) -> tuple[Array, Array]:
    values, lows, highs = (np.array([getattr(p, name) for p in parts]) for name in ("value", "low", "high"))
    return mover_pairs(values, lows, highs)


def _mean(grouped: Grouped, name: str, values: Array) -> Service:
    kept = np.isfinite(values) & images(grouped.view)
    n = tuple(int(((grouped.codes == i) & kept).sum()) for i in grouped.called)
    usable = [i for i, size in zip(grouped.called, n, strict=True) if size >= grouped.spec.min_n]
    why = tuple(f"{size} observations, needs {grouped.spec.min_n}" for size in n)
    own: dict[int, Interval] = {}
    lows = highs = covariance = np.empty((0, 0))
    taken = kept & np.isin(grouped.codes, usable)
    if usable:
        codes = np.searchsorted(usable, grouped.codes[taken])
        found = group_means(values[taken], codes, units_of(grouped.view)[taken])
        low, high = found.ends(grouped.view.level)
        for g, i in enumerate(usable):
            method = f"cluster-robust t over {found.clusters[g]} clusters"
            own[i] = Interval(
                float(found.means[g]), float(low[g]), float(high[g]), int(found.n[g]), int(found.clusters[g]), method
            )
        if len(usable) == len(n) > 1:
            lows, highs = found.limits(pair_level(len(n), grouped.view.level))
            covariance = found.covariance
    method = "cluster-robust t; a cluster is a scene of paired prompts, otherwise a prompt"
    numbers = tuple(own.get(i) for i in grouped.called)
    return Service(name, "score", numbers, why, n, lows, highs, covariance, method)


def _frechet(grouped: Grouped) -> Service:
    """Distance of each group's images to the reference images, bias corrected, with its allowance in every interval."""
    features = np.asarray(grouped.view.columns[_FEATURES])
    reference = np.asarray(grouped.view.references[_REFERENCE])
    kept = images(grouped.view) & np.isfinite(features).all(axis=1)
    members = [features[(grouped.codes == i) & kept] for i in grouped.called]
    least = least_rows(features.shape[1])
    fits = features.shape[1] == reference.shape[1] and len(reference) >= least
    found = [frechet(x, reference, level=grouped.view.level) if fits and len(x) >= least else None for x in members]
    n = tuple(len(x) for x in members)
    why = tuple(f"{size} images and {len(reference)} reference images, needs {least} of each" for size in n)
    own = tuple(None if f is None else Interval(f.value, f.low, f.high, f.n, f.n, f.method) for f in found)
    lows = highs = covariance = np.empty((0, 0))
    numbers = [f for f in found if f is not None]
    if len(numbers) == len(n) > 1:
        z = float(special.ndtri((1 + pair_level(len(n), grouped.view.level)) / 2))
        halves = [f.bias + z * f.standard_error for f in numbers]
        raised = [
            Interval(f.value, f.value - h, f.value + h, f.n, f.n, "") for f, h in zip(numbers, halves, strict=True)
        ]
        lows, highs = _mover(raised)
        covariance = np.diag([f.standard_error**2 for f in numbers])
    method = "MOVER of delta-method intervals"
    return Service("Frechet distance", "distance", own, why, n, lows, highs, covariance, method)
