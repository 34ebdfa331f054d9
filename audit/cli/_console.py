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

from audit.render.format import decision_words, summary_table
from audit.types import Decision

if TYPE_CHECKING:
    from audit.pipeline import Outcomes

__all__ = ["progress", "show"]

_STYLES = {"PASS": "green", "FAIL": "bold red", "INCONCLUSIVE": "yellow", "NOT RUN": "yellow", "WAIVED": "cyan"}


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
    """The table of findings, the verdict, and where to read on."""
    console = Console()
    if not console.is_terminal:  # in a log or a pipe there is no width to keep to
        console = Console(width=150)
    console.print(_table(outcome))
    console.print(_verdict(outcome))
    for path in outcome.reports:
        console.print(Text(f"report     {path}"), soft_wrap=True)
    console.print(Text(f"dashboard  genaudit dashboard {outcome.run.path}"), soft_wrap=True)


def _table(outcome: Outcomes) -> Table:
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
    for row in (row for row in rows if row not in hidden):
        cells = [Text(cell) for cell in (row.title, row.generator, row.slice, row.value, row.n)]
        table.add_row(*cells, Text(row.decision, style=_STYLES.get(row.decision, "")))
    if hidden:
        table.caption = f"and {len(hidden)} that these images do not decide; all of them are in the report"
    return table


def _verdict(outcome: Outcomes) -> Text:
    verdict = outcome.verdict
    if verdict is None:
        return Text("verdict    none: the audit file names no policy")
    counts = ", ".join(f"{n} {decision_words(d)}" for d in Decision if (n := verdict.count(d)))
    word = decision_words(verdict.decision)
    line = Text("verdict    ").append(word, style=_STYLES[word])
    return line.append(f"  by policy {verdict.policy}: {counts}")
