# SPDX-License-Identifier: Apache-2.0
"""Progress bars on standard error, findings on standard output."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from audit.policy.missing import COULD_CHANGE
from audit.render._content import outcome_rows
from audit.render.comparison import AHEAD, Cell, Comparison, compare
from audit.render.format import clean, decision_words, summary_table
from audit.render.repeats import repeats
from audit.render.report import Report
from audit.render.stopping import stopping_words
from audit.types import Decision, Outcome

if TYPE_CHECKING:
    from audit.pipeline import Outcomes

__all__ = ["progress", "show"]

_STYLES = {"PASS": "green", "FAIL": "bold red", "INCONCLUSIVE": "yellow", "NOT RUN": "yellow", "WAIVED": "cyan"}


_MEASURE, _NUMBER = 40, 27  # widths of the columns side by side
_BETTER = 12
_MOST_UNDECIDED = 8  # beyond that they drown what was found


@contextmanager
def progress(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A function (what, done, total) that draws one bar per ``what``; draws nothing when quiet."""
    if quiet:
        yield lambda _what, _done, _total: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, int] = {}

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)  # type: ignore[arg-type]

        yield report


def show(outcome: Outcomes) -> None:
    """The table of findings, generators side by side, the verdict, and where to read on."""
    console = Console()
    if not console.is_terminal:  # in a log or a pipe there is no width to keep to
        console = Console(width=150)
    comparison = compare(Report(outcome.run.manifest, outcome.estimates, outcome.verdict))
    findings = _table(outcome, judged_only=comparison is not None)
    if findings.row_count or comparison is None:
        console.print(findings)
    for table in _side_by_side(comparison, width=console.width) if comparison else ():
        console.print(table)
    for line in (*_stopped(outcome), *_repeated(outcome), *_missing(outcome)):
        console.print(line, soft_wrap=True)
    console.print(_verdict(outcome))
    for path in outcome.reports:
        console.print(Text(f"report     {path}"), soft_wrap=True)
    console.print(Text(f"dashboard  genaudit dashboard {outcome.run.path}"), soft_wrap=True)


def _table(outcome: Outcomes, *, judged_only: bool) -> Table:
    """Findings, and the numbers of whole probe sets where these do not stand side by side below."""
    table = Table(title=f"{outcome.run.manifest['name']}: findings", title_justify="left")
    for name, justify in (
        ("measure", "left"),
        ("generator", "left"),
        ("of what", "left"),
        ("value [interval]", "left"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    table.add_column("n", justify="right")
    table.add_column("judged")
    titles = {spec["id"]: spec["title"] for spec in outcome.run.manifest["metrics"]}
    rows = summary_table(outcome.estimates, outcome.verdict, titles=titles)
    undecided = [row for row in rows if row.decision == "INCONCLUSIVE"]
    hidden = undecided if len(undecided) > _MOST_UNDECIDED else []
    for row in (row for row in rows if row not in hidden and (row.decision or not judged_only)):
        cells = [Text(cell) for cell in (row.title, row.generator, row.slice, row.value, row.n)]
        table.add_row(*cells, Text(row.decision, style=_STYLES.get(row.decision, "")))
    if hidden:
        table.caption = f"and {len(hidden)} that these images do not decide; all of them are in the report"
    return table


def _side_by_side(comparison: Comparison, *, width: int) -> Iterator[Table]:
    """The comparison, as many generators a table as the width holds."""
    names = comparison.generators
    each = max(1, (width - _MEASURE - _BETTER) // _NUMBER)
    for start in range(0, len(names), each):
        end = start + each
        table = Table(title="generators side by side", title_justify="left")
        table.add_column("measure", max_width=_MEASURE)
        table.add_column("better")
        for name in names[start:end]:
            table.add_column(Text(clean(name)))
        for row in comparison.rows:
            title = Text(row.title).append(f"\n{row.detail}" if row.detail else "", style="dim")
            better = "–" if row.direction == "none" else row.direction
            table.add_row(title, Text(better, style="dim"), *map(_number, row.cells[start:end]))
        if end >= len(names):
            table.caption, table.caption_justify = "\n".join(comparison.notes), "left"
        yield table


def _number(cell: Cell) -> Text:
    """Value with interval, n and judgement of one generator."""
    if not cell.measured:
        return Text(cell.value, style="dim")
    text = Text(cell.value)
    text.append(f" {AHEAD}" if cell.ahead else "", style="green").append(f" {cell.interval}")
    text.append(f"\n{cell.slice}, n={cell.n}" if cell.slice else f"\nn={cell.n}", style="dim")
    return text.append(f" {cell.word}" if cell.word else "", style=_STYLES.get(cell.word, ""))


def _stopped(outcome: Outcomes) -> Iterator[Text]:
    """How many images stopping early saved."""
    if line := stopping_words(outcome.run.manifest):
        yield Text(f"stopped    {line}")


def _repeated(outcome: Outcomes) -> Iterator[Text]:
    """Says where pictures come back under another seed."""
    return (Text(f"repeated   {line}", style="yellow") for line in repeats(outcome.estimates))


def _missing(outcome: Outcomes) -> Iterator[Text]:
    """For each generator how many requests gave no image, and how many findings that leaves open."""
    findings = outcome.verdict.findings if outcome.verdict else ()
    open_ = [{clean(e.generator) for e in f.evidence} for f in findings if COULD_CHANGE in f.message]
    for row in outcome_rows(Report(outcome.run.manifest, outcome.estimates, outcome.verdict)):
        kinds = {str(kind): row[kind] for kind in Outcome if kind is not Outcome.IMAGE and row[kind]}
        if not kinds:
            continue
        said = ", ".join(f"{n} {kind}" for kind, n in kinds.items())
        line = f"missing    {row['name']}: {sum(kinds.values())} of {row['total']} requests gave no image ({said})"
        mine = sum(row["name"] in names for names in open_)
        more = f"; that could change {mine} finding{'' if mine == 1 else 's'}" if mine else ""
        yield Text(line + more, style="yellow" if mine else "")


def _verdict(outcome: Outcomes) -> Text:
    verdict = outcome.verdict
    if verdict is None:
        return Text("verdict    none: the audit file names no policy")
    counts = ", ".join(f"{n} {decision_words(d)}" for d in Decision if (n := verdict.count(d)))
    word = decision_words(verdict.decision)
    line = Text("verdict    ").append(word, style=_STYLES[word])
    return line.append(f"  by policy {verdict.policy}: {counts}")
