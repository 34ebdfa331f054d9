# SPDX-License-Identifier: Apache-2.0
"""The table of the self-test on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from audit.selftest import LIMITS, State

if TYPE_CHECKING:
    from audit.selftest import Cell, Result, Row, Seen, Verdict

__all__ = ["show"]

_GOOD, _BAD = "green", "bold red"
_ROLES = {"exact": "exact world", "trained": "trained model", "control": "control"}


def show(result: Result) -> None:
    """Table, checks of the instruments, what they cannot see, and the last word."""
    console = Console()
    if not console.is_terminal:  # in a log or a pipe there is no width to keep to
        console = Console(width=190)
    console.print(_table(result))
    console.print(Text("\nThe instruments by themselves", style="bold"))
    for check in result.checks:
        mark = Text("ok   ", style=_GOOD) if check.ok else Text("BAD  ", style=_BAD)
        console.print(mark.append(f"{check.name}: {check.found}", style="default"))
    console.print(Text("\nWhat nothing above tests", style="bold"))
    for limit in LIMITS:
        console.print(Text(f"-    {limit}"))
    console.print(_last_word(result))
    console.print(Text(f"runs       {result.folder / 'runs'}"), soft_wrap=True)


def _table(result: Result) -> Table:
    title = f"Planted facts: what the audit finds; each interval at {result.level:.2%}, all together at 95 %"
    table = Table(title=title, title_justify="left", show_lines=True)
    asked = [role for role in _ROLES if _asked(result, role)]
    for name in ("plant", "truth", *(_ROLES[role] for role in asked), "verdict"):
        table.add_column(name)
    for verdict in result.verdicts:
        row, word = verdict.row, Text(verdict.words, style=_GOOD if verdict.passed else _BAD)
        columns = [_cells(row, verdict, role) for role in asked]
        table.add_row(Text(f"{row.plant}: {row.what}"), _truth(row), *columns, word)
    return table


def _asked(result: Result, role: str) -> bool:
    cells = [cell for verdict in result.verdicts for cell in verdict.cells if cell.role == role]
    return any(cell.state is not State.NOT_ASKED for cell in cells)


def _truth(row: Row) -> Text:
    if len(row.parts) > 3:
        planted = [part.label for part in row.parts if part.planted]
        return Text(f"{len(planted)} of {len(row.parts)}" if planted else f"{row.parts[0].truth:.2f} each")
    lines = [f"{part.label}: {'unknown, not 0' if part.truth is None else f'{part.truth:.3g}'}" for part in row.parts]
    return Text("\n".join(lines if len(lines) > 1 else [lines[0].rpartition(": ")[2]]))


def _cells(row: Row, verdict: Verdict, role: str) -> Text:
    mine = [cell for cell in verdict.cells if cell.role == role]
    return Text("\n").join([_cell(row, cell, named=role != "exact") for cell in mine])


def _cell(row: Row, cell: Cell, *, named: bool) -> Text:
    text = Text(f"{cell.model}: " if named else "")
    if cell.state in (State.NOT_ASKED, State.NOT_BUILT, State.NO_NUMBER):
        words = str(cell.state) + (f": {cell.why}" if cell.why else "")
        return text.append(words, style="" if cell.state is State.NOT_ASKED else _BAD)
    if len(row.parts) > 3:
        return text.append(_list(row, cell))
    lines = [f"{part.label} " * (len(row.parts) > 1) + _number(cell.seen[part.label]) for part in row.parts]
    if cell.role == "trained" and cell.missed:
        lines.append("learned otherwise than planted: the truth lies outside")
    return text.append("\n".join(lines))


def _list(row: Row, cell: Cell) -> str:
    """Many parts in words: which were found, and which should not have been."""
    lines = []
    if any(part.planted for part in row.parts):
        lines.append(f"{len(cell.found)} found: {', '.join(cell.found) or 'none'}" if cell.role != "control" else "")
        lines.append(f"false finds: {', '.join(cell.false) or 'none'}")
    else:
        span = [seen.value for seen in cell.seen.values() if seen.value is not None]
        lines.append(f"{min(span):.2f} to {max(span):.2f}; off: {', '.join(cell.false) or 'none'}")
    return "\n".join(line for line in lines if line)


def _number(seen: Seen) -> str:
    if seen.value is None or seen.low is None or seen.high is None:
        return "no number"
    digits = 1 if seen.value > 2 else 2 if seen.high - seen.low > 0.01 else 4
    return f"{seen.value:.{digits}f} [{seen.low:.{digits}f}, {seen.high:.{digits}f}] n={seen.n}"


def _last_word(result: Result) -> Text:
    held = sum(verdict.passed for verdict in result.verdicts), sum(check.ok for check in result.checks)
    words = (
        f"{held[0]} of {len(result.verdicts)} rows and {held[1]} of {len(result.checks)} checks hold "
        f"({result.seconds:.0f} s)"
    )
    line = Text("\nself-test  ").append("PASS" if result.passed else "FAIL", style=_GOOD if result.passed else _BAD)
    left = {cell.model for verdict in result.verdicts for cell in verdict.cells if cell.state is State.NOT_ASKED}
    return line.append(f"  {words}" + (f"; not asked: {', '.join(sorted(left))}" if left else ""), style="default")
