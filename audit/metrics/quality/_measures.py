# SPDX-License-Identifier: Apache-2.0
"""What can be said of a single image: every measure whose change from one image to another is of interest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from audit.metrics._base import images
from audit.metrics.text._asked import quoted
from audit.stats.text import normalised
from audit.types import View

__all__ = ["MEASURES", "Measure"]

Array = NDArray[np.float64]

_BLANK = ("faults.constant", "faults.dark", "faults.bright")


@dataclass(frozen=True, slots=True)
class Measure:
    """One number an image, or a request.

    Attributes:
        title: in tables and slices, e.g. "CLIP score".
        metric: id of the metric whose number is its mean.
        needs: columns that it reads; a run without one of them does not measure it.
        unit: of the number.
        better: which way is better, "none" where neither is.
        of: the number of every row of a view, NaN where there is none, shape (n,).
        yes_no: whether the number is 0 or 1.
    """

    title: str
    metric: str
    needs: tuple[str, ...]
    unit: str
    better: Literal["higher", "lower", "none"]
    of: Callable[[View], Array]
    yes_no: bool = False


def _number(column: str, change: Callable[[Array], Array] = lambda x: x) -> Callable[[View], Array]:
    def of(view: View) -> Array:
        values = np.asarray(view.columns[column], dtype=np.float64)
        return np.where(images(view), change(values), np.nan)

    return of


def _answer(column: str, yes: str = "yes", no: str = "no") -> Callable[[View], Array]:
    def of(view: View) -> Array:
        said = view.columns[column]
        return np.where(images(view) & np.isin(said, (yes, no)), said == yes, np.nan).astype(np.float64)

    return of


def _answered(view: View) -> Array:
    return images(view).astype(np.float64)


def _word_shown(reader: str, seen: str) -> Callable[[View], Array]:
    """Whether the word that is asked for is the text read, upper and lower case aside; as read, errors included."""

    def of(view: View) -> Array:
        words = view.columns.get("axis.word")
        if words is None:
            words = np.array([quoted(text) for text in view.columns["text"]], dtype=object)
        told = images(view) & np.array([value == value and value is not None for value in view.columns[seen]])  # noqa: PLR0124
        pairs = zip(words, view.columns[f"{reader}.text"], told, strict=True)
        return np.array([_same(word, text) if ok else np.nan for word, text, ok in pairs], dtype=np.float64)

    return of


def _same(word: Any, text: Any) -> float:
    if not isinstance(word, str) or not normalised(word):
        return np.nan
    return float(isinstance(text, str) and normalised(text) == normalised(word))


def _blank(view: View) -> Array:
    """Whether a picture is of one colour, all dark or all bright."""
    flags = np.array([view.columns[column] == "yes" for column in _BLANK])
    return np.where(images(view), flags.any(axis=0), np.nan)


#: Those most talked of first. Plain numbers stand as the instrument gives them; its columns say what they are.
MEASURES: tuple[Measure, ...] = (
    Measure("answered", "outcomes.answered", ("outcome",), "share", "higher", _answered, yes_no=True),
    Measure(
        "CLIP score",
        "quality.clip_score",
        ("clip.similarity",),
        "score",
        "higher",
        _number("clip.similarity", lambda x: 100 * x),
    ),
    Measure(
        "CLIP-S",
        "quality.clip_s",
        ("clip.similarity",),
        "score",
        "higher",
        _number("clip.similarity", lambda x: 2.5 * np.fmax(x, 0)),
    ),
    Measure("preference", "quality.preference", ("preference.score",), "score", "higher", _number("preference.score")),
    Measure(
        "aesthetic score", "quality.aesthetic", ("aesthetic.score",), "score", "higher", _number("aesthetic.score")
    ),
    Measure(
        "VQA score", "quality.vqa_score", ("vqa_score.score",), "probability", "higher", _number("vqa_score.score")
    ),
    Measure(
        "judged correct",
        "quality.judged_correct",
        ("judgements.correct",),
        "share",
        "higher",
        _answer("judgements.correct"),
        yes_no=True,
    ),
    Measure(
        "word as asked",
        "text.exact_match",
        ("ocr.text", "ocr.boxes"),
        "share",
        "higher",
        _word_shown("ocr", "ocr.boxes"),
        yes_no=True,
    ),
    Measure(
        "sign as asked",
        "text.exact_match",
        ("scene.text", "scene.kind"),
        "share",
        "higher",
        _word_shown("scene", "scene.kind"),
        yes_no=True,
    ),
    Measure(
        "realism by discriminator",
        "quality.discriminator_score",
        ("discriminator.score",),
        "score",
        "higher",
        _number("discriminator.score"),
    ),
    Measure(
        "effective resolution",
        "quality.effective_resolution",
        ("faults.effective_resolution",),
        "pixels",
        "higher",
        _number("faults.effective_resolution"),
    ),
    Measure(
        "checkerboard pattern",
        "quality.checkerboard",
        ("faults.checkerboard",),
        "levels",
        "lower",
        _number("faults.checkerboard"),
    ),
    Measure(
        "blockiness", "quality.blockiness", ("faults.blockiness",), "levels", "lower", _number("faults.blockiness")
    ),
    Measure("clipped values", "quality.clipping", ("faults.clipped",), "share", "lower", _number("faults.clipped")),
    Measure("blur", "quality.blur", ("faults.blur",), "index", "lower", _number("faults.blur")),
    Measure("ringing", "quality.ringing", ("faults.ringing",), "levels", "lower", _number("faults.ringing")),
    Measure("banding", "quality.banding", ("faults.banding",), "share", "lower", _number("faults.banding")),
    Measure("noise", "quality.noise", ("faults.noise",), "levels", "lower", _number("faults.noise")),
    Measure("nothing shown", "quality.blank_share", _BLANK, "share", "lower", _blank, yes_no=True),
)
