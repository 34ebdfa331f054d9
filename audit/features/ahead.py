# SPDX-License-Identifier: Apache-2.0
"""Work that runs ahead of whoever takes its results: pictures are read and resized while a network computes.

Much work goes to processes, which keep out of the network's way; little to threads, since a process takes a second to
start. Results come in the order of the items, and only so many of them wait to be taken.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from typing import Any, Final, TypeVar

from audit.errors import AnnotatorError
from audit.features._child import FAILED, OK

__all__ = ["ahead", "cores"]

Item = TypeVar("Item")
Result = TypeVar("Result")
_FEW: Final = 256  # items for which no process is started: its imports cost about 0.3 s
_MOST: Final = 16  # processes
_ROOM: Final = 1 << 15  # bytes of an order
_TOGETHER: Final = 8  # items an order: few enough to wait in memory, enough to be worth a message


def ahead(
    work: Callable[[Item], Result], items: Sequence[Item], *, workers: int | None = None, few: int = _FEW
) -> Iterator[Result]:
    """Results of ``work`` on each of ``items``, in order, computed before they are asked for.

    Args:
        work: of one item; it is done in this process where it cannot be sent to another one.
        items: to work on.
        workers: processes or threads; default: one a core, at most 16. 0: no running ahead.
        few: up to so many items threads do the work.

    Raises:
        AuditError: ``work`` raised it.
        AnnotatorError: ``work`` raised anything else in another process.
    """
    count = cores() if workers is None else workers
    if count <= 0 or len(items) <= 1:
        return map(work, items)
    order = None if len(items) <= few or _heavy(items) else _portable(work)
    return _by_threads(work, items, count) if order is None else _by_processes(work, order, items, count)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _heavy(items: Sequence[Any]) -> bool:
    """Whether orders would not fit into a pipe: both ends would wait for the other to read."""
    return len(pickle.dumps(list(items[:_TOGETHER]))) > _ROOM


def _portable(work: Callable[[Any], Any]) -> bytes | None:
    """The work as bytes; None where it belongs to this process, e.g. a lambda or a function of a script."""
    try:
        order = pickle.dumps(work)
    except (pickle.PicklingError, AttributeError, TypeError):
        return None
    return None if b"__main__" in order else order


def _by_threads(work: Callable[[Item], Result], items: Sequence[Item], workers: int) -> Iterator[Result]:
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _by_processes(
    work: Callable[[Item], Result], order: bytes, items: Sequence[Item], workers: int
) -> Iterator[Result]:
    parts = [list(items[start : start + _TOGETHER]) for start in range(0, len(items), _TOGETHER)]
    crew = [_Worker(order) for _ in range(min(workers, _MOST, len(parts)))]
    try:
        for index in range(min(2 * len(crew), len(parts))):
            crew[index % len(crew)].give(parts[index])
        for index, part in enumerate(parts):
            worker = crew[index % len(crew)]
            answer = worker.take()
            following = index + 2 * len(crew)
            if following < len(parts):
                worker.give(parts[following])
            yield from map(work, part) if answer is None else answer  # what a lost process did not do is done here
    finally:
        for worker in crew:
            worker.close()


class _Worker:
    """One process. It is handed its work by a pipe and imports nothing of the user's script."""

    def __init__(self, order: bytes) -> None:
        ours, theirs = Pipe()
        self._pipe: Connection = ours
        line = [sys.executable, "-P", "-c", "from audit.features._child import main; main()"]
        quiet = None if os.environ.get("GENAUDIT_DEBUG") else subprocess.DEVNULL
        try:
            self._process = subprocess.Popen(  # noqa: S603
                [*line, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=quiet,
                stderr=quiet,
                env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        finally:
            theirs.close()
        with suppress(OSError):
            ours.send_bytes(order)

    def give(self, items: list[Any]) -> None:
        """Order work on ``items``; a process that was lost is noticed when its answer is taken."""
        with suppress(OSError):
            self._pipe.send(items)

    def take(self) -> list[Any] | None:
        """The answer to the oldest order; None where the process was lost."""
        try:
            word, value = self._pipe.recv()
        except (EOFError, OSError):
            return None
        if word == OK:
            found: list[Any] = value
            return found
        if word == FAILED:
            kind, message, where, hint = value
            raise kind(message, where=where, hint=hint)
        raise AnnotatorError(value, where="reading pictures", hint="`genaudit doctor` checks the installation")

    def close(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.wait()
        self._pipe.close()
