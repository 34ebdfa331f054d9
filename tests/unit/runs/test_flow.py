# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
import time

import pytest

from audit.runs._flow import flow


def test_every_item_is_drawn_and_finished_once_whatever_the_order():
    finished = []
    items = list(range(1, 60))
    done = list(flow(items, "abc", draw=lambda s, i: i * i, finish=lambda i, a: finished.append((i, a)), hands=2))
    assert sorted(done) == items
    assert sorted(finished) == [(i, i * i) for i in items]


def test_a_source_works_on_one_item_at_a_time():
    busy, clashes, lock = set(), [], threading.Lock()

    def draw(source, item):
        with lock:
            clashes.extend([source] if source in busy else [])
            busy.add(source)
        time.sleep(0.002)
        with lock:
            busy.remove(source)

    list(flow(range(1, 50), "ab", draw=draw, finish=lambda i, a: None, hands=3))
    assert not clashes


def test_drawing_goes_on_while_others_are_finished():
    """Four items, each 0.05 s to draw and 0.05 s to finish: one after the other 0.4 s."""
    start = time.perf_counter()
    nap = lambda *_: time.sleep(0.05)  # noqa: E731
    list(flow(range(1, 5), "a", draw=nap, finish=nap, hands=1))
    assert time.perf_counter() - start < 0.35


def test_drawing_waits_where_finishing_is_slower():
    begun, gate = [], threading.Event()

    def draw(source, item):
        begun.append(item)

    running = flow(range(1, 100), "a", draw=draw, finish=lambda i, a: gate.wait(5), hands=1)
    threading.Timer(0.2, gate.set).start()
    next(running)
    assert len(begun) <= 4, "two for the source, one in hand, one that took the place of the finished one"
    assert len(list(running)) == 98


@pytest.mark.parametrize("where", ["draw", "finish"])
def test_the_first_error_ends_it_and_what_is_being_finished_is_finished(where):
    finished = []

    def draw(source, item):
        if where == "draw" and item == 3:
            raise ValueError("three")
        return item

    def finish(item, answer):
        if where == "finish" and item == 3:
            raise ValueError("three")
        time.sleep(0.01)
        finished.append(item)

    done = []
    running = flow(range(1, 1000), "a", draw=draw, finish=finish, hands=2)
    with pytest.raises(ValueError, match="three"):
        done.extend(running)
    assert set(done) <= set(finished)
    assert len(finished) < 10
    count = len(finished)
    time.sleep(0.05)
    assert len(finished) == count, "nothing goes on behind the caller's back"
