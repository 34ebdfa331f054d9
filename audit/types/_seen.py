# SPDX-License-Identifier: Apache-2.0
"""What instruments are given, what they answer, and how often they err."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from audit.types._asked import Request
from audit.types._words import Columns

__all__ = ["Annotator", "AnnotatorSpec", "ImageRecord", "OperatingCharacteristics"]


@dataclass(frozen=True, slots=True, eq=False)
class ImageRecord:
    """One stored image handed to annotators.

    Attributes:
        request_id: whose answer it is.
        sha256: of ``data`` (hex).
        text: what the picture is held against: `Prompt.meant` where there is one, else the prompt text.
        data: the file as stored, credentials included.
        rgb: decoded pixels, uint8, shape (height, width, 3), EXIF orientation applied.
        probe, prompt_id, repetition: which request it answers, for instruments that hold it against another picture of
            the same one; "" and 0 where there was none.
    """

    request_id: str
    sha256: str
    text: str
    data: bytes
    rgb: NDArray[np.uint8]
    probe: str = ""
    prompt_id: str = ""
    repetition: int = 0

    @classmethod
    def of(cls, request: Request, *, sha256: str, data: bytes, rgb: NDArray[np.uint8]) -> ImageRecord:
        """The stored answer to ``request``."""
        prompt = request.prompt
        meant = prompt.meant or prompt.text
        return cls(request.id, sha256, meant, data, rgb, prompt.probe, prompt.id, request.repetition)


@dataclass(frozen=True, slots=True)
class OperatingCharacteristics:
    """How often an instrument says what, given the truth: a confusion matrix of *counts*.

    Attributes:
        attribute: e.g. "presentation".
        truth: k true groups (rows).
        answers: r possible answers (columns), the abstention "could not tell" among them.
        counts: k rows of r non-negative integers.
        measured_on: in words, what the counts were measured on.
        within: the same counts by group where they were measured so, e.g. ``{"tone_band=dark": ((812, ...), ...)}``.
    """

    attribute: str
    truth: tuple[str, ...]
    answers: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    measured_on: str
    within: Mapping[str, tuple[tuple[int, ...], ...]] = field(default_factory=dict)

    def matrix(self) -> NDArray[np.float64]:
        """Counts as a float array of shape (k, r)."""
        return np.asarray(self.counts, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class AnnotatorSpec:
    """Identity of an instrument.

    Attributes:
        name: public id; its columns are stored as ``<name>.<column>``.
        version: raised whenever an answer could change.
        digest: sha256 over weights and settings; part of the storage path and of every fingerprint.
        columns: column name -> what it holds, in words with unit.
        licence: of the weights.
        operating: confusion counts by column name, empty where the instrument does not classify.
    """

    name: str
    version: str
    digest: str
    columns: Mapping[str, str]
    licence: str | None = None
    operating: Mapping[str, OperatingCharacteristics] = field(default_factory=dict)


@runtime_checkable
class Annotator(Protocol):
    """One image in, named columns out."""

    @property
    def spec(self) -> AnnotatorSpec:
        """Identity, columns and operating characteristics."""
        ...

    def annotate(self, images: Sequence[ImageRecord], /) -> Columns:
        """Arrays of length ``len(images)`` under exactly the names in ``spec.columns``.

        Strings are object arrays with ``None`` for "no answer"; floats use NaN; embeddings are float32 (n, d).
        """
        ...
