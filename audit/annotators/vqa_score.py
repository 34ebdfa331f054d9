# SPDX-License-Identifier: Apache-2.0
"""How probable it is, to a model that answers questions, that a picture shows what its prompt says (VQAScore)."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.annotators._ask import Probable, Words, explained, probable, yes_and_no
from audit.annotators._nets import by_shape
from audit.annotators._pretrained import OPTIONS, Pretrained, levels
from audit.checkpoints import check_options
from audit.errors import ConfigError
from audit.types import AnnotatorSpec, Columns, ImageRecord

__all__ = ["VqaScoreAnnotator"]

_WHERE = "annotator 'vqa_score'"
_OPTIONS: Mapping[str, type | tuple[type, ...]] = {
    **{name: kind for name, kind in OPTIONS.items() if name not in {"allow_race", "operating"}},
    "question": str,
    "template": str,
}
#: The question of the paper.
_QUESTION = 'Does this figure show "{text}"? Please answer yes or no.'


class VqaScoreAnnotator:
    """Probability that the answer to "does this figure show the prompt?" is yes (Lin et al. 2024).

    By BLIP, ViLT or any model that is asked about pictures (``AutoModelForImageTextToText``). It is the probability of
    the *first token* of the answer, added up over the ways in which that model may write "yes"; of ViLT, a classifier,
    that of the answer "yes". Numbers of two models, or of two questions, are not compared.

    Args:
        **options: ``model`` (a folder or a hub id), ``question`` (with {text} in it; that of the paper), ``template``
            (prompt with {ask} in it, for models without a chat template), ``revision``, ``local_files_only``,
            ``device`` (auto), ``dtype`` (float32), ``batch`` (8).

    Raises:
        AnnotatorError: the model is missing, or has no token for yes or no.
        ConfigError: an unknown option, or a question without {text}.
    """

    version = "1"

    def __init__(self, **options: Any) -> None:
        check_options(options, _OPTIONS, where=_WHERE)
        self._question = options.get("question") or _QUESTION
        self._template = options.get("template")
        for name, text, place in (("question", self._question, "{text}"), ("template", self._template, "{ask}")):
            if text is not None and place not in text:
                raise ConfigError(f"{name} has no {place}", where=_WHERE, hint=f"write {place} where the text goes")
        self._model = Pretrained({"batch": 8, **options}, where=_WHERE)

    @functools.cached_property
    def spec(self) -> AnnotatorSpec:
        """Identity; reads files, loads no weights. A hub id is downloaded first."""
        yes, no = (", ".join(repr(text) for _, text in sorted(words.items())) for words in self._words)
        return self._model.spec(
            "vqa_score",
            self.version,
            settings={"question": self._question, "template": self._template},
            columns={
                "score": f"probability that the answer begins with {yes}, 0 to 1; NaN without a prompt text",
                "relative": f"the same over its sum with the probability of {no}",
            },
            groups={},
            operating=None,
        )

    def annotate(self, images: Sequence[ImageRecord], /) -> Columns:
        """The columns of `spec`, one row an image."""
        p = np.full((len(images), 2), np.nan)
        rows: dict[str, list[int]] = {}
        for row, image in enumerate(images):
            rows.setdefault(image.text, []).append(row)
        for text, mine in rows.items():
            if text.strip():  # pictures of one prompt and one shape together: nothing is padded
                asked = functools.partial(self._probabilities, self._question.replace("{text}", text))
                p[mine] = by_shape([images[i] for i in mine], asked, batch=self._model.batch)["p"]
        with np.errstate(invalid="ignore"):
            relative = p[:, 0] / p.sum(axis=1)
        return {"score": p[:, 0].astype(np.float32), "relative": relative.astype(np.float32)}

    def _probabilities(self, question: str, rgb: NDArray[np.uint8]) -> dict[str, NDArray[np.float64]]:
        pictures = np.stack([levels(picture) for picture in rgb])
        with explained(pictures, where=_WHERE):
            return {"p": self._probable(pictures, question)}

    @functools.cached_property
    def _words(self) -> tuple[Words, Words]:
        return yes_and_no(self._model)

    @functools.cached_property
    def _probable(self) -> Probable:
        return probable(self._model, self._words, template=self._template)
