# SPDX-License-Identifier: Apache-2.0
"""The summary for pull requests and job pages: verdict first, tables with intervals, the rest folded away."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from audit.render import _content
from audit.render._comparison import RANKS
from audit.render.comparison import AHEAD, Cell, Comparison, Row, compare
from audit.render.format import clean, count, summary_table
from audit.render.repeats import repeats
from audit.render.report import Report
from audit.render.stopping import ANYTIME, stopping_words
from audit.render.survival import section as survival_section
from audit.render.sweeps import sweeps

__all__ = ["LIMIT", "RENDERER", "MarkdownRenderer", "escape"]

LIMIT = 60_000  # bytes; a comment holds 65,536 characters
_WORDINGS = "quality.robustness"
_SPECIAL = re.compile(r"([\\`*_\[\]#|~$])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def escape(text: object) -> str:
    """``text`` as inert Markdown: no markup, no links, no mentions, no table breaks."""
    inert = "".join(_ENTITIES.get(c, c) for c in clean(text))
    inert = _SPECIAL.sub(r"\\\1", inert)
    # a zero-width space keeps hosts from turning names, numbers and addresses into links
    return (
        inert.replace("@", "@\u200b")
        .replace("://", ":\u200b//")
        .replace("\\#", "\\#\u200b")
        .replace("www.", "www\u200b.")
    )


@dataclass(frozen=True, slots=True)
class MarkdownRenderer:
    """One Markdown document below LIMIT bytes."""

    name: str = "md"
    suffix: str = ".md"

    def render(self, report: Report, /) -> bytes:
        """The document as UTF-8."""
        parts = list(_parts(report))
        kept: list[str] = []
        for part in parts:
            if len("\n\n".join([*kept, part]).encode()) > LIMIT - 200:
                kept.append("*Shortened: the rest is in the HTML report and in results.json.*")
                break
            kept.append(part)
        return ("\n\n".join(kept) + "\n").encode()


RENDERER = MarkdownRenderer()


def _parts(report: Report) -> Iterator[str]:
    head = _content.headline(report)
    name = clean(report.manifest.get("name", "audit"))
    marker = re.sub(r"[^A-Za-z0-9._-]", "-", name)  # the marker by which a bot finds its own comment again
    yield f"<!-- genaudit:{marker} -->\n## {escape(name)}: {head.word}"
    yield escape(head.why)
    if head.counts:
        yield _table(("Decision", "Findings"), ((word, str(n)) for _, word, n in head.counts), right=(1,))
    if stopped := stopping_words(report.manifest):
        yield f"> **Stopped early.** Asked was {escape(stopped)}. {escape(ANYTIME)}"
    for line in repeats(report.estimates):
        yield f"> **Pictures repeat.** {escape(line)}."
    comparison = compare(report)
    if comparison is not None:
        yield from _comparison(comparison)
    yield from _findings(report)
    yield from _numbers(report, folded=comparison is not None)
    yield from _by_parameter(report)
    yield from _in_other_words(report)
    yield from _survival(report)
    yield _generators(report)
    yield "### Limits, and what was not tested\n\n" + "\n".join(f"- {escape(line)}" for line in _content.limits(report))
    facts = _content.reproduction(report)["facts"]
    rows = [(key, escape(value)) for key, value in facts.items() if value]
    yield _details("How this was made", _table(("What", "Value"), rows))


def _comparison(comparison: Comparison) -> Iterator[str]:
    head = ("Measure", *map(escape, comparison.generators))
    rows = []
    for row in comparison.rows:
        said = f"{_measured(row)} ({escape(row.unit)}; {row.better})"
        rows.append((said, *map(_cell, row.cells)))
    table = _table(head, rows) if rows else "No measure has a number."
    yield f"### Comparison\n\n{table}"
    if comparison.ordered:
        places = [(_measured(row), *(cell.place or "–" for cell in row.cells)) for row in comparison.ordered]
        body = f"{_table(head, places)}\n\n{escape(RANKS)}"
        yield _details("Places by measure", body)
    notes = [*comparison.notes, "Pictures of the same prompts and seeds stand side by side in the HTML report."]
    if comparison.without:
        lost = "; ".join(f"{titles} ({why})" for titles, why in comparison.lacking)
        notes.append(f"Without a number for any generator: {lost}.")
    yield "\n".join(f"- {escape(note)}" for note in notes)


def _measured(row: Row) -> str:
    return f"**{escape(row.title)}**" + (f", {escape(row.detail)}" if row.detail else "")


def _cell(cell: Cell) -> str:
    """Value, interval, n and judgement of one generator on one line."""
    if not cell.measured:
        return " ".join(filter(None, (escape(cell.value), f"**{cell.word}**" if cell.word else "")))
    value = f"{escape(cell.value)}{f' {AHEAD}' if cell.ahead else ''} {escape(cell.interval)}"
    parts = (f"{escape(cell.slice)}: {value}" if cell.slice else value, f"n={cell.n}")
    word = f" **{cell.word}**" if cell.word else ""
    return ", ".join(parts) + word + (f" ({cell.judged})" if cell.judged else "")


def _findings(report: Report) -> Iterator[str]:
    lines = _content.finding_lines(report)
    open_ = [f for f in lines if f.key != "pass"]
    passed = [f for f in lines if f.key == "pass"]
    if open_:
        shown, rest = open_[:25], open_[25:]
        yield "### Findings\n\n" + _list(shown)
        if rest:
            yield _details(f"{len(rest)} more findings that did not pass", _list(rest))
    if passed:
        yield _details(f"{len(passed)} findings pass", _list(passed[:60]))


def _list(lines: Iterable[_content.FindingLine]) -> str:
    return "\n".join(_item(line) for line in lines)


def _item(line: _content.FindingLine) -> str:
    waiver = f" (waiver: {escape(line.waiver)})" if line.waiver else ""
    return f"- **{line.word}** {escape(line.message)}{waiver}"


def _numbers(report: Report, *, folded: bool) -> Iterator[str]:
    rows = summary_table(report.estimates, None, titles=report.titles)
    whole = [(escape(r.title), escape(r.generator), escape(r.slice), escape(r.value), r.n) for r in rows]
    if whole:
        level = _content.reproduction(report)["facts"]["Interval level"]
        table = _table(("Metric", "Generator", "Slice", "Value [interval]", "n"), whole[:80], right=(3, 4))
        said = f"Whole probe sets, with {level} intervals."
        body = f"{said}\n\n{table}"
        yield _details("Key numbers, one a line", body) if folded else f"### Key numbers\n\n{body}"


def _by_parameter(report: Report) -> Iterator[str]:
    for sweep in sweeps(report):
        head = ("Measure", *(escape(f"{sweep.parameter} {value}") for value in sweep.values))
        rows = ([escape(cell) for cell in row] for row in sweep.rows)
        yield _details(escape(sweep.title), _table(head, rows, right=range(1, len(head))))


def _in_other_words(report: Report) -> Iterator[str]:
    """Changes under another wording; whole probe sets have none, so that they stand in no other table here."""
    probe = _content.several_probes(report)
    found = [_content.estimate_row(report, e, probe=probe) for e in report.of(_WORDINGS) if e.value is not None]
    rows = [(escape(r["generator"]), escape(r["slice"]), escape(r["value"]), r["n"]) for r in found]
    if rows:
        head = ("Generator", "Measure, wording", "Change [interval]", "n")
        yield _details("Change under another wording, at equal seeds", _table(head, rows, right=(2, 3)))


def _survival(report: Report) -> Iterator[str]:
    if report.survival:
        said = survival_section(report.survival)
        rows = ((escape(line.edit), *map(escape, line.cells)) for line in said.lines)
        table = _table(("Edit", *map(escape, said.layers)), rows)
        yield _details("What survives", "\n\n".join(filter(None, (escape(said.lead), table, escape(said.cost)))))


def _generators(report: Report) -> str:
    rows = [
        (escape(g["name"]), escape(g["model"]), escape(g["digest"]), count(o["image"]), count(o["total"] - o["image"]))
        for g, o in zip(_content.generator_rows(report), _content.outcome_rows(report), strict=False)
    ]
    table = _table(("Generator", "Model", "Weights", "Images", "Without image"), rows, right=(3, 4))
    return f"### Generators\n\n{table}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    rule = ["---:" if index in right else "---" for index in range(len(head))]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *rows))


def _details(summary: str, body: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{body}\n\n</details>"
