# SPDX-License-Identifier: Apache-2.0
"""How near the text read is to the text asked for, from 0 to 1: also of phrases that no picture shows without a slip.

As read: the reader's own errors are in it. A picture without text is nothing like the text asked for: 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from audit.metrics._base import images, mean_estimate, metric
from audit.metrics.text._asked import READS, Reader, asking, mean_extra, read_by, surer
from audit.stats.text import edit_similarity
from audit.types import Estimate, MetricSpec, View

__all__ = ["METRIC"]


@metric(
    MetricSpec(
        id="text.edit_similarity",
        version="1",
        title="Similarity of text shown and text asked for, as read",
        unit="similarity",
        direction="higher",
        bounds=(0.0, 1.0),
        purposes=frozenset({"quality"}),
        needs=(),
        min_n=10,
        cluster=None,
        citation="Levenshtein 1966; 1 - d / max(length); not corrected for the reader's error",
        reads=READS,
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """By reader, overall and by axis, of the prompts that ask for a word: mean over pictures."""
    asked = asking(view, spec)
    if isinstance(asked, Estimate):
        yield asked
        return
    for where, reader in read_by(asked):
        values = _similarities(reader)
        found = mean_estimate(reader.view, spec, where, values)
        if np.nanmin(values, initial=1.0) == 1:
            found = surer(found, perfect=1.0, worst=0.0)
        yield replace(found, extra={**found.extra, **mean_extra(reader, int((values == 1).sum()))})


def _similarities(reader: Reader) -> NDArray[np.float64]:
    """1 - d / max(length), 0 without text, NaN without a picture or where text cannot be read."""
    out = np.where(reader.blank, 0.0, np.nan)
    for i, (word, text, shown) in enumerate(zip(reader.words, reader.texts, images(reader.view), strict=True)):
        if shown and text is not None:
            out[i] = edit_similarity(word, text)
    return out
