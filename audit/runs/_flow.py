# SPDX-License-Identifier: Apache-2.0
"""Two things at once: the next chunks are drawn while the last ones are stored, signed and measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from queue import SimpleQueue
from typing import Any, TypeVar

__all__ = ["flow"]

S = TypeVar("S")
T = TypeVar("T")
A = TypeVar("A")


def flow(
    items: Iterable[T],
    sources: Sequence[S],
    *,
    draw: Callable[[S, T], A],
    finish: Callable[[T, A], None],
    hands: int,
) -> Iterator[T]:
    """Draw every item on whichever source is free, finish it, and yield it once that is done.

    At most two items a source and one a hand are in memory: where finishing is slower, drawing waits.

    Args:
        items: in the order in which they are begun.
        sources: what draws; each by one thread at a time.
        draw: (source, item) to an answer.
        finish: (item, answer); runs in ``hands`` threads.
        hands: threads that finish.

    Raises:
        BaseException: the first one that ``draw`` or ``finish`` raised. What was being finished is finished first; what
            was being drawn is left alone (close the sources to end it).
    """
    idle: SimpleQueue[S] = SimpleQueue()
    for source in sources:
        idle.put(source)

    def drawn(item: T) -> A:
        source = idle.get()
        try:
            return draw(source, item)
        finally:
            idle.put(source)

    waiting = iter(items)
    most = 2 * len(sources) + hands
    drawing, finishing = ThreadPoolExecutor(len(sources)), ThreadPoolExecutor(hands)
    begun: dict[Future[A], T] = {}
    ending: dict[Future[None], T] = {}
    try:
        while True:
            while len(begun) + len(ending) < most and (item := next(waiting, None)) is not None:
                begun[drawing.submit(drawn, item)] = item
            if not begun and not ending:
                return
            futures: list[Future[Any]] = [*begun, *ending]
            done, _ = wait(futures, return_when=FIRST_COMPLETED)
            for future in [f for f in begun if f in done]:
                item = begun.pop(future)
                ending[finishing.submit(finish, item, future.result())] = item
            for end in [f for f in ending if f in done]:
                item = ending.pop(end)
                end.result()
                yield item
    finally:
        drawing.shutdown(wait=False, cancel_futures=True)
        finishing.shutdown(wait=True)
