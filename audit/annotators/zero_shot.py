# SPDX-License-Identifier: Apache-2.0
"""Perceived attributes by declared prompts: which group's words a picture lies nearest to (CLIP, SigLIP)."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from audit.annotators._clip import DualEncoder
from audit.annotators._label_map import choose, columns_of, groups_of, probability, refuse_race, words_of
from audit.annotators._pretrained import OPTIONS, Pretrained, levels
from audit.checkpoints import check_options
from audit.errors import AnnotatorError, ConfigError
from audit.types import AnnotatorSpec, Columns, ImageRecord

__all__ = ["ZeroShotAnnotator"]

_WHERE = "annotator 'zero_shot'"
_OPTIONS: Mapping[str, type | tuple[type, ...]] = {
    **OPTIONS,
    "attributes": dict,
    "margin": (int, float),
    "nobody": (list, str),
    "temperature": (int, float),
}
_MARGIN = 0.6
_SAME = 1e-5  # cosine distance below which two descriptions are one to the model

Floats = NDArray[np.float64]


class ZeroShotAnnotator:
    """How people are perceived, by any model with image and text features (CLIP, SigLIP, SigLIP 2, ...).

    The prompts of a group are averaged as unit vectors (Radford et al. 2021, section 3.1.4), cosines are divided by the
    temperature, and a softmax over the groups of an attribute gives probabilities. They are the model's, not shares of
    being right: give counts of its errors (``operating``) before shares are corrected by them.

    Args:
        **options: ``model`` (``reference:clip``, a folder or a hub id),
            ``attributes`` ({attribute: {group: [prompts]}}),
            ``margin`` (0.6: least probability of the likeliest group; below it the answer is "could not tell"),
            ``nobody`` (prompts of a picture without people: where they are likeliest, the answer is "could not tell"),
            ``temperature`` (default: the model's own), ``operating`` (JSON or CSV of confusion counts),
            ``revision``, ``local_files_only``, ``device`` (auto), ``dtype`` (float32), ``batch`` (32), ``allow_race``.

    Raises:
        AnnotatorError: the model is missing, or has no image and text features.
        ConfigError: an unknown option, nothing declared, or an attribute that is not measured.
    """

    version = "1"

    def __init__(self, **options: Any) -> None:
        check_options(options, _OPTIONS, where=_WHERE)
        at = f"{_WHERE}: attributes"
        self._groups = groups_of(options.get("attributes"), where=at)
        refuse_race(self._groups, allowed=options.get("allow_race") is True, where=at)
        more = {"_p": "probability of the likeliest group by the model; NaN where nobody is likelier"}
        self._columns = columns_of(self._groups, more, where=at)
        nobody = options.get("nobody")
        self._nobody = words_of(nobody, where=f"{_WHERE}: nobody") if nobody else ()
        self._margin = probability(options, "margin", _MARGIN, where=_WHERE)
        self._temperature = options.get("temperature")
        if self._temperature is not None and not self._temperature > 0:
            raise ConfigError(f"temperature must be above 0, got {self._temperature}", where=_WHERE)
        self._operating = options.get("operating")
        self._model = Pretrained(options, where=_WHERE)

    @functools.cached_property
    def spec(self) -> AnnotatorSpec:
        """Identity and operating characteristics; reads files, loads no weights. A hub id is downloaded first."""
        settings = {
            "attributes": self._groups,
            "margin": self._margin,
            "nobody": self._nobody,
            "temperature": self._temperature,
        }
        return self._model.spec(
            "zero_shot",
            self.version,
            settings=settings,
            columns=self._columns,
            groups=self._groups,
            operating=self._operating,
        )

    def annotate(self, images: Sequence[ImageRecord], /) -> Columns:
        """The columns of `spec`, one row an image."""
        if not images:
            return {name: np.empty(0, np.float32 if name.endswith("_p") else object) for name in self._columns}
        seen = _unit(self._encoder.images([levels(image.rgb) for image in images]))
        out: dict[str, NDArray[Any]] = {}
        for attribute, groups in self._groups.items():
            p = softmax(seen @ self._texts[attribute].T / self._scale, axis=1)
            k = len(groups)
            out[attribute], out[f"{attribute}_p"] = choose(
                p[:, :k], list(groups), other=p[:, k:].sum(axis=1), margin=self._margin
            )
        return out

    @functools.cached_property
    def _texts(self) -> dict[str, Floats]:
        """By attribute, one unit vector a group, then that of nobody where it is declared."""
        nobody = [self._mean(self._nobody)] if self._nobody else []
        found = {}
        for attribute, groups in self._groups.items():
            vectors = np.stack([*(self._mean(prompts) for prompts in groups.values()), *nobody])
            if (np.triu(vectors @ vectors.T, 1) > 1 - _SAME).any():
                message = f"{attribute}: to this model two groups' prompts are the same"
                raise AnnotatorError(message, where=_WHERE, hint="use words that its tokenizer knows")
            found[attribute] = vectors
        return found

    def _mean(self, prompts: Sequence[str]) -> Floats:
        """The prompt ensemble of one group: mean of unit vectors, again of unit length."""
        self._encoder.refuse_longer(prompts)
        return _unit(_unit(self._encoder.texts(prompts)).mean(axis=0))

    @functools.cached_property
    def _encoder(self) -> DualEncoder:
        return DualEncoder(self._model)

    @functools.cached_property
    def _scale(self) -> float:
        """What cosines are divided by."""
        if self._temperature is not None:
            return float(self._temperature)
        learned = self._encoder.scale
        if learned is None:
            message = f"{self._model.model} was trained with no logit scale"
            raise AnnotatorError(message, where=_WHERE, hint="set the option `temperature`, e.g. 0.01")
        return 1 / learned


def _unit(vectors: NDArray[Any]) -> Floats:
    wide = vectors.astype(np.float64)
    unit: Floats = wide / np.maximum(np.linalg.norm(wide, axis=-1, keepdims=True), 1e-12)
    return unit
