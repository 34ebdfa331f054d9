# SPDX-License-Identifier: Apache-2.0
"""Which requests a report shows, chosen by rule and never by how they look.

Every generator's answer to some of the prompts, the highest likeness scores, the images that pull a number most, the
first repetitions of every row, the first requests without an image.
"""

from __future__ import annotations

import io
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from PIL import Image

from audit.render._side_by_side import column_of, side_by_side
from audit.render.format import attribute_words, group_words
from audit.render.report import Sample
from audit.render.telling import Telling, telling
from audit.types import Outcome

if TYPE_CHECKING:
    from audit.runs.store import Run

__all__ = ["choose_samples"]

PER_ROW = 8
MATCHES = 24
WITHOUT_IMAGE = 6
THUMBS = 320
_BYTES = 1_700_000  # of thumbnails; base64 makes 2.3 MB of it, so that the page stays below 3 MB
_LONG_EDGE = 160
_SMALL = 5_000
_MIN_ROW = 3


@dataclass(frozen=True, slots=True)
class _Row:
    """One request with everything known about it."""

    request: Mapping[str, Any]
    generation: Mapping[str, Any]
    labels: Mapping[str, Mapping[str, Any]]
    by: str | None
    purpose: str

    @property
    def axes(self) -> dict[str, str]:
        return dict(json.loads(self.request["axes"] or "{}"))

    @property
    def heading(self) -> str:
        return str(self.axes.get(self.by, "")) if self.by else ""

    @property
    def imaged(self) -> bool:
        return bool(self.generation["outcome"] == Outcome.IMAGE)


def choose_samples(run: Run, manifest: Mapping[str, Any]) -> tuple[Sample, ...]:
    """Comparison, contact rows, matches and requests without an image; at most THUMBS thumbnails."""
    rows = list(_rows(run, manifest))
    compared = [(row, "comparison") for row in side_by_side(rows, lambda row: row.request)]
    threshold = (manifest.get("references", {}).get("likeness") or {}).get("threshold")

    def plain(chosen: Sequence[tuple[_Row, str]]) -> list[tuple[Sample, _Row]]:
        return [(_sample(row, kind, manifest=manifest, threshold=threshold), row) for row, kind in chosen]

    imaged = {row.request["request_id"]: row for row in rows if row.imaged}
    asked = {id_: row.request["generator"] for id_, row in imaged.items()}
    told = [(_telling(imaged[f.request_id], f), imaged[f.request_id]) for f in telling(run.scores(), manifest, asked)]
    pairs = [*plain([*compared, *_matches(rows)]), *told, *plain([*_contact(rows), *_without_image(rows)])]
    return tuple(_with_thumbs(run, pairs))


def _rows(run: Run, manifest: Mapping[str, Any]) -> Iterator[_Row]:
    answers = {row["request_id"]: row for row in run.generations().to_pylist()}
    probes = {probe["name"]: probe for probe in manifest.get("probes", ())}
    wanted = {spec["name"]: set(spec.get("operating", {})) for spec in manifest.get("annotators", ())}
    wanted["likeness"] = {"above", "reference", "score"}
    seen = {
        name: _annotations(run, name, columns)
        for name, columns in wanted.items()
        if columns and name in run.annotators()
    }
    for request in run.requests().to_pylist():
        probe = probes.get(request["probe"], {})
        id_ = request["request_id"]
        if id_ in answers:
            labels = {name: table.get(id_, {}) for name, table in seen.items()}
            by = next(iter(probe.get("by") or ()), "wording" if probe.get("wordings") else None)
            yield _Row(request, answers[id_], labels, by, str(probe.get("purpose", "")))


def _annotations(run: Run, name: str, columns: set[str]) -> dict[str, dict[str, Any]]:
    table = run.annotations(name)
    kept = [column for column in table.column_names if column in columns]
    return {row["request_id"]: row for row in table.select(["request_id", *kept]).to_pylist()}


def _matches(rows: Sequence[_Row]) -> list[tuple[_Row, str]]:
    above = [row for row in rows if row.imaged and row.labels.get("likeness", {}).get("above") == 1.0]
    above.sort(key=lambda row: (-(row.labels["likeness"].get("score") or 0.0), row.request["request_id"]))
    taken: Counter[str] = Counter()
    chosen = []
    for row in above:
        generator = row.request["generator"]
        if taken[generator] < MATCHES:
            taken[generator] += 1
            chosen.append((row, "match"))
    return chosen


