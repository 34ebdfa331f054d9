# SPDX-License-Identifier: Apache-2.0
"""What follows from which numbers: every state, from rows that were made up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.selftest import Cell, Part, Row, Seen, State
from audit.selftest._rows import judge_cell, judge_row


def row(*parts, **more):
    return Row("plant", "what", "group", "metric", parts, trained="model", **more)


def seen(value, low, high):
    return Seen(value, low, high, 100)


PLANTED = Part("a", {}, truth=0.9, null=0.5)
ABSENT = Part("b", {}, truth=None, null=0.02, planted=False)
ONE = row(PLANTED)
TWO = row(PLANTED, ABSENT)
STRICT = row(PLANTED, ABSENT, strict=True)
HIT, WIDE, OFF = seen(0.88, 0.8, 0.95), seen(0.7, 0.4, 0.95), seen(0.7, 0.6, 0.8)
QUIET, LOUD = seen(0.01, 0.0, 0.1), seen(0.3, 0.2, 0.4)


@pytest.mark.parametrize(
    ("what", "role", "numbers", "state"),
    [
        (ONE, "exact", {"a": HIT}, State.FOUND),
        (ONE, "exact", {"a": WIDE}, State.NOT_FOUND),
        (ONE, "exact", {"a": OFF}, State.MISSED),
        (ONE, "exact", {"a": seen(0.1, 0.0, 0.2)}, State.MISSED),
        (ONE, "trained", {"a": HIT}, State.FOUND),
        (ONE, "trained", {"a": OFF}, State.FOUND),  # what it learned need not be what it was taught
        (ONE, "trained", {"a": WIDE}, State.NOT_FOUND),
        (ONE, "control", {"a": seen(0.5, 0.4, 0.6)}, State.CLEAN),
        (ONE, "control", {"a": HIT}, State.FLAGGED),
        (ONE, "exact", {"a": Seen(why="no weights", lacking=True)}, State.NOT_BUILT),
        (ONE, "exact", {}, State.NOT_BUILT),
        (ONE, "control", {"a": Seen(n=3, why="too few")}, State.NO_NUMBER),
        (TWO, "exact", {"a": HIT, "b": QUIET}, State.FOUND),
        (TWO, "exact", {"a": HIT, "b": LOUD}, State.FALSE),
        (TWO, "exact", {"a": HIT}, State.NOT_BUILT),
        (TWO, "trained", {"a": HIT, "b": LOUD}, State.FOUND),
        (STRICT, "trained", {"a": HIT, "b": LOUD}, State.FALSE),
        (STRICT, "control", {"a": seen(0.5, 0.4, 0.6), "b": LOUD}, State.FLAGGED),
        (row(ABSENT), "exact", {"b": QUIET}, State.CLEAN),
        (row(ABSENT), "exact", {"b": LOUD}, State.FALSE),
        (row(ABSENT), "trained", {"b": LOUD}, State.SHOWN),
    ],
)
def test_states(what, role, numbers, state):
    assert judge_cell(what, role, "world", numbers).state is state


def test_labels_say_what_was_found_and_what_should_not_have_been():
    cell = judge_cell(STRICT, "trained", "m", {"a": OFF, "b": LOUD})
    assert (cell.found, cell.false, cell.missed) == (("a",), ("b",), ("a",))
    assert judge_cell(ONE, "control", "m", {"a": HIT}).false == ("a",)
    assert judge_cell(ONE, "exact", "m", {"a": Seen(why="no weights")}).why == "no weights"


def test_a_margin_widens_truth_and_null():
    sharp = row(Part("r", {}, truth=32, null=64, margin=8))
    assert judge_cell(sharp, "exact", "m", {"r": seen(27, 26, 28)}).state is State.FOUND
    assert judge_cell(sharp, "exact", "m", {"r": seen(20, 19, 21)}).state is State.MISSED
    assert judge_cell(sharp, "exact", "m", {"r": seen(57, 55.5, 58)}).state is State.NOT_FOUND
    assert judge_cell(sharp, "control", "m", {"r": seen(60, 59, 61)}).state is State.CLEAN


GOOD = {State.FOUND, State.CLEAN, State.SHOWN, State.NOT_ASKED}


@given(st.lists(st.tuples(st.sampled_from(["exact", "trained", "control"]), st.sampled_from(list(State))), max_size=4))
def test_a_row_passes_exactly_when_the_exact_world_is_there_and_nothing_is_wrong(pairs):
    verdict = judge_row(ONE, [Cell(role, "m", state) for role, state in pairs])
    asked = any(role == "exact" for role, _ in pairs)
    assert verdict.passed == (asked and all(state in GOOD for _, state in pairs))
    order = [("exact", "trained", "control").index(cell.role) for cell in verdict.cells]
    assert order == sorted(order)


def test_words_name_the_world_that_is_wrong():
    good, bad = Cell("exact", "exact world", State.FOUND), Cell("trained", "vae", State.NOT_FOUND)
    assert judge_row(ONE, [bad, good]).words == "vae: not found"
    assert judge_row(ONE, [good]).words == "found"
    assert judge_row(ONE, [good, Cell("control", "c", State.CLEAN)]).words == "found, control clean"
    assert judge_row(row(ABSENT), [Cell("exact", "e", State.CLEAN)]).words == "clean, as it should be"
