# SPDX-License-Identifier: Apache-2.0
"""Rows of a view by position: axes as whole numbers, counted once, and slices that copy no features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from audit.metrics._base import images, insufficient
from audit.types import Estimate, MetricSpec, Status, View

__all__ = ["axis_codes", "coded", "image_features", "none_asked", "ordered", "parts", "rows"]

_BASE = ("request_id", "outcome", "prompt_id", "pair", "repetition")
Codes = NDArray[np.int64]


def ordered(view: View, *names: str) -> View:
    """The view with what identifies its rows, its axes and the columns ``names``, in order of the request ids.

    Sums of floats depend on their order in the last digits; in this order they do not depend on that of the rows.
    """
    wanted = (*_BASE, *(name for name in view.columns if name.startswith("axis.")), *names)
    order = np.argsort(view.columns["request_id"].astype(str), kind="stable")
    return replace(view, columns={name: view.columns[name][order] for name in wanted if name in view.columns})


def rows(view: View, index: Codes) -> View:
    """The rows at the places ``index``, with no more than their ids and outcomes."""
    kept = {name: view.columns[name][index] for name in ("request_id", "outcome", "prompt_id")}
    return replace(view, columns=kept)


def coded(column: NDArray[np.object_]) -> tuple[tuple[str, ...], Codes]:
    """Values of a column in alphabetical order, and the place of each row's among them; -1 where there is none."""
    texts = [None if v is None or v != v or v == "" else str(v) for v in column]  # noqa: PLR0124  NaN differs from itself
    values = tuple(sorted({text for text in texts if text is not None}))
    places = {value: i for i, value in enumerate(values)}
    return values, np.array([-1 if text is None else places[text] for text in texts], dtype=np.int64)


def axis_codes(view: View, axis: str, values: Sequence[str]) -> Codes:
    """Place of each row's value of a template axis among ``values``; -1 where it is none of them; shape (n,)."""
    column = view.columns.get(f"axis.{axis}")
    places = {value: i for i, value in enumerate(values)}
    if column is None:
        return np.full(len(view), -1, dtype=np.int64)
    return np.array([places.get(str(v), -1) for v in column], dtype=np.int64)


def parts(view: View, axes: Sequence[str]) -> Iterator[tuple[dict[str, str], Codes]]:
    """All rows under ``{}``, then those of each value of each axis; rows by their places."""
    yield {}, np.arange(len(view))
    for axis in axes:
        column = view.columns.get(f"axis.{axis}")
        if column is None:
            continue
        values, codes = coded(column)
        together = np.argsort(codes, kind="stable")
        starts = np.searchsorted(codes[together], np.arange(len(values) + 1))
        for i, value in enumerate(values):
            yield {axis: value}, together[starts[i] : starts[i + 1]]


def image_features(view: View, column: str = "clip.features") -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Embeddings of unit length (n, D), and the rows (n,) that have one; zeros elsewhere."""
    unit = view.columns[column].astype(np.float64)
    length = np.sqrt(np.einsum("nd,nd->n", unit, unit))
    kept = images(view) & np.isfinite(length) & (length > 0)
    unit[~kept] = 0.0
    unit[kept] /= length[kept, None]
    return unit, kept


def none_asked(view: View, spec: MetricSpec) -> Estimate:
    """The one estimate where no prompt asks for a group."""
    why = "no prompt asks for a group (`asks` in the probe set)"
    return insufficient(view, spec, {}, why=why, status=Status.UNAVAILABLE)
