# SPDX-License-Identifier: Apache-2.0
"""How far raters agree, on what they agree less, and how much wider that makes the interval of a share."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audit.annotators._operating import COULD_NOT_TELL
from audit.annotators._rows import rows_of, text_of
from audit.errors import ConfigError, StoreError
from audit.labels._key import SCHEMA, Export, open_export
from audit.labels._read import read_sheets
from audit.labels._table import FORMS, Answer, Labels, load
from audit.stats.intervals import Interval, wilson
from audit.stats.raters import design_effect_of_disagreement, krippendorff_alpha, percent_agreement

__all__ = ["Agreement", "Pair", "Row", "Steadiness", "agreement", "filled_sheets", "open_labels"]


@dataclass(frozen=True, slots=True)
class Row:
    """Agreement on one attribute in one slice.

    Attributes:
        attribute: that was asked about.
        slice: empty for all images; a generator, a value of an axis, or a group against all other answers.
        n: images with two labels or more.
        alpha: Krippendorff's alpha, "could not tell" counting as an answer; None where there is none.
        same: share of pairs of labels that are equal; None with fewer than two images.
        why: there is no alpha.
    """

    attribute: str
    slice: Mapping[str, str]
    n: int
    alpha: Interval | None
    same: Interval | None
    why: str | None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two raters on one attribute.

    Attributes:
        attribute: that was asked about.
        first, second: raters.
        answers: in the order of ``counts``.
        counts: images by the first rater's answer (rows) and the second's (columns).
        alpha: of the two.
        same: share of images with equal answers.
    """

    attribute: str
    first: str
    second: str
    answers: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    alpha: Interval | None
    same: Interval | None


