# SPDX-License-Identifier: Apache-2.0
"""Pictures that wait are collected and drawn together by the one thread that owns the generator."""

from __future__ import annotations

import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from audit.errors import AuditError, GeneratorError
from audit.runs._generate import answer
from audit.serving._errors import HttpError, invalid, stopping
from audit.serving._finish import Picture
from audit.types import Generation, Generator, Request

__all__ = ["Answer", "Desk", "draw"]

Answer = Generation | AuditError
Finish = Callable[[Request, Answer, str | None], Picture]
_LONGEST_WAIT = 60  # seconds that a client is told to stay away, at most


@dataclass(slots=True)
class _Ticket:
    request: Request
    media_type: str | None
    future: Future[Picture] = field(default_factory=Future)
    since: float = field(default_factory=time.monotonic)


def draw(generator: Generator, batch: Sequence[Request]) -> list[Answer]:
    """One answer a request, in order. An error that would end an audit must not take the neighbours along here."""
    try:
        return list(answer(generator, batch))
    except AuditError as error:
        if len(batch) == 1:
            return [error]
        return [one for request in batch for one in draw(generator, [request])]


class Desk:
    """Takes requests from the event loop, and gives futures for them.

    Args:
        generator: touched by the drawing thread only.
        finish: makes the file (encodes, stamps, records); called by a few threads at once.
        batch_size: pictures drawn at once, at most.
        max_wait: seconds that a picture waits for others.
        limit: pictures taken and not yet answered, at most: what bounds the memory.
    """

    def __init__(self, generator: Generator, finish: Finish, *, batch_size: int, max_wait: float, limit: int) -> None:
        self._generator, self._finish = generator, finish
        self._batch_size, self._max_wait, self._limit = batch_size, max_wait, limit
        self._changed = threading.Condition()
        self._waiting: deque[_Ticket] = deque()
        self._open, self._pace, self._stopping = 0, 0.0, False
        # Raw pictures that wait for an encoder are large: drawing goes on only while there are few of them.
        self._room = threading.Semaphore(2 * batch_size)
        self.pool = ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="genaudit-finish")
        self._thread: threading.Thread | None = None

    @property
    def stopping(self) -> bool:
        """Whether nothing more is taken."""
        return self._stopping

    @property
    def open(self) -> int:
        """Pictures taken and not yet answered."""
        return self._open

    def start(self) -> None:
        """Begin to draw; once is enough."""
        with self._changed:
            if self._thread is None:
                # Not waited for at exit: who presses Ctrl-C twice does not want to wait for a long drawing.
                self._thread = threading.Thread(target=self._work, name="genaudit-draw", daemon=True)
                self._thread.start()

    def submit(self, requests: Sequence[Request], media_type: str | None) -> list[Future[Picture]]:
        """All of them, or none.

        Raises:
            HttpError: 429 with ``Retry-After`` when they do not fit, 503 when the server is stopping.
        """
        tickets = [_Ticket(request, media_type) for request in requests]
        with self._changed:
            if self._stopping:
                raise stopping()
            if self._open + len(tickets) > self._limit:
                raise self._full(len(tickets))
            self._open += len(tickets)
            self._waiting.extend(tickets)
            self._changed.notify()
        for ticket in tickets:
            ticket.future.add_done_callback(self._answered)
        return [ticket.future for ticket in tickets]

    def stop(self) -> None:
        """Tell those that wait that nothing more is drawn; what is being drawn is finished."""
        with self._changed:
            self._stopping = True
            waiting = list(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()
        for ticket in waiting:
            if ticket.future.set_running_or_notify_cancel():
                ticket.future.set_exception(stopping())

    def join(self) -> None:
        """Wait until all that was being drawn is finished."""
        if self._thread is not None:
            self._thread.join()
        self.pool.shutdown()

    def _full(self, more: int) -> HttpError:
        if more > self._limit:
            return invalid(f"n must be at most {self._limit} here", "n")
        seconds = min(_LONGEST_WAIT, max(1, math.ceil(self._open * self._pace)))
        message = f"{self._open} pictures are waiting, which is as many as the queue holds ({self._limit})"
        headers = {"Retry-After": str(seconds)}
        return HttpError(429, message, kind="rate_limit_error", code="rate_limit_exceeded", headers=headers)

    def _answered(self, _future: Future[Picture]) -> None:
        with self._changed:
            self._open -= 1

    # -- the drawing thread ------------------------------------------------------------------------------------

    def _work(self) -> None:
        while (batch := self._collect()) is not None:
            # Who hung up while waiting is not drawn for.
            tickets = [ticket for ticket in batch if ticket.future.set_running_or_notify_cancel()]
            if tickets:
                self._draw(tickets)
        close = getattr(self._generator, "close", None)
        if close is not None:
            close()

    def _collect(self) -> list[_Ticket] | None:
        """The next batch: full, or as large as it got until its first picture had waited long enough."""
        with self._changed:
            while not self._waiting and not self._stopping:
                self._changed.wait()
            until = self._waiting[0].since + self._max_wait if self._waiting else 0.0
            while len(self._waiting) < self._batch_size and not self._stopping:
                left = until - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    break
            if self._stopping:
                return None
            return [self._waiting.popleft() for _ in range(min(self._batch_size, len(self._waiting)))]

    def _draw(self, tickets: Sequence[_Ticket]) -> None:
        for _ in tickets:
            self._room.acquire()
        start = time.monotonic()
        # Equal ids are equal in all that decides a picture: one drawing serves them.
        requests = {ticket.request.id: ticket.request for ticket in tickets}
        try:
            answers = dict(zip(requests, draw(self._generator, list(requests.values())), strict=True))
        except BaseException as error:  # noqa: BLE001 - even SystemExit of a plug-in must not end the only drawing thread
            gone = GeneratorError(f"the generator gave up: {type(error).__name__}")
            answers = dict.fromkeys(requests, gone)
        self._measured((time.monotonic() - start) / len(requests))
        self._hand_over((ticket, answers[ticket.request.id]) for ticket in tickets)

    def _measured(self, seconds: float) -> None:
        """Remember how long a picture takes, recent ones counting most."""
        self._pace = seconds if not self._pace else 0.7 * self._pace + 0.3 * seconds

    def _hand_over(self, pairs: Iterable[tuple[_Ticket, Answer]]) -> None:
        for ticket, found in pairs:
            self.pool.submit(self._complete, ticket, found)

    def _complete(self, ticket: _Ticket, found: Answer) -> None:
        try:
            picture = self._finish(ticket.request, found, ticket.media_type)
        except BaseException as error:  # noqa: BLE001 - told to the one who asked
            ticket.future.set_exception(error)
        else:
            ticket.future.set_result(picture)
        finally:
            self._room.release()
