# SPDX-License-Identifier: Apache-2.0
"""An instrument's error on the very images under audit, measured against people's labels.

Labels are a sample drawn with known probabilities: within a true group the share of each answer is a weighted mean
(Hajek 1971), and what it is worth is an effective number of labels (Kish 1965). The counts written are that number
divided by these shares, so whatever reads them carries the uncertainty of the labels and not that of more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.annotators._operating import COULD_NOT_TELL
from audit.errors import ConfigError
from audit.labels._table import labelled, load
from audit.runs import _files
from audit.runs.store import Run
from audit.types import OperatingCharacteristics

__all__ = ["Confusion", "confusion_from_labels", "effective_counts"]


@dataclass(frozen=True, slots=True)
class Confusion:
    """Confusion counts of an instrument by people's labels.

    Attributes:
        operating: effective counts, rounded; what an instrument's option ``operating`` takes.
        column: of the instrument.
        labelled: labelled images of each true group, in the order of ``operating.truth``.
        effective: how many equally weighted labels these are worth.
        untold: labelled images whose group people could not tell; they are in no row.
        unanswered: labelled images that the instrument has no answer for.
    """

    operating: OperatingCharacteristics
    column: str
    labelled: tuple[int, ...]
    effective: tuple[float, ...]
    untold: int
    unanswered: int

    def write(self, path: Path) -> None:
        """Writes the counts in the form of an instrument's ``operating.json``. Raises StoreError."""
        oc = self.operating
        table = {"truth": list(oc.truth), "answers": list(oc.answers), "counts": [list(row) for row in oc.counts]}
        about = {"n": sum(self.labelled), "what": oc.measured_on, "effective": [round(n, 1) for n in self.effective]}
        _files.write_json(path, {oc.attribute: table, "measured_on": about})


def confusion_from_labels(
    run: Run, attribute: str, *, column: str | None = None, generator: str | None = None
) -> Confusion:
    """What an instrument answered on images that people labelled.

    Args:
        run: with labels.
        attribute: that both answer.
        column: of the instrument, ``<annotator>.<column>``; None: the only one called after the attribute.
        generator: whose images; None: all.

    Raises:
        ConfigError: no such attribute or column, or a group that no labelled image shows.
        StoreError: the run holds no labels.
    """
    rows = [row for row in labelled(run).to_pylist() if row["attribute"] == attribute]
    groups = load(run.path / "labels" / "labels.parquet").attributes.get(attribute)
    if groups is None:
        raise ConfigError(f"nobody was asked about {attribute!r}", where=str(run.path), hint="genaudit labels export")
    column = column or _column(run, attribute)
    name, _, of = column.partition(".")
    table = run.annotations(name)
    if of not in table.column_names:
        raise ConfigError(f"no column {of!r}", where=f"annotator {name}", hint=f"there are: {table.column_names[1:]}")
    said = dict(zip(table["request_id"].to_pylist(), table[of].to_pylist(), strict=True))
    whose = run.generations().select(["request_id", "generator"]).to_pylist()
    mine = {row["request_id"] for row in whose if generator in (None, row["generator"])}
    rows = [row for row in rows if row["request_id"] in mine]
    told = [row for row in rows if row["label"] in groups]
    heard = [row for row in told if said.get(row["request_id"]) is not None]
    others = sorted({str(a) for a in said.values() if a is not None} - {*groups, COULD_NOT_TELL})
    answers = (*groups, *others, COULD_NOT_TELL)
    counts, effective = _counts(heard, said, groups, answers)
    _all_there(groups, heard, run)
    words = _words(run, generator, heard)
    operating = OperatingCharacteristics(attribute, groups, answers, counts, words)
    shown = tuple(sum(row["label"] == group for row in heard) for group in groups)
    return Confusion(operating, column, shown, effective, len(rows) - len(told), len(told) - len(heard))


def effective_counts(given: NDArray[np.int64], weights: NDArray[np.float64], k: int) -> tuple[NDArray[np.int64], float]:
    """Answers of one true group as counts that are worth what the weighted labels are worth.

    The effective number is that whose multinomial variance, summed over answers, is the linearised variance of the
    weighted shares; it never exceeds Kish's (sum w)^2 / sum w^2, since shares near 0 make the former unsteady.

    Args:
        given: answers as codes below ``k``, shape (n,).
        weights: of the images, shape (n,), positive.
        k: possible answers.

    Returns:
        Counts (k,), whose sum is the effective number rounded to an integer, at least 1, and that number; zeros for no
        image.
    """
    if not len(given):
        return np.zeros(k, dtype=np.int64), 0.0
    shares = np.bincount(given, weights, k) / weights.sum()
    kish = float(weights.sum() ** 2 / (weights**2).sum())
    away = 1 - 2 * shares[given] + (shares**2).sum()  # squared distance of each one-hot answer from the shares
    variance = float((weights**2 * away).sum() / weights.sum() ** 2)
    linear = float((1 - (shares**2).sum()) / variance) if variance > 0 else kish
    n = min(kish, linear)
    return _rounded(shares, max(1, round(n))), n


def _rounded(shares: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    """Integers that sum to ``n``, by largest remainders."""
    exact = shares * n
    counts = np.floor(exact + 1e-9).astype(np.int64)
    for place in np.argsort(counts - exact, kind="stable")[: n - int(counts.sum())]:
        counts[place] += 1
    return counts


def _counts(
    rows: Sequence[Mapping[str, Any]], said: Mapping[str, Any], groups: Sequence[str], answers: Sequence[str]
) -> tuple[tuple[tuple[int, ...], ...], tuple[float, ...]]:
    table, worth = [], []
    for group in groups:
        mine = [row for row in rows if row["label"] == group]
        given = np.array([answers.index(str(said[row["request_id"]])) for row in mine], dtype=np.int64)
        counts, n = effective_counts(given, np.array([row["weight"] for row in mine], dtype=np.float64), len(answers))
        table.append(tuple(int(cell) for cell in counts))
        worth.append(n)
    return tuple(table), tuple(worth)


def _column(run: Run, attribute: str) -> str:
    others = [name for name in run.annotators() if name != "people"]
    found = [f"{name}.{attribute}" for name in others if attribute in run.annotations(name).column_names]
    if len(found) != 1:
        what = f"several answer {attribute}: {', '.join(found)}" if found else f"no instrument answers {attribute}"
        raise ConfigError(what, where=str(run.path), hint="say which: --column attributes.presentation")
    return found[0]


def _all_there(groups: Sequence[str], rows: Sequence[Mapping[str, Any]], run: Run) -> None:
    absent = [group for group in groups if not any(row["label"] == group for row in rows)]
    if absent:
        hint = "label more images, or let labels enter the numbers directly: docs/labels.md, 'Labels in the numbers'"
        raise ConfigError(f"no labelled image shows {absent[0]!r}: no error to measure", where=str(run.path), hint=hint)


def _words(run: Run, generator: str | None, rows: Sequence[Mapping[str, Any]]) -> str:
    raters = [row["raters"] for row in rows]
    whose = f"images by {generator}" if generator else "images of all generators"
    many = (
        f"{min(raters, default=0)} to {max(raters, default=0)}" if len(set(raters)) > 1 else f"{max(raters, default=0)}"
    )
    return f"{whose} in run {run.manifest['name']}, labelled by people ({many} raters an image)"
