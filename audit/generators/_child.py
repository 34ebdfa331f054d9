# SPDX-License-Identifier: Apache-2.0
"""The process that holds one generator: it answers over a pipe and ends when its parent does.

Run as ``python -c "from audit.generators._child import main; main()" PIPE LIFELINE`` rather than through
``multiprocessing.Process``, which would import the caller's main module again and so needs every script that starts an
audit to guard itself.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from audit.errors import AuditError
from audit.generators._meter import Meter
from audit.types import Generator

__all__ = ["FAILED", "OK", "RAISED", "main"]

OK, FAILED, RAISED = "ok", "failed", "raised"


def main() -> None:
    """Answer orders (name, argument) until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides what it means
    pipe, lifeline = Connection(int(sys.argv[1])), int(sys.argv[2])
    threading.Thread(target=_end_with_parent, args=(lifeline,), daemon=True).start()
    holder = _Holder()
    orders: dict[str, Callable[[Any], Any]] = {"open": holder.open, "load": holder.load, "generate": holder.generate}
    try:
        while True:
            order, argument = pipe.recv()
            pipe.send(_answer(orders[order], argument))
    except (EOFError, OSError):  # the parent closed its end
        return


def _end_with_parent(lifeline: int) -> None:
    """Nobody writes to it: reading returns when the parent is gone, also if that was killed while we draw."""
    os.read(lifeline, 1)
    os._exit(1)


def _answer(work: Callable[[Any], Any], argument: Any) -> tuple[str, Any]:
    """What an order came to. Errors travel as plain values: foreign exceptions need not survive pickling."""
    try:
        return OK, work(argument)
    except AuditError as error:
        return FAILED, (type(error), error.message, error.where, error.hint)
    except BaseException as error:  # noqa: BLE001 - also SystemExit: a generator must not end the audit
        return RAISED, f"{type(error).__name__}: {error}"


class _Holder:
    """The generator, built on the first order."""

    def __init__(self) -> None:
        self._generator: Generator | None = None
        self._meter = Meter()

    def open(self, order: tuple[str, str, dict[str, Any], list[Any], bool]) -> Any:
        """Build the generator and return its spec."""
        from audit.registry import GENERATORS

        kind, name, arguments, metas, count = order
        self._meter.count = count
        self._meter.recall(metas)
        self._generator = GENERATORS.get(kind)(name, **arguments)
        recall = getattr(self._generator, "recall", None)
        if recall is not None:
            recall(metas)
        return self._generator.spec

    def load(self, _: None) -> None:
        """Load the weights, where the generator has them."""
        load = getattr(self._generator, "load", None)
        if load is not None:
            load()

    def generate(self, order: tuple[list[Any], int]) -> Any:
        """Answer a batch, with what it took."""
        assert self._generator is not None
        batch, drawers = order
        return self._meter.draw(self._generator, batch, drawers=drawers)
