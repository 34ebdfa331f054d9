# SPDX-License-Identifier: Apache-2.0
"""Answers kept by key."""

from __future__ import annotations

import asyncio

import pytest

from audit.serving._errors import HttpError
from audit.serving._once import Once, Reply


class Source:
    """Makes answers and counts them."""

    def __init__(self, *, size: int = 10, error: Exception | None = None) -> None:
        self.made, self.size, self.error = 0, size, error
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self) -> Reply:
        self.made += 1
        number = self.made
        await self.gate.wait()
        if self.error:
            raise self.error
        return Reply(b"%010d" % number + b"x" * (self.size - 10), str(number))


def test_one_answer_for_all_who_ask_at_once_and_later():
    async def check():
        once, source = Once(10_000), Source()
        source.gate.clear()
        asked = [asyncio.ensure_future(once.get("k", "body", source)) for _ in range(5)]
        await asyncio.sleep(0)
        source.gate.set()
        replies = await asyncio.gather(*asked)
        assert [repeated for _, repeated in replies] == [False, True, True, True, True]
        assert len({reply.body for reply, _ in replies}) == 1
        assert (await once.get("k", "body", source))[1]
        assert source.made == 1

    asyncio.run(check())


def test_the_first_may_hang_up():
    async def check():
        once, source = Once(10_000), Source()
        source.gate.clear()
        first, second = (asyncio.ensure_future(once.get("k", "body", source)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        source.gate.set()
        assert (await second)[0].request_id == "1"
        assert first.cancelled()

    asyncio.run(check())


def test_another_body_under_the_same_key_is_an_error_also_while_drawing():
    async def check():
        once, source = Once(10_000), Source()
        source.gate.clear()
        first = asyncio.ensure_future(once.get("k", "body", source))
        await asyncio.sleep(0)
        with pytest.raises(HttpError) as told:
            await once.get("k", "other", source)
        assert told.value.status == 422
        source.gate.set()
        await first

    asyncio.run(check())


def test_errors_go_to_all_who_wait_and_are_forgotten():
    async def check():
        once, source = Once(10_000), Source(error=HttpError(500, "broken"))
        source.gate.clear()
        asked = [asyncio.ensure_future(once.get("k", "body", source)) for _ in range(3)]
        await asyncio.sleep(0)
        source.gate.set()
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert [one.message for one in found] == ["broken"] * 3
        source.error = None
        assert (await once.get("k", "other body", source))[0].request_id == "2"

    asyncio.run(check())


def test_the_least_recently_used_goes_first_and_bytes_are_bounded():
    async def check():
        source = Source(size=1000)
        once = Once(3 * 2024)  # three answers with what an entry costs besides
        for key in "abc":
            await once.get(key, key, source)
        await once.get("a", "a", source)
        await once.get("d", "d", source)  # "b" has to go
        assert source.made == 4
        kept = {key: (await once.get(key, key, source))[1] for key in "acd"}
        assert kept == {"a": True, "c": True, "d": True}
        assert not (await once.get("b", "b", source))[1]
        source.size = 1_000_000
        await once.get("big", "big", source)  # larger than all: not kept, and nothing else is
        assert not (await once.get("big", "big", source))[1]

    asyncio.run(check())