@dataclass(frozen=True, slots=True)
class Steadiness:
    """One rater with himself or herself: share of pictures shown twice that got the same answer both times."""

    attribute: str
    rater: str
    same: Interval


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far raters agree.

    Attributes:
        rows: by attribute: all images, groups, generators, values of axes.
        pairs: by attribute, each two raters.
        steadiness: by attribute and rater, where pictures were shown twice.
        labels_an_image: mean number of labels of labelled images, by attribute.
        widening: by attribute, how much wider disagreement makes the interval of a share, with that many labels an
            image and the alpha of all images; None where alpha is not above 0 or there is none.
    """

    rows: tuple[Row, ...]
    pairs: tuple[Pair, ...]
    steadiness: tuple[Steadiness, ...]
    labels_an_image: Mapping[str, float]
    widening: Mapping[str, float | None]


def agreement(labels: Labels, *, level: float = 0.95, seed: int = 0) -> Agreement:
    """Agreement of all raters on every attribute.

    Args:
        labels: of one export.
        level: confidence level of all intervals.
        seed: of the bootstrap; same seed, same numbers.
    """
    rows: list[Row] = []
    pairs: list[Pair] = []
    steady: list[Steadiness] = []
    each: dict[str, float] = {}
    widening: dict[str, float | None] = {}
    for name, groups in labels.attributes.items():
        mine = [a for a in labels.answers if a.attribute == name and a.label is not None]
        first = [a for a in mine if a.occasion == 1]
        answers = (*groups, COULD_NOT_TELL)
        ratings, raters, images = _ratings(first, answers)
        found = [
            _row(name, where, part, level=level, seed=seed) for where, part in _slices(ratings, images, first, groups)
        ]
        rows += found
        pairs += _pairs(name, ratings, raters, answers, level=level, seed=seed)
        steady += _steadiness(name, mine, level)
        each[name] = len(first) / len(images) if images else 0.0
        widening[name] = _widening(found[0].alpha, each[name])
    return Agreement(tuple(rows), tuple(pairs), tuple(steady), each, widening)


def open_labels(source: Path) -> Labels:
    """Labels of a run, of a table, or of the sheets that lie filled in an export.

    Raises:
        StoreError: none of these, or no labels there.
        ConfigError: a sheet is wrong.
    """
    if (source / "key" / "sample.json").is_file():
        export = open_export(source)
        answers, _ = read_sheets(export, filled_sheets(export))
        attributes = {name: list(groups) for name, groups in export.attributes.items()}
        return Labels(tuple(answers), {"schema": SCHEMA, "export": export.id, "attributes": attributes})
    table = source if source.suffix.lower() in FORMS else source / "labels" / "labels.parquet"
    if not table.is_file():
        hint = "give a run that labels were read into, a table of labels, or an export with filled sheets"
        raise StoreError("holds no labels", where=str(source), hint=hint)
    return load(table)


def filled_sheets(export: Export) -> list[Path]:
    """The sheets with answers that lie in an export: saved pages, else sheets filled in place.

    Raises:
        ConfigError: there are none.
    """
    found = []
    for rater in dict.fromkeys(item.rater for item in export.items):
        folder = export.path / rater
        places = [export.path / f"{rater}.csv", folder / f"{rater}.csv", folder / "sheet.csv", folder / "sheet.jsonl"]
        found += [path for path in places if path.is_file() and _filled(path, export)][:1]
    if not found:
        hint = "name the files that raters sent back"
        raise ConfigError("no sheet in the export has an answer", where=str(export.path), hint=hint)
    return found


def _filled(path: Path, export: Export) -> bool:
    return any(text_of(row.get(name)) for _, row in rows_of(path) for name in export.attributes)


def _ratings(
    answers: Sequence[Answer], labels: Sequence[str]
) -> tuple[NDArray[np.float64], tuple[str, ...], tuple[str, ...]]:
    """Codes (raters, images), NaN where there is no label, and who and what they are."""
    raters = tuple(sorted({answer.rater for answer in answers}))
    images = tuple(dict.fromkeys(answer.request_id for answer in answers))
    row, column = ({name: place for place, name in enumerate(names)} for names in (raters, images))
    ratings = np.full((len(raters), len(images)), np.nan)
    for answer in answers:
        ratings[row[answer.rater], column[answer.request_id]] = labels.index(str(answer.label))
    return ratings, raters, images


def _slices(
    ratings: NDArray[np.float64], images: Sequence[str], answers: Sequence[Answer], groups: Sequence[str]
) -> Iterator[tuple[dict[str, str], NDArray[np.float64]]]:
    """All images; each group against every other answer; each generator; each value of each axis."""
    yield {}, ratings
    for code, group in enumerate(groups):
        yield {"group": group}, np.where(np.isnan(ratings), np.nan, (ratings == code).astype(np.float64))
    of = {a.request_id: {"generator": a.generator, **json.loads(a.slice)} for a in answers}
    for axis in dict.fromkeys(axis for where in of.values() for axis in where):
        for value in sorted({where[axis] for where in of.values() if axis in where}):
            yield {axis: value}, ratings[:, [of[image].get(axis) == value for image in images]]


def _row(name: str, where: Mapping[str, str], ratings: NDArray[np.float64], *, level: float, seed: int) -> Row:
    n = int(((~np.isnan(ratings)).sum(axis=0) >= 2).sum())
    alpha = krippendorff_alpha(ratings, level=level, seed=seed)
    few = f"{n} images with two labels, needs 2"
    why = None if alpha is not None else (few if n < 2 else "all answers are the same: nothing to agree about")
    return Row(name, dict(where), n, alpha, percent_agreement(ratings, level=level), why)


def _pairs(
    name: str,
    ratings: NDArray[np.float64],
    raters: Sequence[str],
    answers: tuple[str, ...],
    *,
    level: float,
    seed: int,
) -> Iterator[Pair]:
    for one, two in combinations(range(len(raters)), 2):
        both = ratings[[one, two]][:, ~np.isnan(ratings[[one, two]]).any(axis=0)].astype(int)
        k = len(answers)
        counts = np.bincount(both[0] * k + both[1], minlength=k * k).reshape(k, k)
        alpha = krippendorff_alpha(ratings[[one, two]], level=level, seed=seed)
        n = both.shape[1]
        same = wilson(int(np.trace(counts)), n, level=level) if n else None
        table = tuple(tuple(int(cell) for cell in line) for line in counts)
        yield Pair(name, raters[one], raters[two], answers, table, alpha, same)


def _steadiness(name: str, answers: Sequence[Answer], level: float) -> Iterator[Steadiness]:
    said = {(a.rater, a.request_id, a.occasion): a.label for a in answers}
    for rater in sorted({a.rater for a in answers}):
        again = [
            (said[rater, image, 1], label)
            for (who, image, time), label in said.items()
            if who == rater and time > 1 and (rater, image, 1) in said
        ]
        if again:
            yield Steadiness(name, rater, wilson(sum(a == b for a, b in again), len(again), level=level))


def _widening(alpha: Interval | None, each: float) -> float | None:
    if alpha is None or alpha.value <= 0:
        return None
    return float(design_effect_of_disagreement(alpha.value, max(1, round(each))) ** 0.5)
