# SPDX-License-Identifier: Apache-2.0
"""A process that reads and resizes pictures for another one."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, Final

from audit.errors import AuditError

__all__ = ["FAILED", "OK", "RAISED", "main"]

OK: Final = "ok"
FAILED: Final = "failed"
RAISED: Final = "raised"
_NICE: Final = 10  # the network goes first: one thread that waits for a core holds up all the others


def main() -> None:
    """Do the work that the first message holds on the lists that follow, until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent says when it is over
    with suppress(OSError, AttributeError):
        os.nice(_NICE)
    with Connection(int(sys.argv[1])) as pipe, suppress(EOFError, BrokenPipeError, ConnectionResetError):
        work = pipe.recv()
        while True:
            pipe.send(_answer(work, pipe.recv()))


def _answer(work: Any, items: list[Any]) -> tuple[str, Any]:
    try:
        return OK, [work(item) for item in items]
    except AuditError as error:
        return FAILED, (type(error), error.message, error.where, error.hint)
    except Exception as error:  # noqa: BLE001 - the parent tells the user
        return RAISED, f"{type(error).__name__}: {error}"
