# SPDX-License-Identifier: Apache-2.0
"""People's labels in a view, and the shares that they and an instrument's answers give together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from audit.metrics._base import images
from audit.metrics.bias._shares import answer_text, units_of
from audit.stats.ppi import indicators, ppi_shares
from audit.types import DeclaredGroups, View

__all__ = ["Labels", "Powered", "labels_about", "powered"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
_PEOPLE = "people"


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """Labels and answers about one attribute, row by row.

    Attributes:
        declared: the groups.
        column: whose answers; empty where no instrument answers.
        image: rows with an image, shape (n,).
        labelled: rows with a label and a weight, shape (n,).
        labels: one-hot labels, zeros where a person could not tell, shape (n, k).
        answers: one-hot answers of the instrument, shape (n, k).
        weight: images that each labelled one stands for, shape (n,).
        units: number of each row's scene or prompt, shape (n,).
    """

    ENOUGH: ClassVar[int] = 20

    declared: DeclaredGroups
    column: str
    image: NDArray[np.bool_]
    labelled: NDArray[np.bool_]
    labels: Array
    answers: Array
    weight: Array
    units: Codes

    def count(self, index: Codes) -> int:
        """Labelled images among the rows at ``index``."""
        return int(self.labelled[index].sum())

    def enough(self, index: Codes) -> bool:
        """Whether the labels among those rows carry a number of their own."""
        return self.count(index) >= self.ENOUGH


@dataclass(frozen=True, slots=True, eq=False)
class Powered:
    """Shares by labels and answers.

    Attributes:
        shares: shape (k,). low, high: their interval. gain: of the answers over the labels alone.
        told: share of images whose group people could tell.
        labelled: images with a label. images: with a label or an answer.
        units: what was independent of each other among the labelled ones.
        method: in words.
    """

    shares: Array
    low: Array
    high: Array
    gain: tuple[float, ...]
    told: float
    labelled: int
    images: int
    units: int
    method: str


def labels_about(view: View, declared: DeclaredGroups) -> Labels | None:
    """The labels about an attribute and the answers beside them; None without columns of labels, or without enough."""
    name = f"{_PEOPLE}.{declared.attribute}"
    if name not in view.columns or f"{name}_weight" not in view.columns:
        return None
    said = np.array([answer_text(v) for v in view.columns[name]], dtype=object)
    weight = np.asarray(view.columns[f"{name}_weight"], dtype=np.float64)
    image = images(view)
    labelled = image & np.array([text is not None for text in said], dtype=bool) & np.isfinite(weight) & (weight > 0)
    if labelled.sum() < Labels.ENOUGH:
        return None
    column = _instrument(view, declared.attribute)
    answers = np.zeros((len(view), len(declared.groups)))
    if column:
        answers = indicators([answer_text(v) for v in view.columns[column]], declared.groups)
    labels = indicators(said, declared.groups)
    return Labels(declared, column, image, labelled, labels, answers, weight, units_of(view))


def _instrument(view: View, attribute: str) -> str:
    """The column that answers beside the people: one with operating characteristics if there is one."""
    known = sorted(c for c, o in view.operating.items() if o.attribute == attribute and c in view.columns)
    named = sorted(c for c in view.columns if c.partition(".")[2] == attribute and not c.startswith("axis."))
    others = [c for c in (*known, *named) if not c.startswith(f"{_PEOPLE}.")]
    return others[0] if others else ""


def powered(found: Labels, index: Codes, *, level: float) -> Powered | None:
    """Shares among the images at ``index`` whose group people could tell; None where the labels give none."""
    kept = index[found.image[index]]
    order = np.flatnonzero(found.labelled[kept])
    weight = found.weight[kept][order]
    units = found.units[kept]
    clusters = units if len(np.unique(units[order])) > 1 else None
    each = ppi_shares(
        found.labels[kept][order],
        found.answers[kept],
        order,
        inclusion=weight.min() / weight,
        lam=None if found.column else 0.0,
        clusters=clusters,
        told=True,
        level=level,
    )
    if each is None:
        return None
    told = float(weight @ found.labels[kept][order].any(axis=1) / weight.sum())
    beside = f"people's labels, {found.column} beside them: {each[0].interval.method}"
    alone = f"people's labels alone, weighted: {each[0].interval.method.removeprefix('prediction-powered, ')}"
    low, high = (np.array([getattr(e.interval, end) for e in each]) for end in ("low", "high"))
    return Powered(
        shares=np.array([e.interval.value for e in each]),
        low=low,
        high=high,
        gain=tuple(e.gain for e in each),
        told=told,
        labelled=len(order),
        images=len(kept) if found.column else len(order),
        units=each[0].interval.clusters,
        method=beside if found.column else alone,
    )
