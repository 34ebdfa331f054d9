# SPDX-License-Identifier: Apache-2.0
"""What metrics of cost share: columns that the drawing process filled, and reasons why it did not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from audit.metrics._base import images, insufficient, mean_estimate
from audit.types import Estimate, MetricSpec, Scalar, Status, View

__all__ = ["mean_of", "numbers", "timed_estimate", "unmeasured", "words"]

_ELSEWHERE = (
    "not measured: the images were not drawn in a process of their own (they are files, come from a server, or were "
    "drawn in the process of the audit)"
)


def numbers(view: View, column: str) -> NDArray[np.float64]:
    """A column, NaN where there is no image or no number; shape (n,)."""
    found = view.columns.get(column)
    if found is None:
        return np.full(len(view), np.nan)
    return np.where(images(view), np.asarray(found, dtype=np.float64), np.nan)


def words(view: View, column: str) -> str:
    """What the rows of a column of texts say, each text once."""
    found = [str(text) for text in view.columns.get(column, ()) if text is not None]
    return "; ".join(sorted(set(found)))


def unmeasured(view: View, spec: MetricSpec, by: str) -> Estimate:
    """UNAVAILABLE, with the reason that the drawing process left in column ``by``."""
    why = words(view, by)
    return insufficient(view, spec, {}, why=why or _ELSEWHERE, status=Status.UNAVAILABLE)


def timed_estimate(view: View, spec: MetricSpec, values: NDArray[np.float64]) -> Estimate:
    """Mean over images, with batches as units, of what they share equally.

    Counting operations slows the batch in which they are counted; that one is left out where two others remain.
    """
    known, counted = np.isfinite(values), np.isfinite(numbers(view, "flops"))
    batches = view.columns["batch"]
    slowed = np.isin(batches.astype(str), batches[known & counted].astype(str))
    rest = len(set(batches[known & ~slowed].tolist()))
    kept = ~(slowed & known) if rest >= 2 else np.ones(len(view), dtype=bool)
    found = mean_of(view.take(kept), spec, values[kept])
    if found.value is None or not (known & slowed).any():
        return found
    note = "without the batch whose operations were counted" if rest >= 2 else "a batch slowed by counting among them"
    return replace(found, method=f"{found.method}, {note}")


def mean_of(
    view: View, spec: MetricSpec, values: NDArray[np.float64], *, extra: Mapping[str, Scalar] | None = None
) -> Estimate:
    """Mean over images with batches as units: a single batch says nothing about the spread."""
    batches = len(set(view.columns["batch"][np.isfinite(values)].tolist()))
    n = int(np.isfinite(values).sum())
    if batches < 2:
        return insufficient(view, spec, {}, n=n, clusters=batches, why=f"{batches} timed batches, needs 2")
    found = mean_estimate(view, spec, {}, values)
    return replace(found, extra={**found.extra, **(extra or {})})
