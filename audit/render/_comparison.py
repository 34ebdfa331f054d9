# SPDX-License-Identifier: Apache-2.0
"""Records of a comparison, and the words in which every format prints them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from audit.render.format import count, decision_words, group_words, n_text, value_parts, value_text
from audit.render.report import Sample
from audit.types import Decision, Estimate, family_of

__all__ = ["AHEAD", "LEGEND", "PICKED", "RANKS", "Cell", "Column", "Comparison", "Row"]

AHEAD = "◆"
LEGEND = (
    f"{AHEAD} marks a number that is on the better side of every other generator’s in its row for certain: by the "
    "interval of the difference over the same prompts and seeds where the run holds it, else by intervals that do not "
    "meet. Each row is marked by itself, without correction for the number of rows."
)
RANKS = (
    "Place 1 is the best. A range such as 1–3 says that the data leave open which of these places it is. Places come "
    "from the intervals of paired differences over the same prompts and seeds where the run holds them, else from "
    "intervals that do not meet; each row by itself."
)
PICKED = (
    "A cell that names a slice shows one out of many, the furthest; its interval does not allow for having been picked."
)
_BETTER = {"higher": "higher is better", "lower": "lower is better"}
_FAMILY_WORDS = {"text": "Written words"}


@dataclass(frozen=True, slots=True)
class Cell:
    """What one generator has in one row.

    Attributes:
        generator: its name.
        estimate: the number, or the one that says why there is none; None where the run holds neither.
        decision: gravest finding that rests on it, None where no rule reads it.
        slice: in words, where the row shows one slice out of many.
        tally: decisions on all slices that the row stands for, gravest first; empty in other rows.
        ahead: it is on the better side of every other generator in the row for certain.
        rank: the best and the worst place it may have among the generators with a number; None: the row has no order.
    """

    generator: str
    estimate: Estimate | None
    decision: Decision | None = None
    slice: str = ""
    tally: tuple[tuple[Decision, int], ...] = ()
    ahead: bool = False
    rank: tuple[int, int] | None = None

    @property
    def place(self) -> str:
        """The rank in words, e.g. "1" or "2–3"; empty without one."""
        if self.rank is None:
            return ""
        return str(self.rank[0]) if self.rank[0] == self.rank[1] else f"{self.rank[0]}–{self.rank[1]}"

    @property
    def measured(self) -> bool:
        """Whether there is a number."""
        return self.estimate is not None and self.estimate.value is not None

    @property
    def value(self) -> str:
        """The number without its interval; or why there is none."""
        if self.estimate is None:
            return "no number: not measured"
        return value_parts(self.estimate)[0] if self.measured else value_text(self.estimate)

    @property
    def interval(self) -> str:
        """The interval in brackets, empty where there is no number."""
        return value_parts(self.estimate)[1] or "(no interval)" if self.estimate is not None and self.measured else ""

    @property
    def n(self) -> str:
        """Images behind it, and what is missing."""
        return n_text(self.estimate) if self.estimate is not None and self.measured else ""

    @property
    def word(self) -> str:
        """The decision in words, empty where no rule reads the number."""
        return decision_words(self.decision) if self.decision else ""

    @property
    def judged(self) -> str:
        """The tally in words, e.g. "of 8 judged: 5 FAIL, 3 INCONCLUSIVE"."""
        parts = ", ".join(f"{n} {decision_words(decision)}" for decision, n in self.tally)
        return f"of {count(sum(n for _, n in self.tally))} judged: {parts}" if parts else ""


@dataclass(frozen=True, slots=True)
class Row:
    """One measure of all generators.

    Attributes:
        metric: its id. title: in words.
        slice: of every cell; for a row that shows one slice out of many what these have in common.
        detail: the slice in words, empty for everything. unit: in words. direction: "higher", "lower" or "none".
        slices: how many slices a cell was picked from, 0 where there was nothing to pick.
        cells: one a generator, in the order of the configuration.
    """

    metric: str
    title: str
    slice: Mapping[str, str]
    detail: str
    unit: str
    direction: str
    slices: int
    cells: tuple[Cell, ...]

    @property
    def measured(self) -> bool:
        """Whether any generator has a number."""
        return any(cell.measured for cell in self.cells)

    @property
    def ordered(self) -> bool:
        """Whether the generators have places in it."""
        return any(cell.rank is not None for cell in self.cells)

    @property
    def better(self) -> str:
        """The direction in words."""
        return _BETTER.get(self.direction, "neither direction is better")

    @property
    def family(self) -> str:
        """Heading that the row stands under."""
        family = family_of(self.metric)
        return _FAMILY_WORDS.get(family, group_words(family).capitalize())


@dataclass(frozen=True, slots=True)
class Column:
    """One prompt with one seed, answered by every generator (``samples`` in their order)."""

    probe: str
    text: str
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Generators side by side.

    Attributes:
        generators: names. columns: pictures. rows: numbers, by family.
        without: measures that gave no generator a number, with the reason.
    """

    generators: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    without: tuple[tuple[str, str], ...]

    @property
    def ordered(self) -> list[Row]:
        """Rows in which the generators have places."""
        return [row for row in self.rows if row.ordered]

    @property
    def families(self) -> list[tuple[str, list[Row]]]:
        """Rows by the heading that they stand under."""
        names = dict.fromkeys(row.family for row in self.rows)
        return [(name, [row for row in self.rows if row.family == name]) for name in names]

    @property
    def lacking(self) -> list[tuple[str, str]]:
        """What has no number, joined by reason: "Evenness, Largest gap" and why."""
        by_reason: dict[str, list[str]] = {}
        for title, why in self.without:
            by_reason.setdefault(why, []).append(title)
        return [(", ".join(titles), why) for why, titles in by_reason.items()]

    @property
    def notes(self) -> list[str]:
        """How to read the table."""
        return [LEGEND, *([PICKED] if any(row.slices for row in self.rows) else [])]
