# SPDX-License-Identifier: Apache-2.0
"""Letters to mend before the word read is the word asked for, as a share of the letters asked for.

As read: the reader's own errors are in it. A picture without text, or with text that cannot be read, has no error
rate; such pictures are counted by themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from audit.metrics._base import images, mean_estimate, metric
from audit.metrics.text._asked import READS, Reader, asking, mean_extra, read_by, surer
from audit.stats.text import error_rate
from audit.types import Estimate, MetricSpec, View

__all__ = ["METRIC"]


@metric(
    MetricSpec(
        id="text.character_error_rate",
        version="2",
        title="Character error rate, as read",
        unit="errors per letter",
        direction="lower",
        bounds=(0.0, None),
        purposes=frozenset({"quality"}),
        needs=(),
        min_n=10,
        cluster=None,
        citation="Levenshtein 1966; Wagner and Fischer 1974; not corrected for the reader's error",
        reads=READS,
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """By reader, overall and by axis, of the prompts that ask for a word: mean over pictures in which text was read."""
    asked = asking(view, spec)
    if isinstance(asked, Estimate):
        yield asked
        return
    for where, reader in read_by(asked):
        values = _errors(reader)
        found = mean_estimate(reader.view, spec, where, values)
        if np.nansum(values) == 0:
            found = surer(found, perfect=0.0, worst=1.0)
        yield replace(found, extra={**found.extra, **mean_extra(reader, int((values == 0).sum()))})


def _errors(reader: Reader) -> NDArray[np.float64]:
    """Edits per letter asked for, NaN where nothing was read."""
    rows = zip(reader.words, reader.texts, images(reader.view), strict=True)
    return np.array(
        [error_rate(word, text) if text is not None and shown else np.nan for word, text, shown in rows],
        dtype=np.float64,
    )
