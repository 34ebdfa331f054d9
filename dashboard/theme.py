# SPDX-License-Identifier: Apache-2.0
"""Colours shared with the written reports, and how decisions look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from audit.render.theme import DECISION_COLOURS, GENERATOR_COLOURS, GENERATOR_SHAPES
from audit.types import Decision

__all__ = ["DECISIONS", "DECISION_COLOURS", "STATE_COLOURS", "Look", "looks"]

# Worst first; the order of tables and counters.
DECISIONS: dict[Decision, tuple[str, str]] = {
    Decision.FAIL: ("Fail", ":material/cancel:"),
    Decision.INCONCLUSIVE: ("Inconclusive", ":material/help:"),
    Decision.NOT_RUN: ("Not run", ":material/block:"),
    Decision.WAIVED: ("Waived", ":material/assignment_turned_in:"),
    Decision.PASS: ("Pass", ":material/check_circle:"),
}


# States of Content Credentials, best first; blue to orange, told apart without telling red from green.
STATE_COLOURS: dict[str, str] = {
    "trusted": "#0b5fa5",
    "no_timestamp": "#2f81bd",
    "valid_untrusted": "#56a0d3",
    "bad_ingredient": "#e0a526",
    "invalid": "#c8511b",
    "unreadable": "#8c3a0e",
    "undetermined": "#b7b7b7",
    "remote_only": "#9aa0ab",
    "absent": "#7d828c",
}


@dataclass(frozen=True, slots=True)
class Look:
    """How one generator is drawn, the same on every page."""

    colour: str
    shape: str


def looks(generators: Sequence[str]) -> dict[str, Look]:
    """Colour and mark by generator; they repeat where there are more generators than colours."""
    pairs = list(zip(GENERATOR_COLOURS, GENERATOR_SHAPES, strict=True))
    return {name: Look(*pairs[index % len(pairs)]) for index, name in enumerate(generators)}
