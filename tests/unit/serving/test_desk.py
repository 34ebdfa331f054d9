# SPDX-License-Identifier: Apache-2.0
"""The queue and its one drawing thread, with generators that misbehave."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

from audit.errors import ConfigError, GeneratorError
from audit.generators import RendererGenerator
from audit.serving._desk import Desk, draw
from audit.serving._errors import HttpError
from audit.serving._finish import Finisher, Record
from audit.types import Outcome
from tests.asking import ask


class Watched(RendererGenerator):
    """The renderer, with a gate before it and notes of who asked for how much."""

    def __init__(self, **options) -> None:
        super().__init__("r", options={"size": 16, **options})
        self.gate, self.busy = threading.Event(), threading.Event()
        self.batches: list[int] = []
        self.threads: set[str] = set()
        self.closed = False
        self.gate.set()

    def generate(self, batch, /):
        self.busy.set()
        assert self.gate.wait(30)
        self.batches.append(len(batch))
        self.threads.add(threading.current_thread().name)
        texts = [request.prompt.text for request in batch]
        if "crash" in texts:
            raise SystemExit(3)
        if "no weights" in texts:
            raise GeneratorError("the weights are gone")
        if "wrong size" in texts:
            raise ConfigError("size 5 is too small", where="/secret/place", hint="ask for more")
        return super().generate(batch)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def made():
    desks = []

    def make(generator, *, record=None, finish=None, **options) -> Desk:
        finish = finish or Finisher(generator.spec, None, record)
        desk = Desk(generator, finish, **{"batch_size": 4, "max_wait": 0.02, "limit": 16, **options})
        desks.append((desk, generator))
        desk.start()
        return desk

    yield make
    for desk, generator in desks:
        generator.gate.set()
        desk.stop()
        desk.join()


def many(count, text="a portrait of a nurse"):
    return [ask(text, seed=seed) for seed in range(count)]


def held(make, **options):
    """A desk whose thread is busy with one picture until the gate opens."""
    generator = Watched()
    desk = make(generator, **options)
    generator.gate.clear()
    (first,) = desk.submit([ask("the first", seed=99)], None)
    assert generator.busy.wait(10)
    return desk, generator, first


def test_those_that_wait_are_drawn_together_by_one_thread(made):
    desk, generator, first = held(made)
    waiting = [future for request in many(9) for future in desk.submit([request], None)]
    generator.gate.set()
    assert [future.result(30).request.seed for future in waiting] == list(range(9))
    assert first.result(30).request.seed == 99
    assert generator.batches == [1, 4, 4, 1]
    assert len(generator.threads) == 1
    assert threading.current_thread().name not in generator.threads


def test_a_lonely_picture_waits_no_longer_than_it_must(made):
    desk = made(Watched(), max_wait=1.0)
    desk.submit(many(1), None)[0].result(30)  # everything is loaded now
    start = time.monotonic()
    desk.submit([ask(seed=5)], None)[0].result(30)
    assert time.monotonic() - start > 0.95
    start = time.monotonic()
    for future in desk.submit(many(4), None):  # a full batch does not wait
        future.result(30)
    assert time.monotonic() - start < 0.9


def test_equal_requests_in_one_batch_are_drawn_once(made):
    desk, generator, _ = held(made)
    one, two = desk.submit([ask(seed=1), ask(seed=1)], None)
    generator.gate.set()
    assert one.result(30).b64 == two.result(30).b64
    assert generator.batches == [1, 1]


def test_a_full_queue_says_when_to_come_back_and_takes_all_or_none(made):
    desk, generator, first = held(made, limit=4)
    taken = desk.submit(many(2), None)
    with pytest.raises(HttpError) as full:
        desk.submit(many(2), None)
    assert full.value.status == 429
    assert int(full.value.headers["Retry-After"]) >= 1
    with pytest.raises(HttpError) as never:
        desk.submit(many(5), None)
    assert (never.value.status, never.value.param) == (400, "n")
    assert desk.open == 3
    generator.gate.set()
    for future in [first, *taken]:
        future.result(30)
    assert desk.submit(many(4), None)[3].result(30).request.seed == 3


def test_stopping_finishes_the_drawing_and_dismisses_those_that_wait(made):
    desk, generator, first = held(made)
    waiting = desk.submit(many(3), None)
    desk.stop()
    for future in waiting:
        with pytest.raises(HttpError) as told:
            future.result(5)
        assert told.value.status == 503
    assert not first.done()
    generator.gate.set()
    desk.join()
    assert first.result(0).b64
    assert generator.closed
    assert generator.batches == [1]
    with pytest.raises(HttpError):
        desk.submit(many(1), None)


def test_who_hung_up_while_waiting_is_not_drawn_for(made):
    desk, generator, _ = held(made)
    gone, stayed = desk.submit(many(2), None)
    assert gone.cancel()
    generator.gate.set()
    assert stayed.result(30).request.seed == 1
    assert generator.batches == [1, 1]
    assert desk.open == 0


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [("no weights", 500, "the weights are gone"), ("wrong size", 400, "size 5 is too small; ask for more")],
)
def test_an_error_of_one_does_not_take_its_neighbours_along(made, text, status, said):
    desk, generator, _ = held(made)
    good, bad, fine = desk.submit([ask(seed=1), ask(text, seed=2), ask(seed=3)], None)
    generator.gate.set()
    assert good.result(30).request.seed == 1
    assert fine.result(30).request.seed == 3
    with pytest.raises(HttpError) as told:
        bad.result(30)
    assert (told.value.status, told.value.message) == (status, said)


def test_a_plug_in_that_wants_to_end_the_process_does_not_end_the_thread(made):
    desk = made(Watched())
    with pytest.raises(HttpError) as told:
        desk.submit([ask("crash")], None)[0].result(30)
    assert told.value.status == 500
    assert desk.submit(many(1), None)[0].result(30).b64


def test_what_cannot_be_recorded_does_not_go_out(made):
    desk = made(generator := Watched(), record=Record("/dev/full", prompts=False))  # writing there always fails
    with pytest.raises(HttpError) as told:
        desk.submit(many(1), None)[0].result(30)
    assert told.value.status == 500
    assert "cannot be written" in told.value.message
    assert generator.batches == [1]


def test_drawing_waits_for_the_encoders(made):
    hold, generator = threading.Event(), Watched()
    inner = Finisher(generator.spec, None, None)

    def finish(request, found, media_type):
        assert hold.wait(30)
        return inner(request, found, media_type)

    desk = made(generator, finish=finish, batch_size=2, max_wait=0)
    futures = desk.submit(many(12), None)
    time.sleep(0.5)
    # No more pictures than two batches lie about, however many are asked for.
    assert sum(generator.batches) <= 4
    hold.set()
    assert [future.result(30).request.seed for future in futures] == list(range(12))


def test_draw_answers_in_order():
    generator = RendererGenerator("r", options={"size": 16, "refuse": ["knife"], "fail_on": ["bomb"]})
    requests = [ask("a knife"), ask("a portrait"), ask("a bomb")]
    answers = draw(generator, requests)
    assert [answer.request_id for answer in answers] == [request.id for request in requests]
    assert [answer.outcome for answer in answers] == [Outcome.REFUSED, Outcome.IMAGE, Outcome.ERROR]
    (wrong,) = draw(generator, [replace(requests[1], params={"size": 5})])
    assert isinstance(wrong, ConfigError)
