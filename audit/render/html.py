# SPDX-License-Identifier: Apache-2.0
"""The report as one self-contained page: no network, readable without script, everything untrusted escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from audit.paths import data_root
from audit.render import _content, _figures
from audit.render._comparison import RANKS
from audit.render.comparison import AHEAD, Comparison, compare
from audit.render.format import clean, count, group_words, metric_title, n_text, percent, shorten, value_text
from audit.render.repeats import repeats
from audit.render.report import Report, Sample
from audit.render.stopping import ANYTIME, stopping_words
from audit.render.survival import section as survival_section
from audit.render.sweeps import sweep_figure, sweeps
from audit.render.theme import DECISION_COLOURS, GENERATOR_COLOURS, PALETTE
from audit.types import Estimate, Outcome, family_of

__all__ = ["RENDERER", "HtmlRenderer"]

_PICTURES = frozenset({"image/webp", "image/png", "image/jpeg"})  # never svg: it may hold script
_APPENDIX = 3000
_GOOD = frozenset({"quality", "style", "text", "torchmetrics"})
_WHOLE = frozenset({"probe", "features"})
_REASON = 80  # characters of a refusal under its tile; the whole of it stands with the outcomes
_OPEN = 10  # findings in sight besides the failing ones, which always are
_STATES = {
    "trusted": "valid, signed by a trusted chain, time vouched for",
    "no_timestamp": "valid, signed by a trusted chain, no trusted time stamp",
    "remote_only": "only a pointer to credentials elsewhere",
    "absent": "no credentials",
    "invalid": "credentials do not verify",
    "unreadable": "cannot be read",
    "bad_ingredient": "valid, but an ingredient does not verify",
    "undetermined": "not checked",
}


@dataclass(frozen=True, slots=True)
class HtmlRenderer:
    """One page, from the templates in ``reports/templates``."""

    name: str = "html"
    suffix: str = ".html"

    def render(self, report: Report, /) -> bytes:
        """The page as UTF-8."""
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
        from markupsafe import Markup

        folder = data_root() / "reports" / "templates"
        environment = Environment(
            loader=FileSystemLoader(folder),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        script = (folder / "report.js").read_text(encoding="utf-8").strip()
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        page = environment.get_template("report.html.j2").render(
            **_context(report),
            css=Markup((folder / "report.css").read_text(encoding="utf-8")),  # noqa: S704 - our own file
            script=Markup(script),  # noqa: S704 - our own file
            script_hash=f"sha256-{digest}",
            svg=lambda figure: Markup(figure.svg),  # noqa: S704 - checked element by element in charts.py
        )
        return page.encode()


RENDERER = HtmlRenderer()


def _context(report: Report) -> dict[str, Any]:
    manifest = report.manifest
    figures = list(_figures.representation_figures(report))
    tone = [figure for figure in figures if figure.attribute.startswith("tone")]
    findings = _content.finding_lines(report)
    return {
        "title": clean(manifest.get("name", "audit")),
        "finished": clean(manifest.get("finished", "")),
        "tool": _content.reproduction(report)["facts"]["Tool"],
        "headline": _content.headline(report),
        "policy": clean(report.verdict.policy) if report.verdict else "",
        "policy_digest": _content.short(report.verdict.policy_digest) if report.verdict else "",
        "totals": _totals(report),
        "comparison": compare(report),
        "side_by_side": _side_by_side(report, compare(report)),
        "ahead": AHEAD,
        "ranks": RANKS,
        "generators": _coloured(report, _content.generator_rows(report)),
        "probes": _content.probe_rows(report),
        "instruments": _content.instrument_rows(report),
        "open_findings": [f for f in findings if f.key != "pass"],
        "shown": max(_OPEN, sum(f.key == "fail" for f in findings)),
        "passed": [f for f in findings if f.key == "pass"],
        "doubts": _content.doubts(report),
        "repeats": repeats(report.estimates),
        "stopped": f"Asked was {stopped}. {ANYTIME}" if (stopped := stopping_words(report.manifest)) else "",
        "distinct": _rows(report, "outcomes.distinct", overall=True),
        "bias": [figure for figure in figures if figure not in tone],
        "tone": tone,
        "distance": _rows(report, "bias.total_variation"),
        "clip": list(_figures.clip_figures(report)),
        "frechet": list(_figures.frechet_figures(report)),
        "quality": _of_families(report, _GOOD),
        "wordings": _rows(report, "quality.robustness"),
        "sweeps": [(sweep, sweep_figure(sweep)) for sweep in sweeps(report)],
        "likeness": _figures.likeness_figure(report),
        "likeness_rows": [r for r in _rows(report, "likeness.match_rate") if "enrolled reference" not in r["slice"]],
        "calibration": _calibration(report),
        "references": _reference_rows(report),
        "matches": [_picture(s) for s in report.samples if s.kind == "match" and s.thumb],
        "provenance": _rows(report, "provenance.verified_share"),
        "states": _states(report),
        "survival": survival_section(report.survival) if report.survival else None,
        "outcomes": _coloured(report, _content.outcome_rows(report)),
        "cost": _of_families(report, {"cost"}),
        "without_image": _lost(report),
        "contact": list(_contact(report)),
        "telling": list(_pulls(report)),
        "limits": _content.limits(report),
        "reproduction": _content.reproduction(report),
        "appendix": _appendix(report),
        "appendix_left": max(0, len(report.estimates) - _APPENDIX),
        "missing": [str(outcome) for outcome in Outcome if outcome is not Outcome.IMAGE],
        "palette": PALETTE,
        "decision_colours": DECISION_COLOURS,
        "sensitive": any(s.sensitive and s.thumb for s in report.samples),
        "percent": percent,
        "words": group_words,
        "count": count,
    }


def _totals(report: Report) -> dict[str, str]:
    rows = _content.outcome_rows(report)
    return {
        "generators": count(len(report.generators)),
        "probe sets": count(len(report.manifest.get("probes", ()))),
        "requests": count(sum(row["total"] for row in rows)),
        "images": count(sum(row["image"] for row in rows)),
        "numbers": count(len(report.estimates)),
    }


def _colour(report: Report, generator: str) -> str:
    place = report.generators.index(generator) if generator in report.generators else 0
    return GENERATOR_COLOURS[place % len(GENERATOR_COLOURS)]


def _coloured(report: Report, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    place = {clean(name): _colour(report, name) for name in report.generators}
    return [{**row, "colour": place.get(row["name"], PALETTE["muted"])} for row in rows]


def _rows(report: Report, metric: str, *, overall: bool = False) -> list[dict[str, str]]:
    """Table rows of one metric; with ``overall`` only those of whole probe sets."""
    probe = _content.several_probes(report)
    kept = [e for e in report.of(metric) if not overall or set(e.slice) <= _WHOLE]
    return [{**_content.estimate_row(report, e, probe=probe), "colour": _colour(report, e.generator)} for e in kept]


def _of_families(report: Report, families: Collection[str]) -> list[dict[str, str]]:
    """Rows of all metrics of some families, of whole probe sets."""
    found = dict.fromkeys(e.metric for e in report.estimates if family_of(e.metric) in families)
    return [row for metric in sorted(found) for row in _rows(report, metric, overall=True)]


# -- comparison ------------------------------------------------------------------------------------------------


def _side_by_side(report: Report, comparison: Comparison | None) -> list[dict[str, Any]]:
    """One line of pictures a generator, under the prompts of the comparison."""
    if comparison is None:
        return []
    columns = [[_tile(sample) for sample in column.samples] for column in comparison.columns]
    lines = zip(*columns, strict=True) if columns else [()] * len(comparison.generators)
    return [
        {"name": clean(name), "colour": _colour(report, name), "pictures": line}
        for name, line in zip(comparison.generators, lines, strict=True)
    ]


def _tile(sample: Sample) -> dict[str, Any]:
    """A picture, or the word and the reason that stand in its place."""
    lost = sample.outcome is not Outcome.IMAGE
    word = group_words(sample.outcome).upper() if lost else "picture not kept"
    return {**_picture(sample), "word": word, "key": str(sample.outcome), "note": shorten(sample.note, _REASON)}


# -- likeness and provenance -----------------------------------------------------------------------------------


def _calibration(report: Report) -> dict[str, str]:
    """The threshold with its measured false alarm rate, from the manifest."""
    found = report.manifest.get("references", {}).get("likeness") or {}
    if "threshold" not in found:
        return {}
    rate = f"{percent(found.get('fpir_low'), 2)} to {percent(found.get('fpir_high'), 2)}"
    return {
        "threshold": f"{found['threshold']:.3f}",
        "target": percent(found.get("fpir_target"), 1),
        "rate": rate,
        "searches": count(found.get("searches", 0)),
        "false_alarms": count(found.get("false_alarms", 0)),
        "enrolled": clean(found.get("gallery_size", len(found.get("reference_ids", ())))),
    }


def _reference_rows(report: Report) -> list[dict[str, Any]]:
    """Enrolled references that were matched at least once, most matched first."""
    found = [e for e in report.of("likeness.match_rate") if e.value and "reference" in e.slice]
    found.sort(key=lambda e: (-(e.value or 0.0), e.generator, e.slice["reference"]))
    return [
        {
            "name": clean(e.generator),
            "colour": _colour(report, e.generator),
            "reference": clean(e.slice["reference"]),
            "matches": clean(e.extra.get("matches", "")),
            "value": value_text(e),
            "n": n_text(e),
        }
        for e in found
    ]


def _states(report: Report) -> list[dict[str, Any]]:
    """How many images are in which state of their credentials."""
    provenance = report.manifest.get("config", {}).get("provenance") or {}
    own = "a development chain" if provenance.get("stamp") and not provenance.get("keys") else "a chain"
    words = {**_STATES, "valid_untrusted": f"valid, signed by {own}, not trusted"}
    rows = []
    for estimate in report.of("provenance.verified_share"):
        counts = {k.removeprefix("state."): v for k, v in sorted(estimate.extra.items()) if k.startswith("state.")}
        for state, times in counts.items():
            share = percent(int(times or 0) / estimate.n if estimate.n else None, 1)
            said = words.get(state, group_words(state))
            name = clean(estimate.generator)
            rows.append(
                {"name": name, "colour": _colour(report, estimate.generator), "state": said, "n": times, "share": share}
            )
    return rows


# -- pictures --------------------------------------------------------------------------------------------------


def _picture(sample: Sample) -> dict[str, Any]:
    """A thumbnail as data URI with its alternative text; nothing for media types that could carry script."""
    safe = sample.thumb is not None and sample.media_type in _PICTURES
    uri = f"data:{sample.media_type};base64,{base64.b64encode(sample.thumb).decode()}" if safe and sample.thumb else ""
    said = "; ".join(f"{clean(what)}: {clean(answer)}" for what, answer in sample.labels)
    return {
        "uri": uri,
        "alt": f"{clean(sample.generator)} for “{clean(sample.text)}”" + (f"; {said}" if said else ""),
        "caption": ", ".join(clean(answer) for _, answer in sample.labels if answer != sample.row),
        "text": clean(sample.text),
        "generator": clean(sample.generator),
        "note": clean(sample.note),
        "id": clean(sample.request_id)[:12],
        "sensitive": sample.sensitive,
    }


def _lost(report: Report) -> list[dict[str, str]]:
    """Examples of requests that gave no image."""
    return [
        {"generator": clean(s.generator), "outcome": str(s.outcome), "text": clean(s.text), "note": clean(s.note)}
        for s in report.samples
        if s.kind == "outcome"
    ]


def _contact(report: Report) -> Iterator[dict[str, Any]]:
    """For each probe set and row heading, one line of pictures a generator."""
    titles = {p["name"]: clean(p.get("title") or p["name"]) for p in report.manifest.get("probes", ())}
    shown = [s for s in report.samples if s.kind == "row" and s.thumb]
    for probe in dict.fromkeys(s.probe for s in shown):
        rows: dict[str, dict[str, list[dict[str, Any]]]] = {}
        for sample in shown:
            if sample.probe == probe:
                rows.setdefault(clean(sample.row), {}).setdefault(sample.generator, []).append(_picture(sample))
        lines = [
            {
                "heading": heading,
                "cells": [
                    {"name": clean(name), "colour": _colour(report, name), "pictures": by_name[name]}
                    for name in report.generators
                    if name in by_name
                ],
            }
            for heading, by_name in rows.items()
        ]
        yield {"title": titles.get(probe, clean(probe)), "rows": lines}


def _pulls(report: Report) -> Iterator[dict[str, Any]]:
    """For each measure the images that pull it most, one pair of lines a generator."""
    shown = [s for s in report.samples if s.kind in ("worst", "best") and s.thumb]
    for measure in dict.fromkeys(s.row for s in shown):
        mine = [s for s in shown if s.row == measure]
        lines = [
            {
                "name": clean(name),
                "colour": _colour(report, name),
                "worst": [_picture(s) for s in mine if (s.generator, s.kind) == (name, "worst")],
                "best": [_picture(s) for s in mine if (s.generator, s.kind) == (name, "best")],
            }
            for name in report.generators
            if any(s.generator == name for s in mine)
        ]
        yield {"measure": clean(measure), "lines": lines}


def _appendix(report: Report) -> list[dict[str, str]]:
    probe = _content.several_probes(report)

    def order(estimate: Estimate) -> tuple[str, str]:
        return metric_title(estimate.metric, report.titles), estimate.generator

    kept = sorted(report.estimates, key=order)[:_APPENDIX]
    return [_content.estimate_row(report, estimate, probe=probe) for estimate in kept]
