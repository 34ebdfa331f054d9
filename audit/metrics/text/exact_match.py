# SPDX-License-Identifier: Apache-2.0
"""Share of pictures that show the word asked for, corrected for the reader's own error.

A reader can misread a right word, which makes a generator look worse than it is, and read a wrong word as the right
one, which makes it look better. Both were counted where the truth is known, with wrong words one letter or one swap
away from the right one, the hardest ones; the two-class correction (Rogan and Gladen 1978) undoes both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from audit.metrics._base import estimate, images, insufficient, metric
from audit.metrics._corrected import corrected_share, unusable
from audit.metrics.text._asked import READS, Reader, asking, instrument, read_by
from audit.stats.intervals import wilson
from audit.stats.text import AS_ASKED, OTHERWISE, ReadingError, compared, normalised
from audit.types import Estimate, MetricSpec, Scalar, View

__all__ = ["METRIC"]


@metric(
    MetricSpec(
        id="text.exact_match",
        version="3",
        title="Word shown as asked for",
        unit="share",
        direction="higher",
        bounds=(0.0, 1.0),
        purposes=frozenset({"quality"}),
        needs=(),
        min_n=10,
        cluster=None,
        citation="Rogan and Gladen 1978, eq. 1; Clopper and Pearson 1934",
        reads=READS,
    )
)
def METRIC(view: View, spec: MetricSpec) -> Iterator[Estimate]:  # noqa: N802
    """By reader, overall and by axis, of the prompts that ask for a word; without text the word is not shown.

    Compared is all text of the picture, without upper and lower case. With a general reader that found more text than
    the word, ``extra.among_others`` counts the pictures in which the word stands among it.
    """
    asked = asking(view, spec)
    if isinstance(asked, Estimate):
        yield asked
        return
    for where, reader in read_by(asked):
        operating = asked.operating.get(reader.column)
        error = asked.references.get("ocr_error")
        if reader.name == "ocr" and isinstance(error, ReadingError):
            operating = error.operating()
        if reader.name == "ocr" and operating is None:
            yield _as_read(reader, spec, where)
            continue
        known = {} if operating is None else {reader.column: operating}
        yield from _corrected(replace(reader, view=replace(reader.view, operating=known)), spec, where)


def _corrected(reader: Reader, spec: MetricSpec, where: dict[str, str]) -> Iterator[Estimate]:
    """One estimate; that nothing can be corrected is said once, of all slices together."""
    problem = unusable(reader.view, spec, reader.column)
    if problem is not None:
        whole = not set(where) - {"reader"}
        yield from (replace(problem, slice=where),) if whole else ()
        return
    found = corrected_share(reader.view, spec, where, column=reader.column, said=_said(reader), of=AS_ASKED)
    yield replace(found, extra={**found.extra, **_beside(reader)})


def _as_read(reader: Reader, spec: MetricSpec, where: dict[str, str]) -> Estimate:
    """The plain share, where the reader's error was not counted."""
    said, view = _said(reader), reader.view
    n = int((said != None).sum())  # noqa: E711  element by element
    if n < spec.min_n:
        return insufficient(view, spec, where, n=n, why=f"{n} images with an answer, needs {spec.min_n}")
    interval = wilson(int((said == AS_ASKED).sum()), n, level=view.level)
    interval = replace(interval, method="Wilson, as read: not corrected for the reader's error")
    return estimate(view, spec, where, interval, missing=len(view) - n, extra=_beside(reader))


def _said(reader: Reader) -> NDArray[np.object_]:
    """What the reader says of each picture, None without a picture or without a reading of its kind."""
    view, said = reader.view, np.full(len(reader.view), None, dtype=object)
    shown = images(view)
    for i, (word, text) in enumerate(zip(reader.words, reader.texts, strict=True)):
        if reader.name == "scene" and shown[i] and view.columns["scene.kind"][i] is not None:
            said[i] = compared(word, kind=view.columns["scene.kind"][i], text=text)
        elif reader.name == "ocr" and (reader.blank[i] or (shown[i] and text is not None)):
            said[i] = OTHERWISE if text is None else compared(word, kind=None, text=text)
    return said


def _beside(reader: Reader) -> dict[str, Scalar]:
    """Of the general reader: words among other text, and its own error."""
    if reader.name != "ocr":
        return {}
    pairs = [(normalised(w), normalised(t)) for w, t in zip(reader.words, reader.texts, strict=True) if t is not None]
    among = sum(word != text and f" {word} " in f" {text} " for word, text in pairs)
    return {"among_others": among, **instrument(reader.view, level=reader.view.level)}
