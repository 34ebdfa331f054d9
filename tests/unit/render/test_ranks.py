# SPDX-License-Identifier: Apache-2.0
"""Which places the data leave open."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from audit.render._comparison import Cell
from audit.render._ranks import Differences, ranked
from audit.types import Estimate, Status


def make(generator, value, low, high, *, metric="quality.clip_score", slice_=None, fingerprint="f"):
    return Estimate(
        metric,
        "1",
        "score",
        generator,
        {"probe": "p"} if slice_ is None else slice_,
        value,
        low,
        high,
        0.95,
        10,
        5,
        0,
        Status.OK if value is not None else Status.INSUFFICIENT,
        "t",
        fingerprint=fingerprint,
    )


def places(estimates, direction="higher", differences=()):
    cells = [Cell(e.generator, e) for e in estimates]
    return [cell.rank for cell in ranked(cells, direction, Differences.of(differences))]


def test_ranges_say_what_the_intervals_leave_open():
    a, b, c = make("a", 9, 8, 10), make("b", 5, 4, 6), make("c", 5.5, 4.5, 6.5)
    assert places([a, b, c]) == [(1, 1), (2, 3), (2, 3)]
    assert places([a, b, c], "lower") == [(3, 3), (1, 2), (1, 2)]
    assert places([a, b, c], "none") == [None] * 3


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 4)), min_size=2, max_size=6))
def test_every_place_is_possible_under_some_order_that_the_intervals_allow(pairs):
    """Against brute force: the places of each generator over all choices of one end of each interval."""
    intervals = [(low, low + width) for low, width in pairs]
    found = places([make(f"g{i}", low, low, high) for i, (low, high) in enumerate(intervals)])
    for i, (low, high) in enumerate(intervals):
        surely_above = sum(other[0] > high for j, other in enumerate(intervals) if j != i)
        surely_below = sum(other[1] < low for j, other in enumerate(intervals) if j != i)
        assert found[i] == (1 + surely_above, len(intervals) - surely_below)
        assert 1 <= found[i][0] <= found[i][1] <= len(intervals)


def test_a_paired_difference_tells_apart_what_overlapping_intervals_cannot():
    a, b = make("a", 5.2, 4, 6), make("b", 5.0, 4, 6)
    where = {"probe": "p", "score": "quality.clip_score", "against": "b"}
    apart = make("a", 0.2, 0.1, 0.3, metric="quality.difference", slice_=where)
    assert places([a, b]) == [(1, 2), (1, 2)]
    assert places([a, b], differences=[apart]) == [(1, 1), (2, 2)]
    assert places([b, a], differences=[apart]) == [(2, 2), (1, 1)]
    assert places([a, b], "lower", differences=[apart]) == [(2, 2), (1, 1)]
    other_set = make("a", 0.2, 0.1, 0.3, metric="quality.difference", slice_={**where, "probe": "q"})
    assert places([a, b], differences=[other_set]) == [(1, 2), (1, 2)]


def test_a_paired_difference_that_holds_zero_overrules_separate_intervals():
    a, b = make("a", 9, 8, 10), make("b", 5, 4, 6)
    where = {"probe": "p", "score": "quality.clip_score", "against": "b"}
    assert places([a, b], differences=[make("a", 4, -1, 9, metric="quality.difference", slice_=where)]) == [(1, 2)] * 2


def test_other_instruments_give_no_order_and_a_missing_number_no_winner():
    assert places([make("a", 9, 8, 10), make("b", 5, 4, 6, fingerprint="g")]) == [None, None]
    cells = [Cell("a", make("a", 9, 8, 10)), Cell("b", make("b", 5, 4, 6)), Cell("c", make("c", None, None, None))]
    found = ranked(cells, "higher", Differences.of(()))
    assert [cell.rank for cell in found] == [(1, 1), (2, 2), None]
    assert not any(cell.ahead for cell in found)