def _contact(rows: Sequence[_Row]) -> list[tuple[_Row, str]]:
    """The first images of every (generator, probe, heading), fewer a row where there are many rows."""
    cells: dict[tuple[str, str, str], list[_Row]] = {}
    for row in rows:
        if row.imaged and row.purpose != "likeness":
            cells.setdefault((row.request["generator"], row.request["probe"], row.heading), []).append(row)
    each = min(PER_ROW, max(_MIN_ROW, THUMBS // max(len(cells), 1)))
    return [(row, "row") for cell in cells.values() for row in _spread(cell)[:each]]


def _spread(cell: Sequence[_Row]) -> list[_Row]:
    """Different prompts first, then their further repetitions, in plan order."""
    return sorted(cell, key=lambda row: row.request["repetition"])


def _without_image(rows: Sequence[_Row]) -> list[tuple[_Row, str]]:
    taken: Counter[tuple[str, str]] = Counter()
    chosen = []
    for row in rows:
        key = (row.request["generator"], row.generation["outcome"])
        if not row.imaged and taken[key] < WITHOUT_IMAGE:
            taken[key] += 1
            chosen.append((row, "outcome"))
    return chosen


def _sample(row: _Row, kind: str, *, manifest: Mapping[str, Any], threshold: float | None) -> Sample:
    tags = json.loads(row.request["tags"] or "[]")
    note = row.generation["message"] or "" if kind == "comparison" and not row.imaged else ""
    if kind == "match":
        limit = f" {threshold:.2f}" if isinstance(threshold, float) else ""
        note = f"similar to enrolled reference {row.labels['likeness'].get('reference')} above threshold{limit}"
    elif kind == "outcome":
        note = row.generation["message"] or "no message"
    return Sample(
        request_id=row.request["request_id"],
        generator=row.request["generator"],
        probe=row.request["probe"],
        text=row.request["text"],
        outcome=Outcome(row.generation["outcome"]),
        kind=kind,
        row=row.heading,
        sensitive=kind == "match" or "sensitive" in tags,
        note=note,
        labels=tuple(_labels(row, manifest)) if row.imaged else (),
        column=column_of(row.request) if kind == "comparison" else "",
    )


def _telling(row: _Row, found: Telling) -> Sample:
    return Sample(
        request_id=row.request["request_id"],
        generator=row.request["generator"],
        probe=row.request["probe"],
        text=row.request["text"],
        outcome=Outcome(row.generation["outcome"]),
        kind=found.kind,
        row=found.measure,
        sensitive="sensitive" in json.loads(row.request["tags"] or "[]"),
        note=found.note,
    )


def _labels(row: _Row, manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for spec in manifest.get("annotators", ()):
        for column, operating in sorted(spec.get("operating", {}).items()):
            answer = row.labels.get(spec["name"], {}).get(column)
            if answer is not None and not (isinstance(answer, float) and math.isnan(answer)):
                shown = f"{answer:g}" if isinstance(answer, float) else group_words(answer)
                yield attribute_words(operating["attribute"]), shown


def _with_thumbs(run: Run, pairs: Iterable[tuple[Sample, _Row]]) -> Iterator[Sample]:
    """Thumbnails as long as there is room; without one only a comparison keeps its place, and says so."""
    count, total = 0, 0
    for sample, row in pairs:
        if sample.outcome is not Outcome.IMAGE:
            yield sample
            continue
        thumb = _thumb(run, row.generation["sha256"]) if count < THUMBS else None
        if thumb is None or total + len(thumb) > _BYTES:
            if sample.kind == "comparison":
                yield sample
            continue
        count, total = count + 1, total + len(thumb)
        yield replace(sample, thumb=thumb, media_type="image/webp")


def _thumb(run: Run, sha256: str) -> bytes | None:
    try:
        data = run.thumb_path(sha256).read_bytes()
        with Image.open(io.BytesIO(data), formats=["WEBP"]) as image:
            small = image.convert("RGB")
    except (OSError, SyntaxError, Image.DecompressionBombError):  # a lost thumbnail must not cost the report
        return None
    if len(data) <= _SMALL:
        return data
    small.thumbnail((_LONG_EDGE, _LONG_EDGE))
    sink = io.BytesIO()
    small.save(sink, "WEBP", quality=80, method=4)
    return sink.getvalue()
