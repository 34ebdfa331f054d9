# SPDX-License-Identifier: Apache-2.0
"""Generators side by side: which of a run's numbers stand in one row, and when one may be called better.

Nothing is computed here: every cell is an estimate that the run holds. A row is a whole probe set, or a slice that a
rule judges; where a measure has many slices, one cell shows the worst of them and names it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from audit.render._comparison import AHEAD, Cell, Column, Comparison, Row
from audit.render._ranks import Differences, ranked
from audit.render.format import (
    DECISION_ORDER,
    clean,
    decisions,
    group_words,
    is_share,
    is_signed,
    metric_title,
    shorten,
    slice_words,
)
from audit.render.report import Report, Sample
from audit.types import Decision, Estimate, Finding, family_of

__all__ = ["AHEAD", "Cell", "Column", "Comparison", "Row", "compare"]

_FAMILIES = ("bias", "quality", "text", "style", "torchmetrics", "likeness", "provenance", "outcomes", "cost")
# What everybody asks for comes before what explains it.
_FIRST = (
    "quality.frechet_distance",
    "quality.kernel_distance",
    "quality.cmmd",
    "quality.precision",
    "quality.recall",
    "quality.density",
    "quality.coverage",
    "quality.clip_score",
    "quality.clip_s",
    "quality.preference",
    "quality.aesthetic",
    "quality.vqa_score",
    "quality.judged_correct",
)
_WHOLE = {"probe", "attribute", "features"}
# Ratios say what the gaps say, figures as others publish them are no findings of ours, and services and changes of
# wording have a scale each, so that no slice of them is the furthest: all of them stand among all numbers.
_PAIRED = "quality.difference"  # says in which order two stand: it makes the ranks, and has no row of its own
_APART = {"bias.as_published", "bias.representation_ratio", "bias.service_parity", "quality.robustness", _PAIRED}
_PROMPT = 90  # characters above a column
_FEW = 4  # judged slices that get a row each; of more, the worst is shown

Place = tuple[tuple[str, str], ...]
Judged = Mapping[tuple[str, str, Place], Finding]


def compare(report: Report) -> Comparison | None:
    """The comparison of a report's generators, None for a single one."""
    generators = report.generators
    if len(generators) < 2:
        return None
    judged = decisions(report.verdict)
    rows = [row for metric in _metrics(report) for row in _rows(report, metric, judged)]
    shown = tuple(row for row in rows if row.measured)
    without = _without(shown, [row for row in rows if not row.measured])
    return Comparison(tuple(generators), tuple(_columns(report)), shown, tuple(dict.fromkeys(without)))


def _metrics(report: Report) -> list[str]:
    """Ids of the metrics with estimates, family by family."""
    known = dict.fromkeys([*report.titles, *(e.metric for e in report.estimates)])

    def place(metric: str) -> tuple[int, str, int]:
        family = family_of(metric)
        first = _FIRST.index(metric) if metric in _FIRST else len(_FIRST)
        return (_FAMILIES.index(family), "", first) if family in _FAMILIES else (len(_FAMILIES), family, first)

    return sorted((metric for metric in known if report.of(metric) and metric not in _APART), key=place)


