# SPDX-License-Identifier: Apache-2.0
"""Who seems to be in the pictures: shares of perceived attributes, corrected for the measured error of instruments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.datasets._pixels import each, pixels
from audit.datasets._records import Progress, Record, Refused
from audit.datasets._store import Dataset
from audit.stats.annotator_error import MAX_CONDITION, Correction, misfit
from audit.types import Annotator, ImageRecord, OperatingCharacteristics, Status

__all__ = ["Composition", "Group", "composition"]

_LEVEL = 0.95
_MIN_N = 10  # as the representation gap asks for
_BATCH = 64
_INSTRUMENTS = ("attributes", "skin_tone")


@dataclass(frozen=True, slots=True)
class Group:
    """One group of an attribute.

    Attributes:
        name: of the group.
        share: corrected for the instrument's error.
        low, high: 95 % interval, with the error of the answers and of the confusion counts.
        raw: share among the answers that name a group, uncorrected; None where none does.
    """

    name: str
    share: float
    low: float
    high: float
    raw: float | None


@dataclass(frozen=True, slots=True)
class Composition:
    """One attribute.

    Attributes:
        attribute: e.g. "presentation".
        instrument: what answered, with the digest of its weights and settings.
        measured_on: in words, what its error was measured on.
        status: OK exactly where there are groups.
        why: there are none.
        n: images with an answer, "could not tell" among them.
        could_not_tell: share of these; None without answers.
        misfit: probability of such answers under any shares at all; None without a number.
        groups: with their shares.
    """

    attribute: str
    instrument: str
    measured_on: str
    status: Status
    why: str
    n: int
    could_not_tell: float | None
    misfit: float | None
    groups: tuple[Group, ...]


def composition(dataset: Dataset, *, counts: str | None, progress: Progress) -> list[Composition]:
    """Shares of every attribute that a bundled instrument reads and whose error was measured.

    Args:
        dataset: the set; what cannot be decoded has no answer.
        counts: which confusion counts describe these images; None: the main ones, measured on renders.
        progress: told what, how many are done, of how many.

    Raises:
        AnnotatorError: an instrument cannot be loaded.
        ConfigError: there are no such counts.
    """
    from audit.registry import ANNOTATORS

    instruments: list[Annotator] = [ANNOTATORS.get(name)(counts=counts) for name in _INSTRUMENTS]
    answers: dict[str, list[object]] = {}
    for batch in _batches(dataset, progress):
        for instrument in instruments:
            columns = instrument.annotate(batch)
            for column in instrument.spec.operating:
                answers.setdefault(column, []).extend(columns[column].tolist())
    return [
        _shares(operating, answers.get(column, []), f"{one.spec.name}@{one.spec.digest[:12]}")
        for one in instruments
        for column, operating in one.spec.operating.items()
    ]


def _batches(dataset: Dataset, progress: Progress) -> Iterator[list[ImageRecord]]:
    batch: list[ImageRecord] = []

    def work(record: Record, data: bytes) -> ImageRecord:
        return ImageRecord(record.sha256, record.sha256, record.caption or "", data, pixels(data))

    for _, answer in each(dataset, work, what="look", progress=progress):
        if not isinstance(answer, Refused):
            batch.append(answer)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _shares(operating: OperatingCharacteristics, said: list[object], instrument: str) -> Composition:
    counts = np.array([said.count(answer) for answer in operating.answers], dtype=np.int64)
    n = int(counts.sum())
    named = sum(int(c) for a, c in zip(operating.answers, counts, strict=True) if a in operating.truth)
    about: Mapping[str, Any] = {
        "attribute": operating.attribute,
        "instrument": instrument,
        "measured_on": operating.measured_on,
        "n": n,
        "could_not_tell": 1 - named / n if n else None,
    }
    if n < _MIN_N:
        why = f"{n} images with an answer, needs {_MIN_N}"
        return Composition(**about, status=Status.INSUFFICIENT, why=why, misfit=None, groups=())
    correction = Correction(operating.matrix())
    if not correction.identified:
        why = f"confusion matrix has condition number {correction.condition:.1f}, above {MAX_CONDITION:g}"
        return Composition(**about, status=Status.UNIDENTIFIED, why=why, misfit=None, groups=())
    doubt = misfit(operating.matrix(), counts.astype(np.float64))
    groups = _groups(operating, correction, counts, named)
    return Composition(**about, status=Status.OK, why="", misfit=doubt, groups=groups)


def _groups(
    operating: OperatingCharacteristics, correction: Correction, counts: NDArray[np.int64], named: int
) -> tuple[Group, ...]:
    found = correction.estimate(counts.astype(np.float64), level=_LEVEL)
    seen = dict(zip(operating.answers, counts.tolist(), strict=True))
    return tuple(
        Group(name, float(share), float(low), float(high), seen.get(name, 0) / named if named else None)
        for name, share, low, high in zip(operating.truth, found.shares, found.low, found.high, strict=True)
    )
