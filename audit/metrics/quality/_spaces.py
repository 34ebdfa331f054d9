# SPDX-License-Identifier: Apache-2.0
"""The feature spaces of a view: every instrument that turns an image into a vector, with its reference images.

A distance in one space says nothing about another, so every number taken on features names its space in its slice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.metrics._base import insufficient, slices
from audit.stats.moments import Moments
from audit.types import Columns, Estimate, MetricSpec, Outcome, Status, View

__all__ = ["SPACES", "Place", "Space", "against", "no_space", "places", "spaces"]

_SUFFIX = ".features"
#: Columns of the built-in instruments; a plug-in's column of that name is a space as well.
SPACES = ("clip.features", "dinov2.features", "inception.features", "sscd.features", "vision.features")


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """Features of one instrument.

    Attributes:
        name: of the instrument, e.g. "inception".
        kept: rows of the view with finite features, shape (n,).
        features: of these rows, float32, shape (kept.sum(), D).
        reference: float32 (m, D) of the reference images, statistics in their place, or None.
    """

    name: str
    kept: NDArray[np.bool_]
    features: NDArray[np.float32]
    reference: Any

    @property
    def slice(self) -> dict[str, str]:
        """What estimates are put under."""
        return {"features": self.name}


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """One slice of a view in one feature space: what a number is about.

    Attributes:
        where: the slice, the space named in it.
        view: its rows.
        space: its features.
    """

    where: Mapping[str, str]
    view: View
    space: Space

    @property
    def n(self) -> int:
        """Images with features."""
        return len(self.space.features)

    @property
    def missing(self) -> int:
        """Requests without."""
        return len(self.view) - self.n


def places(view: View) -> Iterator[Place]:
    """Each space of the whole view, then of each slice by axis."""
    for where, part in slices(view):
        for space in spaces(part):
            yield Place({**where, **space.slice}, part, space)


def against(place: Place, spec: MetricSpec, *, least: int, moments: bool = False) -> Estimate | None:
    """Why a place cannot be compared with its reference images: none, of other dimension, or too few; None: it can.

    Args:
        place: slice and space.
        spec: of the metric.
        least: images that are needed on either side.
        moments: whether published statistics do in place of reference images.
    """
    reference, n = place.space.reference, place.n
    fixed = isinstance(reference, Moments)
    if reference is None or (fixed and not moments):
        why = "no reference images for these features" if reference is None else "needs images, not their statistics"
        return insufficient(place.view, spec, place.where, n=n, why=why, status=Status.UNAVAILABLE)
    width = len(reference.mean) if fixed else reference.shape[1]
    if n and place.space.features.shape[1] != width:
        why = f"features are {place.space.features.shape[1]} wide and those of the reference {width}"
        return insufficient(place.view, spec, place.where, why=why, status=Status.UNAVAILABLE)
    if n < least or (not fixed and len(reference) < least):
        beside = "" if fixed else f" and {len(reference)} reference images"
        why = f"{n} images{beside}, needs {least}{'' if fixed else ' of each'}"
        return insufficient(place.view, spec, place.where, n=n, why=why)
    return None


def spaces(view: View) -> Iterator[Space]:
    """All spaces of a view, by name."""
    for column in sorted(name for name in view.columns if name.endswith(_SUFFIX)):
        name = column.removesuffix(_SUFFIX)
        kept, features = usable(view.columns, column)
        if features.ndim == 2:
            yield Space(name, kept, features, view.references.get(f"features.{name}"))


def usable(columns: Columns, column: str) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Rows with an image and finite features, and these features."""
    features = np.asarray(columns[column])
    if features.ndim != 2:
        return np.zeros(len(features), dtype=bool), np.empty(0, np.float32)
    kept = np.asarray(columns["outcome"] == Outcome.IMAGE.value, dtype=bool) & np.isfinite(features).all(axis=1)
    return kept, np.asarray(features[kept], dtype=np.float32)


def no_space(view: View, spec: MetricSpec, where: Mapping[str, str] | None = None) -> Estimate:
    """Why there is no number where no instrument gives features."""
    why = "no instrument of the run gives features"
    return insufficient(view, spec, where or {}, why=why, status=Status.UNAVAILABLE)
