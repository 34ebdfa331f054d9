# SPDX-License-Identifier: Apache-2.0
"""Two clients, one server, and a network that fails every fifth call: nothing is lost, nothing is drawn twice."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import uvicorn

from audit.generators import RendererGenerator
from audit.images import decode, pixels_of
from audit.provenance import verify_bytes
from audit.registry import GENERATORS
from audit.serving import Settings, build_app
from audit.types import Outcome
from tests.asking import ask

PROMPTS = ["a portrait of a nurse", "a portrait of a CEO", "an older woman with glasses", "a portrait of a builder"]
TIMEOUT = 1.0  # seconds that the clients wait
FAULTS = {
    "too_many": 0.04,
    "broken": 0.04,
    "late_start": 0.02,  # hangs, then draws although nobody listens any more
    "late_answer": 0.02,  # draws, then hangs
    "cut_before": 0.04,  # draws, then cuts the connection
    "cut_within": 0.04,  # cuts it in the middle of the answer
}


class Storm:
    """An ASGI application before another: which call fails, and how, is a function of its key and attempt only."""

    def __init__(self, app, seed: int) -> None:
        self.app, self.seed = app, seed
        self.attempts: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        key = headers[b"idempotency-key"].decode()
        self.attempts[key] += 1
        luck = random.Random(f"{self.seed}|{key}|{self.attempts[key]}")
        names = [*FAULTS, "none"]
        fault = luck.choices(names, [*FAULTS.values(), 1 - sum(FAULTS.values())])[0]
        self.faults[fault] += 1
        await getattr(self, f"_{fault}")(scope, receive, send, luck)

    async def _none(self, scope, receive, send, luck) -> None:
        await self.app(scope, receive, send)

    async def _too_many(self, scope, receive, send, luck) -> None:
        wait = b"1" if luck.random() < 0.03 else b"0"
        await _plain(send, 429, (b"retry-after", wait))

    async def _broken(self, scope, receive, send, luck) -> None:
        await _plain(send, luck.choice([500, 502, 503]))

    async def _late_start(self, scope, receive, send, luck) -> None:
        body = await _whole(receive)
        await asyncio.sleep(TIMEOUT * 1.3)
        await self.app(scope, _again(body), send)

    async def _late_answer(self, scope, receive, send, luck) -> None:
        messages = await self._drawn(scope, receive)
        await asyncio.sleep(TIMEOUT * 1.3)
        for message in messages:
            await send(message)

    async def _cut_before(self, scope, receive, send, luck) -> None:
        await self._drawn(scope, receive)
        send.__self__.transport.abort()

    async def _cut_within(self, scope, receive, send, luck) -> None:
        start, body = await self._drawn(scope, receive)
        await send(start)
        part = body["body"][: luck.randrange(len(body["body"]))]
        await send({"type": "http.response.body", "body": part, "more_body": True})
        send.__self__.transport.close()

    async def _drawn(self, scope, receive) -> list:
        messages: list = []

        async def keep(message) -> None:
            messages.append(message)

        await self.app(scope, receive, keep)
        return messages


async def _plain(send, status, *headers) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0"), *headers]})
    await send({"type": "http.response.body", "body": b""})


async def _whole(receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


def _again(body: bytes):
    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


class Counting(RendererGenerator):
    """The renderer, with a list of what it was asked to draw."""

    def __init__(self) -> None:
        super().__init__("renderer")
        self.asked: list[str] = []

    def generate(self, batch, /):
        self.asked += [request.id for request in batch]
        return super().generate(batch)


@contextmanager
def storm(seed: int, **settings):
    """A server in this process whose calls fail, and the generator behind it."""
    generator = Counting()
    application = Storm(build_app(Settings("reference:renderer", **settings), generator=generator), seed)
    config = uvicorn.Config(application, port=0, lifespan="on", ws="none", log_config=None, log_level="critical")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            threading.Event().wait(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/v1", application, generator
    finally:
        server.should_exit = True
        thread.join(60)
        assert not thread.is_alive()


def client(name: str, base: str):
    options = {"base_url": base, "concurrency": 8, "retries": 12, "timeout": TIMEOUT, "backoff": 0.01}
    return GENERATORS.get("openai")(name, model="renderer", params={}, options=options)


def wishes(first: int, count: int) -> list:
    """Requests that differ in their seeds at least."""
    return [ask(PROMPTS[place % len(PROMPTS)], seed=first + place, params={"size": "16x16"}) for place in range(count)]


def check(requests, answers) -> None:
    """One picture a request, in order, each the one of its seed."""
    assert [answer.request_id for answer in answers] == [request.id for request in requests]
    told = Counter((answer.outcome, answer.message) for answer in answers if answer.outcome is not Outcome.IMAGE)
    assert not told, told.most_common(5)
    direct = RendererGenerator("direct").generate([replace(request, params={"size": 16}) for request in requests])
    for answer, expected in zip(answers, direct, strict=True):
        assert np.array_equal(decode(answer.image), pixels_of(expected)), answer.request_id


def both(base: str, each: int):
    """Two clients at once: requests and answers of both."""
    wanted = [wishes(10_000, each), wishes(20_000, each)]
    clients = [client(name, base) for name in ("left", "right")]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda pair: pair[0].generate(pair[1]), zip(clients, wanted, strict=True)))
    for one in clients:
        one.close()
    return wanted, found


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_two_thousand_requests_in_a_storm():
    with storm(11, stamp=False, max_wait_ms=5, batch_size=16) as (base, weather, generator):
        wanted, found = both(base, 1000)
    for requests, answers in zip(wanted, found, strict=True):
        check(requests, answers)
    assert len(generator.asked) == len(set(generator.asked)) == 2000
    calls = weather.faults.total()
    assert set(weather.faults) == {*FAULTS, "none"}
    assert 0.15 < 1 - weather.faults["none"] / calls < 0.25
    assert set(weather.attempts) == {request.id for requests in wanted for request in requests}


def test_a_small_storm_with_stamped_pictures():
    with storm(12, max_wait_ms=5) as (base, weather, generator):
        wanted, found = both(base, 40)
    for requests, answers in zip(wanted, found, strict=True):
        check(requests, answers)
        assert all(verify_bytes(answer.image).state.verified for answer in answers)
    assert len(generator.asked) == len(set(generator.asked)) == 80
    assert weather.faults.total() > 80
