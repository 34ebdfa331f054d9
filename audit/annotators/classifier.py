# SPDX-License-Identifier: Apache-2.0
"""Perceived attributes by an image classifier whose labels are declared to stand for groups."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from audit.annotators._label_map import Groups, choose, columns_of, groups_of, probability, refuse_race
from audit.annotators._pretrained import OPTIONS, Pretrained, levels
from audit.checkpoints import check_options
from audit.errors import AnnotatorError, ConfigError
from audit.types import AnnotatorSpec, Columns, ImageRecord

__all__ = ["ClassifierAnnotator"]

_WHERE = "annotator 'classifier'"
_OPTIONS: Mapping[str, type | tuple[type, ...]] = {
    **OPTIONS,
    "labels": dict,
    "margin": (int, float),
    "slices": dict,
}
_MARGIN = 0.6


@dataclass(frozen=True, slots=True, eq=False)
class _Head:
    """Where the answers about one attribute stand among the logits.

    Attributes:
        start, stop: the logits that exclude each other, half open.
        groups: k names.
        members: which label counts for which group, 0 or 1, shape (stop - start, k).
    """

    start: int
    stop: int
    groups: tuple[str, ...]
    members: NDArray[np.float64]


class ClassifierAnnotator:
    """How people are perceived, by any ``AutoModelForImageClassification``.

    Probabilities of the labels that stand for one group are added up; labels that stand for none together are "could
    not tell".

    Args:
        **options: ``model`` (a folder or a hub id), ``labels`` ({attribute: {group: [names of labels]}}, upper and
            lower case alike), ``slices`` ({attribute: [first, end]}: logits of a head that answers several questions,
            counted from 0, without the end; default all), ``margin`` (0.6: least probability of the likeliest group;
            below it the answer is "could not tell"), ``operating`` (JSON or CSV of confusion counts), ``revision``,
            ``local_files_only``, ``device`` (auto), ``dtype`` (float32), ``batch`` (32), ``allow_race``.

    Raises:
        AnnotatorError: the model is missing, or is no such classifier.
        ConfigError: an unknown option or label, nothing declared, or an attribute that is not measured.
    """

    version = "1"

    def __init__(self, **options: Any) -> None:
        check_options(options, _OPTIONS, where=_WHERE)
        at = f"{_WHERE}: labels"
        self._groups = groups_of(options.get("labels"), where=at)
        refuse_race(self._groups, allowed=options.get("allow_race") is True, where=at)
        more = {"_p": "probability of the likeliest group by the model; NaN where other labels are likelier"}
        self._columns = columns_of(self._groups, more, where=at)
        self._slices = _slices(options.get("slices") or {}, self._groups)
        self._margin = probability(options, "margin", _MARGIN, where=_WHERE)
        self._operating = options.get("operating")
        self._model = Pretrained(options, where=_WHERE)
        if self._model.local:
            _ = self._heads  # a wrong label is known before the first image

    @functools.cached_property
    def spec(self) -> AnnotatorSpec:
        """Identity and operating characteristics; reads files, loads no weights. A hub id is downloaded first."""
        _ = self._heads
        settings = {"labels": self._groups, "margin": self._margin, "slices": self._slices}
        return self._model.spec(
            "classifier",
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
        logits = np.concatenate(list(self._logits([levels(image.rgb) for image in images])))
        out: dict[str, NDArray[Any]] = {}
        for attribute, head in self._heads.items():
            p = softmax(logits[:, head.start : head.stop], axis=1)
            other = p @ (1 - head.members.sum(axis=1))
            out[attribute], out[f"{attribute}_p"] = choose(
                p @ head.members, head.groups, other=other, margin=self._margin
            )
        return out

    def _logits(self, pictures: Sequence[NDArray[np.uint8]]) -> Iterator[NDArray[np.float64]]:
        import torch

        width = len(self._labels)
        for start in range(0, len(pictures), self._model.batch):
            part = list(pictures[start : start + self._model.batch])
            inputs = self._model.moved(self._processor(images=part, return_tensors="pt"))
            with torch.inference_mode():
                found = self._network(**inputs).logits.double().cpu().numpy()
            if found.shape != (len(part), width):
                message = f"{found.shape[1:]} logits an image, {width} labels"
                raise AnnotatorError(message, where=_WHERE, hint="correct id2label in its config.json")
            yield found

    @functools.cached_property
    def _labels(self) -> tuple[str, ...]:
        """Names of the logits, in order."""
        config = self._model.config
        raw = config.get("id2label")
        if not isinstance(raw, Mapping) or len(raw) < 2 or {str(k) for k in range(len(raw))} != set(raw):
            message = f"{self._model.model} names no labels (id2label in config.json)"
            raise AnnotatorError(message, where=_WHERE, hint="name a classifier with at least two labels")
        if config.get("problem_type") == "multi_label_classification":
            message = f"{self._model.model} says yes or no to each label by itself; its labels exclude nobody"
            raise AnnotatorError(message, where=_WHERE, hint="name a classifier that chooses one label")
        return tuple(str(raw[str(k)]) for k in range(len(raw)))

    @functools.cached_property
    def _heads(self) -> dict[str, _Head]:
        whole = (0, len(self._labels))
        return {
            name: _head(name, groups, self._labels, self._slices.get(name, whole))
            for name, groups in self._groups.items()
        }

    @functools.cached_property
    def _network(self) -> Any:
        return self._model.network("AutoModelForImageClassification")

    @functools.cached_property
    def _processor(self) -> Any:
        return self._model.part("AutoImageProcessor")


def _slices(raw: Mapping[Any, Any], groups: Mapping[str, Groups]) -> dict[str, tuple[int, int]]:
    at = f"{_WHERE}: slices"
    out = {}
    for name, ends in raw.items():
        if name not in groups:
            raise ConfigError(f"no attribute {name!r} is declared", where=at, hint=f"declared: {', '.join(groups)}")
        whole = isinstance(ends, list | tuple) and len(ends) == 2 and all(type(end) is int for end in ends)
        if not whole or not 0 <= ends[0] < ends[1] - 1:
            raise ConfigError(f"{name}: {ends!r} is no slice", where=at, hint="write [first, end], e.g. [7, 9]")
        out[name] = (ends[0], ends[1])
    return out


def _head(name: str, groups: Groups, labels: Sequence[str], ends: tuple[int, int]) -> _Head:
    start, stop = ends
    at = f"{_WHERE}: labels: {name}"
    if stop > len(labels):
        raise ConfigError(f"the slice ends at {stop}, the model has {len(labels)} labels", where=at)
    mine = [label.strip().casefold() for label in labels[start:stop]]
    members = np.zeros((len(mine), len(groups)))
    for k, words in enumerate(groups.values()):
        for word in words:
            if mine.count(word.casefold()) != 1:
                problem = "is no label of" if word.casefold() not in mine else "names two labels of"
                hint = f"labels: {', '.join(labels[start:stop][:30])}"
                raise ConfigError(f"{word!r} {problem} the model", where=at, hint=hint)
            members[mine.index(word.casefold()), k] = 1.0
    return _Head(start, stop, tuple(groups), members)
