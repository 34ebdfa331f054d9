# SPDX-License-Identifier: Apache-2.0
"""Labels as they are kept: a row an answer, un-blinded, with a card beside that says who was asked what."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from audit.annotators._rows import rows_of, text_of
from audit.annotators._votes import read_votes
from audit.errors import ConfigError, StoreError
from audit.runs import _files
from audit.runs.store import Run

__all__ = ["FORMS", "Answer", "Labels", "labelled", "load", "place_of", "save", "weighed"]

FORMS = (".csv", ".jsonl", ".parquet")


@dataclass(frozen=True, slots=True)
class Answer:
    """What one rater said of one attribute of one picture, or did not say.

    Attributes:
        rater, item, occasion: as in the key.
        attribute: that was asked about.
        label: a group or "could not tell"; None where the rater left it out.
        comment: of the rater, about the picture.
        request_id, generator, probe, slice, sha256, pixels: of the image.
        stratum, inclusion: how it was drawn.
        weight: images that a labelled one stands for, see `weighed`; None without a label.
    """

    rater: str
    item: str
    occasion: int
    attribute: str
    label: str | None
    comment: str
    request_id: str
    generator: str
    probe: str
    slice: str
    sha256: str
    pixels: str
    stratum: str
    inclusion: float
    weight: float | None = None


@dataclass(frozen=True, slots=True)
class Labels:
    """All answers there are about one export.

    Attributes:
        answers: by rater, in the order of the sheets.
        card: what was asked, of whom, and how much came back.
    """

    answers: tuple[Answer, ...]
    card: Mapping[str, Any]

    @property
    def attributes(self) -> dict[str, tuple[str, ...]]:
        """Groups by attribute that were asked about."""
        return {name: tuple(groups) for name, groups in self.card["attributes"].items()}


_KINDS = {"occasion": pa.int32(), "inclusion": pa.float64(), "weight": pa.float64()}
_SCHEMA = pa.schema([(field.name, _KINDS.get(field.name, pa.string())) for field in fields(Answer)])


def weighed(answers: Iterable[Answer], strata: Mapping[str, int]) -> list[Answer]:
    """The answers with the weight of each labelled image: images of its stratum over those labelled there.

    That is the inverse of its probability of being drawn, times the share of drawn images that got a label: raters who
    stop early, in an order of their own, leave out a random part of each stratum (Little and Rubin 2019, ch. 3).
    """
    answers = list(answers)
    labelled = {(a.attribute, a.stratum, a.request_id) for a in answers if a.label is not None and a.occasion == 1}
    counts: dict[tuple[str, str], int] = {}
    for attribute, stratum, _ in labelled:
        counts[attribute, stratum] = counts.get((attribute, stratum), 0) + 1

    def weight(answer: Answer) -> float | None:
        known = (answer.attribute, answer.stratum, answer.request_id) in labelled and answer.label is not None
        return strata[answer.stratum] / counts[answer.attribute, answer.stratum] if known else None

    return [replace(answer, weight=weight(answer)) for answer in answers]


def place_of(into: Path) -> tuple[Path, Run | None]:
    """Where labels go: the table of a run folder, or a file. Raises ConfigError for anything else."""
    if (into / "plan.json").is_file():
        return into / "labels" / "labels.parquet", Run.open(into)
    if into.suffix.lower() in FORMS and not into.is_dir():
        return into, None
    raise ConfigError("is no run folder and no table", where=str(into), hint=f"a run, or a file {', '.join(FORMS)}")


def save(path: Path, labels: Labels) -> None:
    """Writes table and card; the table last, and each whole or not at all."""
    _files.write_json(path.with_suffix(".json"), labels.card)
    _files.write_bytes(path, _bytes(labels.answers, path.suffix.lower()))


def load(path: Path) -> Labels:
    """Table and card. Raises StoreError where they are not there or no such table."""
    card = _files.read_json(path.with_suffix(".json"))
    try:
        return Labels(tuple(_answer(row) for _, row in rows_of(path)), card)
    except (ConfigError, ValueError, KeyError, TypeError) as error:
        hint = "write it again with `genaudit labels read`"
        raise StoreError(f"is no table of labels: {error}", where=str(path), hint=hint) from None


def labelled(run: Run) -> pa.Table:
    """Settled labels of a run: request_id, attribute, label (majority, ties "could not tell"), weight, raters.

    Raises:
        StoreError: nobody labelled images of this run.
    """
    path = run.path / "labels" / "labels.parquet"
    if not path.is_file():
        hint = "`genaudit labels export`, then `genaudit labels read ... --into` this run"
        raise StoreError("run holds no labels by people", where=str(run.path), hint=hint)
    votes = read_votes(path, None)
    rows = [
        {"request_id": who, "attribute": name, "label": vote.label, "weight": vote.weight, "raters": vote.raters}
        for name, found in votes.found.items()
        for who, vote in found.items()
    ]
    words = [(name, pa.string()) for name in ("request_id", "attribute", "label")]
    return pa.Table.from_pylist(rows, pa.schema([*words, ("weight", pa.float64()), ("raters", pa.int32())]))


def _answer(row: Mapping[str, Any]) -> Answer:
    text = {name: text_of(row[name]) for name in _SCHEMA.names}
    return Answer(
        **{  # type: ignore[arg-type]
            **text,
            "occasion": int(float(text["occasion"])),
            "inclusion": float(text["inclusion"]),
            "label": text["label"] or None,
            "weight": float(text["weight"]) if text["weight"] else None,
        }
    )


def _bytes(answers: Sequence[Answer], form: str) -> bytes:
    rows = [asdict(answer) for answer in answers]
    if form == ".parquet":
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(rows, _SCHEMA), sink, compression="zstd")
        return bytes(sink.getvalue().to_pybytes())
    if form == ".jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    text = io.StringIO()
    writer = csv.DictWriter(text, _SCHEMA.names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
