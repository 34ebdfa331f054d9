# SPDX-License-Identifier: Apache-2.0
"""Share of pictures that show the word asked for, corrected for the reader's own error.

A reader can misread a right word, which makes a generator look worse than it is, and read a wrong word as the right
one, which makes it look better. Both were counted where the truth is known, with wrong words one letter or one swap
away from the right one, the hardest ones; the two-class correction (Rogan and Gladen 1978) undoes both.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from audit.metrics._base import images, metric, slices
from audit.metrics._corrected import corrected_share, unusable
from audit.metrics.text._asked import AXIS, asking
from audit.stats.text import AS_ASKED, compared
from audit.types import Estimate, MetricSpec, View

__all__ = ["METRIC"]

_COLUMN = "scene.text"


@metric(
    MetricSpec(
        id="text.exact_match",
        version="2",
        title="Word shown as asked for",
        unit="share",
        direction="higher",
        bounds=(0.0, 1.0),
        purposes=frozenset({"quality"}),
        needs=(_COLUMN, "scene.kind"),
        min_n=10,
        cluster=None,
        citation="Rogan and Gladen 1978, eq. 1; Clopper and Pearson 1934",
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """Overall and by axis, of the prompts that ask for a word; without a sign the word is not shown."""
    asked = asking(view, spec)
    problem = asked if isinstance(asked, Estimate) else unusable(asked, spec, _COLUMN)
    if problem is not None or isinstance(asked, Estimate):
        yield from () if problem is None else (problem,)
        return
    for where, part in slices(asked):
        yield corrected_share(part, spec, where, column=_COLUMN, said=_said(part), of=AS_ASKED)


def _said(view: View) -> NDArray[np.object_]:
    """What the reader says of each picture, None without a picture or without a reading of its kind."""
    kinds, texts, words = (view.columns[name] for name in ("scene.kind", _COLUMN, AXIS))
    seen = images(view) & np.array([kind is not None for kind in kinds], dtype=bool)
    said = [compared(w, kind=k, text=t) if ok else None for w, k, t, ok in zip(words, kinds, texts, seen, strict=True)]
    return np.array(said, dtype=object)
