# SPDX-License-Identifier: Apache-2.0
"""Judgements made elsewhere (GenEval, TIFA, a hosted judge, people) as an instrument like any other."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.annotators._judged import BY_REQUEST, NO, YES, Judged, Opinion, Roles, read_judgements
from audit.annotators._label_map import words_of
from audit.annotators._nets import objects
from audit.annotators._operating import measured
from audit.checkpoints import check_options, digest_of
from audit.errors import ConfigError
from audit.images import pixel_digest
from audit.types import AnnotatorSpec, Columns, ImageRecord

__all__ = ["JudgementsAnnotator"]

_WHERE = "annotator 'judgements'"
_OPTIONS: Mapping[str, type | tuple[type, ...]] = {
    "extra": str,
    "judge": str,
    "operating": str,
    "people": (list, str),
    "run": str,
    "second": str,
    "table": str,
}
_COLUMNS = {
    "correct": "whether the image shows what was asked for: yes, no or 'could not tell'; None where it was not judged",
    "score": "score by the judge, in its own unit; of several questions without one, the share answered yes",
    "judge": "who judged",
    "judged_at": "when, seconds since 1970; NaN where the table does not say",
    "again": "what the second judge says, or the same one the second time",
    "again_judge": "who that is",
    "again_at": "when that was, seconds since 1970",
    "people": "what most people say, ties are 'could not tell'; None where nobody was asked",
}


class JudgementsAnnotator:
    """Judgements read from a table: a row an image, or a row an image and question.

    An image is found by request id, by the digest of its file or of its pixels, or by generator, prompt and repetition.
    With several questions an image is correct if every one is answered yes. A judge that judged an image twice counts
    as it did first; the second time is kept to see whether it drifts.

    Args:
        **options: ``table`` (``.jsonl``, ``.csv`` or ``.parquet`` with a column ``correct`` or ``score``; see
            docs/annotators.md), ``run`` (folder of the run that was judged, in which every judged image must be found),
            ``extra`` ("refuse", or "ignore" rows about other images), ``judge`` (whose judgements count, where several
            judged), ``second`` (another judge to hold that one against), ``people`` (["people"]: judges that are
            people), ``operating`` (file of confusion counts of the judge, attribute ``correct``).

    Raises:
        ConfigError: an unknown option, no table, one that cannot be read, or judgements of images that are not there.
    """

    version = "1"

    def __init__(self, **options: Any) -> None:
        check_options(options, _OPTIONS, where=_WHERE)
        if not options.get("table"):
            hint = "instruments.options: {judgements: {table: judged.jsonl, run: runs/quickstart}}"
            raise ConfigError("no table of judgements given", where=_WHERE, hint=hint)
        extra, run = options.get("extra") or "refuse", options.get("run")
        if extra not in {"refuse", "ignore"}:
            raise ConfigError(f"extra: {extra!r} is unknown", where=_WHERE, hint="refuse or ignore")
        if extra == "refuse" and not run:
            hint = "name the run folder, e.g. run: runs/quickstart; or say extra: ignore"
            raise ConfigError(
                "no `run` given, so that judgements of other images would not be noticed", where=_WHERE, hint=hint
            )
        people = words_of(options.get("people") or ["people"], where=f"{_WHERE}: people")
        roles = Roles(options.get("judge"), options.get("second"), people)
        table = Path(options["table"]).expanduser()
        folder = Path(run).expanduser() if run else None
        self._judged = read_judgements(table, roles, _requests(folder) if folder else None)
        if folder and extra == "refuse":
            _refuse_strangers(self._judged, folder)
        self._operating = measured(options.get("operating"), {"correct": (YES, NO)}, where=_WHERE)

    @functools.cached_property
    def spec(self) -> AnnotatorSpec:
        """Identity: digest over the judgements as they were settled, and over the judge's error."""
        found = self._judged
        content = {
            "version": self.version,
            "key": found.key,
            "first": {who: asdict(opinion) for who, opinion in found.first.items()},
            "again": {who: asdict(opinion) for who, opinion in found.again.items()},
            "people": dict(found.people),
            "operating": {name: [oc.truth, oc.answers, oc.counts] for name, oc in self._operating.items()},
        }
        return AnnotatorSpec("judgements", self.version, digest_of(content), _COLUMNS, operating=self._operating)

    def annotate(self, images: Sequence[ImageRecord], /) -> Columns:
        """The columns of `spec`, one row an image."""
        found = self._judged
        keys = [_key(image, found.key) for image in images]
        first, again = [found.first.get(key) for key in keys], [found.again.get(key) for key in keys]
        return {
            "correct": _words(first, "correct"),
            "score": _floats(first, "score"),
            "judge": _words(first, "judge"),
            "judged_at": _floats(first, "at"),
            "again": _words(again, "correct"),
            "again_judge": _words(again, "judge"),
            "again_at": _floats(again, "at"),
            "people": objects([found.people.get(key) for key in keys]),
        }


def _key(image: ImageRecord, key: str) -> str:
    known = {"request_id": image.request_id, "sha256": image.sha256}.get(key)
    return pixel_digest(image.rgb) if known is None else known


def _words(opinions: Sequence[Opinion | None], name: str) -> NDArray[Any]:
    return objects([None if opinion is None else getattr(opinion, name) for opinion in opinions])


def _floats(opinions: Sequence[Opinion | None], name: str) -> NDArray[np.float64]:
    return np.array([math.nan if opinion is None else getattr(opinion, name) for opinion in opinions], dtype=np.float64)


def _requests(run: Path) -> dict[tuple[str, str, str], str]:
    """Request id by generator, prompt and repetition; "" where two requests share them."""
    found: dict[tuple[str, str, str], str] = {}
    for row in _rows([run / "requests.parquet"], ("request_id", *BY_REQUEST)):
        key = (str(row["generator"]), str(row["prompt_id"]), str(row["repetition"]))
        found[key] = "" if key in found else str(row["request_id"])
    return found


def _refuse_strangers(found: Judged, run: Path) -> None:
    """Refuse judgements of images that the run does not have. Raises ConfigError."""
    if found.key == "request_id":
        files = [run / "requests.parquet"]
    else:
        files = sorted((run / "generations").glob("part-*.parquet"))
    there = {str(row[found.key]) for row in _rows(files, (found.key,))}
    strange = [place for who, place in found.places.items() if who not in there]
    if strange:
        rows, whole = sum(k for _, k in strange), sum(k for _, k in found.places.values())
        message = f"{rows} of {whole} rows are about no image of {run}, the first of them here"
        hint = "judge the images of this run, or say extra: ignore"
        raise ConfigError(message, where=strange[0][0], hint=hint)


def _rows(files: Iterable[Path], columns: Sequence[str]) -> list[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    out: list[dict[str, Any]] = []
    for file in files:
        try:
            out += pq.read_table(file, columns=list(columns)).to_pylist()
        except (OSError, pa.ArrowException) as error:
            hint = "name the folder of a run, e.g. run: runs/quickstart"
            raise ConfigError(f"cannot be read: {error}", where=str(file), hint=hint) from None
    return out
