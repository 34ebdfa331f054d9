# SPDX-License-Identifier: Apache-2.0
"""The same key and the same body: the same bytes, drawn once, also while the first is still being drawn."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from audit.serving._errors import HttpError

__all__ = ["Once", "Reply"]

_OVERHEAD = 1024  # bytes that an entry costs besides its body, generously


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with pictures: the body as it goes out."""

    body: bytes
    request_id: str


@dataclass(slots=True)
class _Entry:
    digest: str
    task: asyncio.Task[Reply]
    size: int = 0  # 0: not finished, or failed and about to go


class Once:
    """Answers by key, the least recently used forgotten first. Used from one event loop only.

    Args:
        limit: bytes kept; answers on their way are not counted: the queue bounds them.
    """

    def __init__(self, limit: int) -> None:
        self._limit, self._held = limit, 0
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    async def get(self, key: str, digest: str, make: Callable[[], Awaitable[Reply]]) -> tuple[Reply, bool]:
        """The answer, and whether it is a repeated one.

        Args:
            key: the client's ``Idempotency-Key``.
            digest: of the body.
            make: called once; what it raises goes to all who wait, and is then forgotten.

        Raises:
            HttpError: 422: the key was used for another body; or what ``make`` raises.
        """
        entry, repeated = self._entries.get(key), True
        if entry is None:
            # A task of its own: the client that asked first may hang up while others wait for the same answer.
            entry, repeated = _Entry(digest, asyncio.ensure_future(_coroutine(make))), False
            self._entries[key] = entry
            entry.task.add_done_callback(lambda task: self._finished(key, task))
        elif entry.digest != digest:
            message = "this Idempotency-Key was used for another request body"
            raise HttpError(422, message, kind="idempotency_error", code="idempotency_key_reused")
        self._entries.move_to_end(key)
        return await asyncio.shield(entry.task), repeated

    def _finished(self, key: str, task: asyncio.Task[Reply]) -> None:
        if task.cancelled() or task.exception() is not None:
            del self._entries[key]
            return
        entry = self._entries[key]
        entry.size = len(task.result().body) + _OVERHEAD
        self._held += entry.size
        self._trim()

    def _trim(self) -> None:
        for key in [key for key, entry in self._entries.items() if entry.size]:
            if self._held <= self._limit:
                return
            self._held -= self._entries.pop(key).size


async def _coroutine(make: Callable[[], Awaitable[Reply]]) -> Reply:
    return await make()
