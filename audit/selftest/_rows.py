# SPDX-License-Identifier: Apache-2.0
"""What is expected where, what was seen, and what follows: pure functions of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

__all__ = ["Cell", "Part", "Role", "Row", "Seen", "State", "Verdict", "judge_cell", "judge_row"]

Role = Literal["exact", "trained", "control"]


class State(StrEnum):
    """What became of a row in one world."""

    FOUND = "found"
    CLEAN = "clean"
    SHOWN = "shown, not judged"
    NOT_ASKED = "not asked"
    NOT_FOUND = "not found"
    MISSED = "interval misses the truth"
    FALSE = "finds what is not there"
    FLAGGED = "flagged without cause"
    NO_NUMBER = "no number"
    NOT_BUILT = "not built"

    @property
    def good(self) -> bool:
        """Whether a row may pass with it."""
        return self in (State.FOUND, State.CLEAN, State.SHOWN, State.NOT_ASKED)


@dataclass(frozen=True, slots=True)
class Part:
    """One number that is expected.

    Attributes:
        label: what it is of.
        slice: of the estimate that measures it.
        truth: its true value where everything is planted, None where only "planted or not" is known.
        null: its value where nothing is planted.
        planted: whether it differs from ``null`` where everything is planted.
        margin: how far from ``truth`` and ``null`` the measure itself may lie, beyond its interval.
    """

    label: str
    slice: Mapping[str, str]
    truth: float | None
    null: float
    planted: bool = True
    margin: float = 0.0


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        plant: id of the planted fact, ``audit/reference/plants/<plant>.json``.
        what: is measured, in words.
        group: of runs that it is read from.
        metric: id of the metric.
        parts: the numbers that it stands for.
        field: "value", or "share" for the share behind a representation gap.
        trained: bundled model that learned the plant.
        clean: bundled model that never saw it, a second control; None where there is none.
        strict: whether a trained model must not show what is not planted. It is the model's own fault if it does, so
            only rows that are about telling planted from not planted ask for it.
    """

    plant: str
    what: str
    group: str
    metric: str
    parts: tuple[Part, ...]
    field: Literal["value", "share"] = "value"
    trained: str = ""
    clean: str | None = None
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """One number that was measured, or why there is none.

    Attributes:
        value, low, high: the number with its interval.
        n: images behind it.
        why: reason, when there is no number.
        lacking: whether the reason is that a part of the tool is missing, rather than too few images.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    why: str | None = None
    lacking: bool = False

    def beyond(self, value: float, margin: float) -> bool:
        """Whether the interval lies wholly beyond ``value`` and its margin."""
        return (
            self.low is not None and self.high is not None and (self.low > value + margin or self.high < value - margin)
        )


@dataclass(frozen=True, slots=True)
class Cell:
    """A row in one world: what was seen there, by label, and what follows from it.

    Attributes:
        role: of the world.
        model: that drew the pictures.
        state: what follows.
        seen: numbers by label.
        found, false, missed: labels that were found, found without cause, and whose interval misses the truth.
        why: reason of NOT_BUILT, NO_NUMBER and NOT_ASKED.
    """

    role: Role
    model: str
    state: State
    seen: Mapping[str, Seen] = field(default_factory=dict)
    found: tuple[str, ...] = ()
    false: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A row with its cells."""

    row: Row
    cells: tuple[Cell, ...]

    @property
    def passed(self) -> bool:
        """Whether the plant was found wherever it is and nowhere else; a missing cell never passes."""
        return {"exact"} <= {cell.role for cell in self.cells} and all(cell.state.good for cell in self.cells)

    @property
    def words(self) -> str:
        """The first thing that is wrong, or what was found."""
        wrong = [cell for cell in self.cells if not cell.state.good]
        if wrong:
            return "; ".join(f"{cell.model}: {cell.state}" for cell in wrong)
        found = "found" if any(part.planted for part in self.row.parts) else "clean, as it should be"
        asked = any(cell.role == "control" and cell.state is State.CLEAN for cell in self.cells)
        return f"{found}, control clean" if asked else found


def judge_cell(row: Row, role: Role, model: str, seen: Mapping[str, Seen]) -> Cell:
    """What follows from the numbers of one world.

    In the exact world a planted part is found if its interval excludes the null value; a part that is not planted must
    not be, and every interval must cover the truth. A trained model shows what it learned, which need not be what it
    was taught: there planted parts must be found, and coverage of the truth is told, not judged. In a control nothing
    may be found.

    Args:
        row: what is expected.
        role: of the world.
        model: that drew the pictures.
        seen: numbers by label of the part.
    """
    lacking = next(
        (
            seen.get(part.label, Seen(why="no such estimate", lacking=True))
            for part in row.parts
            if not _number(seen, part)
        ),
        None,
    )
    if lacking is not None:
        state = State.NOT_BUILT if lacking.lacking else State.NO_NUMBER
        return Cell(role, model, state, seen, why=lacking.why)
    beyond = {part.label for part in row.parts if seen[part.label].beyond(part.null, part.margin)}
    if role == "control":
        flagged = tuple(part.label for part in row.parts if part.label in beyond)
        return Cell(role, model, State.FLAGGED if flagged else State.CLEAN, seen, false=flagged)
    found = tuple(part.label for part in row.parts if part.planted and part.label in beyond)
    false = tuple(part.label for part in row.parts if not part.planted and part.label in beyond)
    missed = tuple(
        part.label for part in row.parts if part.truth is not None and seen[part.label].beyond(part.truth, part.margin)
    )
    return Cell(role, model, _state(row, role, found, false, missed), seen, found, false, missed)


def _state(row: Row, role: Role, found: Sequence[str], false: Sequence[str], missed: Sequence[str]) -> State:
    planted = sum(part.planted for part in row.parts)
    judged = role == "exact"
    if len(found) < planted:
        return State.NOT_FOUND
    if false and (judged or row.strict):
        return State.FALSE
    if missed and judged:
        return State.MISSED
    if planted:
        return State.FOUND
    return State.CLEAN if judged else State.SHOWN


def _number(seen: Mapping[str, Seen], part: Part) -> bool:
    return part.label in seen and seen[part.label].low is not None and seen[part.label].high is not None


def judge_row(row: Row, cells: Sequence[Cell]) -> Verdict:
    """The row with its cells, exact world first."""
    order = ("exact", "trained", "control")
    return Verdict(row, tuple(sorted(cells, key=lambda cell: order.index(cell.role))))