def _without(shown: Sequence[Row], empty: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """Title and reason of rows without any number, but for those whose reason stands in a row of the same measure."""
    for row in empty:
        if not any(row.metric == other.metric and row.slice.items() <= other.slice.items() for other in shown):
            reasons = dict.fromkeys(cell.value.removeprefix("no number: ") for cell in row.cells)
            yield f"{row.title}{f' ({row.detail})' if row.detail else ''}", "; ".join(reasons)


# -- rows ------------------------------------------------------------------------------------------------------


def _place(estimate: Estimate) -> Place:
    return tuple(sorted(estimate.slice.items()))


def _rows(report: Report, metric: str, judged: Judged) -> Iterator[Row]:
    """Rows of one metric: for each probe set and attribute the whole, then what rules judge, or the worst slice."""
    blocks: dict[Place, list[Estimate]] = {}
    for estimate in report.of(metric):
        block = tuple((key, value) for key, value in _place(estimate) if key in _WHOLE)
        blocks.setdefault(block, []).append(estimate)
    for block, estimates in blocks.items():
        parts = [e for e in estimates if not set(e.slice) <= _WHOLE]
        rated = [e for e in parts if (metric, e.generator, _place(e)) in judged]
        whole = any(e.value is not None for e in estimates if set(e.slice) <= _WHOLE)
        if whole or not parts:
            yield _fixed(report, metric, block, judged)
        places = list(dict.fromkeys(map(_place, rated)))
        if 0 < len(places) <= _FEW:
            yield from (_fixed(report, metric, place, judged) for place in places)
        elif places:
            yield _picked(report, block, [e for e in parts if _place(e) in places], judged)
        elif parts and not whole:
            finest = max(len(e.slice) for e in parts)
            yield _picked(report, block, [e for e in parts if len(e.slice) == finest], judged)


def _row(report: Report, metric: str, place: Place, cells: Sequence[Cell], *, slices: int = 0) -> Row:
    direction = _direction(report, metric)
    detail = slice_words(dict(place), probe=_several(report)) if place else ""
    detail = "" if detail == "all" else detail
    if slices:
        of = f"{'furthest from zero' if direction == 'none' else 'worst'} of {slices}"
        detail = f"{detail}: {of}" if detail else of
    title, unit = metric_title(metric, report.titles), _unit(report.of(metric)[0])
    return Row(metric, title, dict(place), detail, unit, direction, slices, tuple(cells))


def _several(report: Report) -> bool:
    return len({e.slice["probe"] for e in report.estimates if "probe" in e.slice}) > 1


def _direction(report: Report, metric: str) -> str:
    specs = {spec["id"]: spec for spec in report.manifest.get("metrics", ())}
    return str(specs.get(metric, {}).get("direction", "none"))


def _unit(estimate: Estimate) -> str:
    if is_share(estimate):
        return "percentage points" if is_signed(estimate) else "%"
    return clean(estimate.unit)


def _fixed(report: Report, metric: str, place: Place, judged: Judged) -> Row:
    """The same slice of every generator."""
    cells = [_cell(report, metric, generator, place, judged) for generator in report.generators]
    return _row(report, metric, place, ranked(cells, _direction(report, metric), Differences.of(report.of(_PAIRED))))


def _cell(report: Report, metric: str, generator: str, place: Place, judged: Judged) -> Cell:
    estimate = _find(report, metric, generator, place)
    finding = judged.get((metric, generator, _place(estimate) if estimate else place))
    return Cell(generator, estimate, finding.decision if finding else None)


def _find(report: Report, metric: str, generator: str, place: Place) -> Estimate | None:
    """The estimate of a slice, else the narrowest one that says why all of what holds the slice has no number."""
    own = [e for e in report.of(metric) if e.generator == generator]
    exact = [e for e in own if _place(e) == place]
    wider = [e for e in own if e.value is None and set(_place(e)) < set(place)]
    return next(iter(exact), None) or max(wider, key=lambda e: len(e.slice), default=None)


def _picked(report: Report, block: Place, candidates: Sequence[Estimate], judged: Judged) -> Row:
    """Of every generator the slice that is furthest out, named in the cell."""
    metric = candidates[0].metric
    direction = _direction(report, metric)
    cells = []
    for generator in report.generators:
        own = [e for e in candidates if e.generator == generator]
        numbers = [e for e in own if e.value is not None]
        if not numbers:
            why = next(iter(own), None) or _find(report, metric, generator, block)
            cells.append(Cell(generator, why))
            continue
        worst = max(numbers, key=lambda e: _badness(e, direction))
        found = judged.get((metric, generator, _place(worst)))
        cell = Cell(generator, worst, found.decision if found else None, _slice(worst), _tally(own, judged))
        cells.append(cell)
    return _row(report, metric, block, cells, slices=len({_place(e) for e in candidates}))


def _badness(estimate: Estimate, direction: str) -> float:
    value = estimate.value or 0.0
    return {"lower": value, "higher": -value}.get(direction, abs(value))


def _slice(estimate: Estimate) -> str:
    """What sets a slice apart within its probe set and attribute, e.g. "nurse, feminine"."""
    own = {key: value for key, value in sorted(estimate.slice.items()) if key not in _WHOLE}
    group = own.pop("group", None)
    if group is None:
        return slice_words(own)
    return ", ".join([*map(clean, own.values()), group_words(group)])


def _tally(estimates: Iterable[Estimate], judged: Judged) -> tuple[tuple[Decision, int], ...]:
    found = [judged.get((e.metric, e.generator, _place(e))) for e in estimates]
    counts = Counter(finding.decision for finding in found if finding is not None)
    return tuple((decision, counts[decision]) for decision in DECISION_ORDER if counts[decision])


# -- pictures --------------------------------------------------------------------------------------------------


def _columns(report: Report) -> Iterator[Column]:
    """Prompts that every generator answered with the same seed, in the order of the samples."""
    found: dict[str, dict[str, Sample]] = {}
    for sample in report.samples:
        if sample.kind == "comparison":
            found.setdefault(sample.column, {})[sample.generator] = sample
    for by_generator in found.values():
        if set(by_generator) >= set(report.generators):
            samples = tuple(by_generator[name] for name in report.generators)
            yield Column(clean(samples[0].probe), shorten(samples[0].text, _PROMPT), samples)
