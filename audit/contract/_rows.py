# SPDX-License-Identifier: Apache-2.0
"""What was found out, and how it reads on a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from audit.types import Scalar

__all__ = ["Row", "State", "lines"]

_WIDTH, _MARGIN = 100, 23


class State(StrEnum):
    """What a row says: kept, broken, not offered (which is no fault), or kept with a reservation."""

    OK = "ok"
    BAD = "BAD"
    CANNOT = "cannot"
    WARN = "warn"


@dataclass(frozen=True, slots=True)
class Row:
    """One promise.

    Attributes:
        check: a word or two.
        state: whether it is kept.
        found: what was seen, with the figure behind it.
        figures: the figures alone, by name.
        means: what it means for an audit, where it is not kept.
        hint: how to mend it.
    """

    check: str
    state: State
    found: str
    figures: Mapping[str, Scalar] = field(default_factory=dict)
    means: str = ""
    hint: str = ""

    def record(self, generator: str) -> dict[str, Any]:
        """The row as JSON holds it."""
        return {"generator": generator, **asdict(self), "state": str(self.state)}


def lines(row: Row) -> Iterator[str]:
    """The row for people: state, check and figure in columns, 100 characters wide."""
    yield from _wrapped(f"{row.state:<7}{row.check:<16}", _printable(row.found))
    if row.state is not State.OK:
        for word, text in (("means: ", row.means), ("hint: ", row.hint)):
            if text:
                yield from _wrapped(" " * _MARGIN + word, _printable(text))


def _wrapped(start: str, text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=start, subsequent_indent=" " * _MARGIN) or [start]


def _printable(text: str) -> str:
    """Messages are anybody's: control characters in them must not reach a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
