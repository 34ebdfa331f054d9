# SPDX-License-Identifier: Apache-2.0
"""results.json: numbers and judgement for machines, canonical (``reports/schemas/results.schema.json``)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any

from audit.render.comparison import Cell, Column, Comparison, Row, compare
from audit.render.report import Report
from audit.types import Decision, Estimate, Finding, Verdict

__all__ = ["RENDERER", "SCHEMA", "ResultsRenderer"]

SCHEMA = 1
_DIGITS = 10  # significant; the last bits of a float differ between processors


@dataclass(frozen=True, slots=True)
class ResultsRenderer:
    """JSON with sorted keys, floats at ten significant digits, nothing that JSON does not know."""

    name: str = "json"
    suffix: str = ".json"

    def render(self, report: Report, /) -> bytes:
        """The document as UTF-8."""
        document = {
            "schema": SCHEMA,
            "run": report.manifest,
            "estimates": [_estimate(e) for e in report.estimates],
            "verdict": _verdict(report.verdict) if report.verdict else None,
            "comparison": _comparison(comparison) if (comparison := compare(report)) else None,
        }
        return (
            json.dumps(_plain(document), sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        ).encode()


RENDERER = ResultsRenderer()


def _estimate(estimate: Estimate) -> dict[str, Any]:
    """All but the curve, which only judging reads: it stays in estimates.parquet."""
    return {field.name: getattr(estimate, field.name) for field in fields(estimate) if field.name != "curve"}


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "policy": verdict.policy,
        "policy_digest": verdict.policy_digest,
        "decision": verdict.decision,
        "counts": {str(decision): verdict.count(decision) for decision in Decision},
        "findings": [_finding(finding) for finding in verdict.findings],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    evidence = [{"metric": e.metric, "generator": e.generator, "slice": e.slice} for e in finding.evidence]
    return {
        "rule": finding.rule,
        "decision": finding.decision,
        "message": finding.message,
        "limit": finding.limit,
        "waiver": finding.waiver,
        "evidence": evidence,
    }


def _comparison(comparison: Comparison) -> dict[str, Any]:
    """The table as references to estimates: metric, generator and slice name the number, ``shown`` is how it reads."""
    return {
        "generators": comparison.generators,
        "pictures": [_column(column) for column in comparison.columns],
        "measures": [_measure(row) for row in comparison.rows],
        "without_number": [{"measure": title, "why": why} for title, why in comparison.without],
    }


def _column(column: Column) -> dict[str, Any]:
    answers = [{"generator": s.generator, "request": s.request_id, "outcome": s.outcome} for s in column.samples]
    return {"probe": column.probe, "text": column.text, "answers": answers}


def _measure(row: Row) -> dict[str, Any]:
    return {
        "metric": row.metric,
        "title": row.title,
        "slice": row.slice,
        "unit": row.unit,
        "direction": row.direction,
        "picked_of": row.slices,
        "cells": [_cell(cell) for cell in row.cells],
    }


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        "generator": cell.generator,
        "slice": cell.estimate.slice if cell.estimate else None,
        "value": cell.estimate.value if cell.estimate else None,
        "low": cell.estimate.low if cell.estimate else None,
        "high": cell.estimate.high if cell.estimate else None,
        "n": cell.estimate.n if cell.estimate else 0,
        "shown": f"{cell.value} {cell.interval}".strip(),
        "decision": cell.decision,
        "judged": {str(decision): n for decision, n in cell.tally},
        "ahead": cell.ahead,
        "rank": list(cell.rank) if cell.rank else None,
    }


def _plain(value: Any) -> Any:
    """Only JSON types; numbers that are none become null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner) for inner in (sorted(value) if isinstance(value, set | frozenset) else value)]
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, str):  # a lone surrogate does not go into UTF-8
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, bool | int | None):
        return value
    number = float(value)
    return float(f"{number:.{_DIGITS}g}") if math.isfinite(number) else None
