# SPDX-License-Identifier: Apache-2.0
"""The requests that ask for a word, and what each reader saw in their pictures: what the text metrics start from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audit.metrics._base import images, insufficient, slices
from audit.stats.intervals import clopper_pearson
from audit.stats.text import ReadingError, normalised
from audit.types import Estimate, MetricSpec, Scalar, Status, View

__all__ = ["READS", "Reader", "asking", "instrument", "mean_extra", "quoted", "read_by", "surer"]

#: Axis of the template that says which word was asked for.
_AXIS: Final = "axis.word"
_ASKED: Final = "asked.word"
#: Columns of the readers; either is enough.
READS: Final = ("ocr.text", "ocr.boxes", "scene.text", "scene.kind")
# An apostrophe between two letters is part of what is quoted.
_QUOTED: Final = re.compile(
    r'"(?P<straight>[^"]*)"|\u201c(?P<curly>[^\u201d]*)\u201d'
    r"|\u2018(?P<single>(?:[^\u2019]|(?<=\w)\u2019(?=\w))+)\u2019|(?<!\w)'(?P<plain>(?:[^']|(?<=\w)'(?=\w))+)'(?!\w)"
)


@dataclass(frozen=True, slots=True)
class Reader:
    """One reader of text and the rows of a view.

    Attributes:
        name: "ocr" or "scene".
        view: the rows of the slice.
        words: asked for, one a row.
        texts: read, one a row; None where nothing was read.
        blank: rows with a picture in which the reader sees no text at all.
        unreadable: rows with a picture in which it sees text that it cannot read, or cannot tell whether there is any.
    """

    name: str
    view: View
    words: NDArray[Any]
    texts: NDArray[Any]
    blank: NDArray[np.bool_]
    unreadable: NDArray[np.bool_]

    @property
    def column(self) -> str:
        """Of the text."""
        return f"{self.name}.text"


def asking(view: View, spec: MetricSpec) -> View | Estimate:
    """The rows whose prompt asks for a word; an Estimate without number where there are none, or nothing to read them.

    The word is the axis `word` of the prompt. Where no prompt of the set has one, it is what stands in quotation marks.
    """
    if not _readers(view):
        why = "no reader of text: annotator ocr (any writing) or scene (signs of the reference world)"
        return insufficient(view, spec, {}, why=why, status=Status.UNAVAILABLE)
    words = view.columns.get(_AXIS, np.full(len(view), None, dtype=object))
    if not _is_word(words).any():
        words = np.array([quoted(text) for text in view.columns["text"]], dtype=object)
    rows = _is_word(words)
    if not rows.any():
        why = "no prompt asks for a word (axis `word`, or words in quotation marks)"
        return insufficient(view, spec, {}, why=why, missing=0, status=Status.UNAVAILABLE)
    return replace(view, columns={**view.columns, _ASKED: words}).take(rows)


def quoted(prompt: Any) -> str | None:
    """What stands in quotation marks, straight or curly, several pieces with a space between; None where nothing does.

    >>> quoted('a sign that says "OPEN"'), quoted("the dog's bowl, 'REX'"), quoted("the cats' bowl")
    ('OPEN', 'REX', None)
    """
    found = _QUOTED.finditer(prompt) if isinstance(prompt, str) else ()
    pieces = [piece for match in found if (piece := " ".join((match[match.lastgroup or 0] or "").split()))]
    return " ".join(pieces) or None


def read_by(view: View) -> Iterator[tuple[dict[str, str], Reader]]:
    """Each slice under each reader; several readers are told apart by the slice's `reader`."""
    readers = _readers(view)
    for name in readers:
        for where, part in slices(view):
            named = {"reader": name, **where} if len(readers) > 1 else where
            yield named, _reader(part, name)


def instrument(view: View, *, level: float) -> dict[str, Scalar]:
    """How often the general reader itself errs on words that are known; empty where that was not counted."""
    error = view.references.get("ocr_error")
    if not isinstance(error, ReadingError):
        return {}
    exact = clopper_pearson(error.right_read, error.right, level=level)
    return {
        "instrument_exact": exact.value,
        "instrument_exact_low": exact.low,
        "instrument_exact_high": exact.high,
        "instrument_n": error.right,
        "instrument_cer": error.rate,
        "instrument_cer_error": error.rate_error,
        "instrument_measured_on": error.measured_on,
    }


def mean_extra(reader: Reader, exact: int) -> dict[str, Scalar]:
    """Counts beside a mean over pictures: exact ones, those without text and, of the general reader, its own error."""
    extra: dict[str, Scalar] = {
        "exact": exact,
        "unreadable": int(reader.unreadable.sum()),
        "no_sign": int(reader.blank.sum()),
    }
    return extra | (instrument(reader.view, level=reader.view.level) if reader.name == "ocr" else {})


def surer(found: Estimate, *, perfect: float, worst: float) -> Estimate:
    """Where no picture has an error, a t interval has no width: there the exact limit on pictures with one is taken.

    Args:
        found: an estimate whose value is ``perfect``.
        perfect: score of a picture without an error.
        worst: score that each picture with an error is given.
    """
    if found.status is not Status.OK:
        return found
    share = clopper_pearson(0, found.n, level=found.level).high
    low, high = sorted((perfect, perfect + share * (worst - perfect)))
    return replace(found, low=low, high=high, method="Clopper-Pearson on pictures with an error, each all wrong")


def _is_word(words: NDArray[Any]) -> NDArray[np.bool_]:
    return np.array([isinstance(word, str) and bool(normalised(word)) for word in words], dtype=bool)


def _readers(view: View) -> list[str]:
    needs = {"ocr": ("ocr.text", "ocr.boxes"), "scene": ("scene.text", "scene.kind")}
    return [name for name, columns in needs.items() if all(column in view.columns for column in columns)]


def _reader(view: View, name: str) -> Reader:
    texts, shown = view.columns[f"{name}.text"], images(view)
    unread = shown & np.array([text is None for text in texts], dtype=bool)
    if name == "ocr":
        boxes = np.asarray(view.columns["ocr.boxes"], dtype=np.float64)
        blank, unreadable = unread & np.isfinite(boxes), np.zeros(len(view), dtype=bool)
    else:
        kinds = view.columns["scene.kind"].astype(str)
        blank = unread & np.isin(kinds, ("person", "painting"))
        unreadable = unread & ~blank
    return Reader(name, view, view.columns[_ASKED], texts, blank, unreadable)
