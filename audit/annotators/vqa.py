# SPDX-License-Identifier: Apache-2.0
"""Perceived attributes by asking: a model that answers questions about pictures, and what its answers stand for."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.annotators._ask import Ask, asker, explained
from audit.annotators._label_map import Groups, columns_of, groups_of, refuse_race
from audit.annotators._nets import by_shape, objects
from audit.annotators._operating import COULD_NOT_TELL
from audit.annotators._pretrained import OPTIONS, Pretrained, levels
from audit.checkpoints import check_options
from audit.errors import ConfigError
from audit.types import AnnotatorSpec, Columns, ImageRecord

__all__ = ["VqaAnnotator"]

_WHERE = "annotator 'vqa'"
_OPTIONS: Mapping[str, type | tuple[type, ...]] = {**OPTIONS, "max_tokens": int, "questions": dict, "template": str}
_TOKENS, _MOST_TOKENS = 8, 64


@dataclass(frozen=True, slots=True)
class _Question:
    """One question, and what each answer stands for.

    Attributes:
        ask: the question.
        means: group by answer, in lower case and without punctuation.
    """

    ask: str
    means: Mapping[str, str]


class VqaAnnotator:
    """How people are perceived, by BLIP, ViLT or any chat model that sees (``AutoModelForImageTextToText``).

    Only an answer that is declared, whole, stands for a group: upper and lower case and punctuation aside. Anything
    else is "could not tell", and what was said is kept beside it.

    Args:
        **options: ``model`` (a folder or a hub id),
            ``questions`` ({attribute: {ask: text, answers: {group: [answers]}}}),
            ``max_tokens`` (8: of an answer, at most 64), ``template`` (prompt with {ask} in it, for models without a
            chat template), ``operating`` (JSON or CSV of confusion counts), ``revision``, ``local_files_only``,
            ``device`` (auto), ``dtype`` (float32), ``batch`` (8), ``allow_race``.

    Raises:
        AnnotatorError: the model is missing, or answers no questions.
        ConfigError: an unknown option, nothing declared, or an attribute that is not measured.
    """

    version = "1"

    def __init__(self, **options: Any) -> None:
        check_options(options, _OPTIONS, where=_WHERE)
        at = f"{_WHERE}: questions"
        asked, self._groups = _parse(options.get("questions") or {}, where=at)
        refuse_race(self._groups, allowed=options.get("allow_race") is True, where=at)
        self._columns = columns_of(self._groups, {"_said": "what the model said, word for word"}, where=at)
        self._questions = {name: _question(asked[name], groups, name) for name, groups in self._groups.items()}
        self._tokens = options.get("max_tokens") or _TOKENS
        if not 1 <= self._tokens <= _MOST_TOKENS:
            raise ConfigError(f"max_tokens must lie between 1 and {_MOST_TOKENS}, got {self._tokens}", where=_WHERE)
        self._template = options.get("template")
        if self._template is not None and "{ask}" not in self._template:
            hint = 'e.g. "Question: {ask} Answer:"'
            raise ConfigError("template has no {ask} where the question goes", where=_WHERE, hint=hint)
        self._operating = options.get("operating")
        self._model = Pretrained({"batch": 8, **options}, where=_WHERE)

    @functools.cached_property
    def spec(self) -> AnnotatorSpec:
        """Identity and operating characteristics; reads files, loads no weights. A hub id is downloaded first."""
        settings = {
            "questions": {name: [question.ask, dict(question.means)] for name, question in self._questions.items()},
            "max_tokens": self._tokens,
            "template": self._template,
        }
        return self._model.spec(
            "vqa",
            self.version,
            settings=settings,
            columns=self._columns,
            groups=self._groups,
            operating=self._operating,
        )

    def annotate(self, images: Sequence[ImageRecord], /) -> Columns:
        """The columns of `spec`, one row an image."""
        if not images:
            return {name: np.empty(0, object) for name in self._columns}
        # Pictures of one shape are asked about together: nothing is padded, so no answer depends on another picture.
        return by_shape(images, self._answers, batch=self._model.batch)

    def _answers(self, rgb: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        pictures = np.stack([levels(picture) for picture in rgb])
        out: dict[str, NDArray[Any]] = {}
        for attribute, question in self._questions.items():
            said = self._said(pictures, question.ask)
            out[attribute] = objects([question.means.get(plain(text), COULD_NOT_TELL) for text in said])
            out[f"{attribute}_said"] = objects(said)
        return out

    def _said(self, pictures: NDArray[np.uint8], question: str) -> list[str]:
        with explained(pictures, where=_WHERE):
            return self._ask(pictures, question)

    @functools.cached_property
    def _ask(self) -> Ask:
        return asker(self._model, max_tokens=self._tokens, template=self._template)


def plain(text: str) -> str:
    """An answer without upper case and punctuation; + and - stay, as in "70+"."""
    return " ".join(re.findall(r"[\w+-]+", text.casefold()))


def _parse(raw: Mapping[Any, Any], *, where: str) -> tuple[dict[str, str], dict[str, Groups]]:
    """Question and groups by attribute."""
    for name, question in raw.items():
        at = f"{where}: {name}"
        if not isinstance(question, Mapping) or set(question) != {"ask", "answers"}:
            raise ConfigError(
                "needs exactly `ask` and `answers`", where=at, hint="{ask: text, answers: {group: [...]}}"
            )
        if not isinstance(question["ask"], str) or not question["ask"].strip():
            raise ConfigError(f"{question['ask']!r} is no question", where=at, hint="write it out")
    groups = groups_of({name: question["answers"] for name, question in raw.items()}, where=where)
    return {name: raw[name]["ask"].strip() for name in groups}, groups


def _question(ask: str, groups: Groups, name: str) -> _Question:
    means: dict[str, str] = {}
    for group, answers in groups.items():
        for answer in answers:
            if means.setdefault(plain(answer), group) != group or not plain(answer):
                message = f"the answer {answer!r} does not stand for {group} alone"
                raise ConfigError(message, where=f"{_WHERE}: questions: {name}")
    return _Question(ask, means)
