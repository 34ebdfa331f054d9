# SPDX-License-Identifier: Apache-2.0
"""Letters to mend before the word read is the word asked for, as a share of the letters asked for.

As read: the reader's own errors are in it. A picture without a sign, or with one that cannot be read, has no error
rate; such pictures are counted by themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from audit.metrics._base import images, mean_estimate, metric, slices
from audit.metrics.text._asked import AXIS, asking
from audit.stats.intervals import clopper_pearson
from audit.stats.text import levenshtein
from audit.types import Estimate, MetricSpec, Scalar, Status, View

__all__ = ["METRIC"]


@metric(
    MetricSpec(
        id="text.character_error_rate",
        version="1",
        title="Character error rate, as read",
        unit="errors per letter",
        direction="lower",
        bounds=(0.0, None),
        purposes=frozenset({"quality"}),
        needs=("scene.text", "scene.kind"),
        min_n=10,
        cluster=None,
        citation="Levenshtein 1966; Wagner and Fischer 1974; not corrected for the reader's error",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """Overall and by axis, of the prompts that ask for a word: mean over pictures in which one was read."""
    asked = asking(view, spec)
    if isinstance(asked, Estimate):
        yield asked
        return
    for where, part in slices(asked):
        yield _rate(part, spec, where)


def _rate(view: View, spec: MetricSpec, where: dict[str, str]) -> Estimate:
    values = _errors(view)
    found = _exact_at_zero(mean_estimate(view, spec, where, values), values)
    shown, kinds = images(view), view.columns["scene.kind"].astype(str)
    unread = shown & np.isnan(values)
    none = np.isin(kinds, ("person", "painting"))
    extra: dict[str, Scalar] = {
        "exact": int((values == 0).sum()),
        "unreadable": int((unread & ~none).sum()),
        "no_sign": int((unread & none).sum()),
    }
    return replace(found, extra={**found.extra, **extra})


def _errors(view: View) -> NDArray[np.float64]:
    """Edits per letter asked for, NaN where nothing was read."""
    pairs = zip(view.columns[AXIS], view.columns["scene.text"], images(view), strict=True)
    return np.array(
        [levenshtein(w.upper(), t.upper()) / len(w) if t is not None and ok else np.nan for w, t, ok in pairs],
        dtype=np.float64,
    )


def _exact_at_zero(found: Estimate, values: NDArray[np.float64]) -> Estimate:
    """Without a single error a t interval has no width; there the exact limit on pictures with an error is taken."""
    if found.status is not Status.OK or np.nansum(values) > 0:
        return found
    high = clopper_pearson(0, found.n, level=found.level).high
    return replace(found, low=0.0, high=high, method="Clopper-Pearson on pictures with an error, each all wrong")
