# SPDX-License-Identifier: Apache-2.0
"""The requests that ask for a word: what both text metrics start from."""

from __future__ import annotations

import numpy as np

from audit.metrics._base import insufficient, missing_column
from audit.types import Estimate, MetricSpec, Status, View

__all__ = ["AXIS", "asking"]

#: Axis of the template that says which word was asked for.
AXIS = "axis.word"


def asking(view: View, spec: MetricSpec) -> View | Estimate:
    """The rows whose prompt asks for a word; an Estimate without number where there are none."""
    absent = missing_column(view, spec)
    if absent is not None:
        return absent
    words = view.columns.get(AXIS, np.full(len(view), None, dtype=object))
    rows = np.array([isinstance(word, str) and bool(word.strip()) for word in words], dtype=bool)
    if not rows.any():
        why = "no prompt asks for a word (axis `word`)"
        return insufficient(view, spec, {}, why=why, missing=0, status=Status.UNAVAILABLE)
    return view.take(rows)
