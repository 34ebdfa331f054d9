# SPDX-License-Identifier: Apache-2.0
"""uvicorn, with three things of our own: it says when it listens, stops drawing first, and knows which signal came."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from audit.errors import ConfigError
from audit.serving._app import Application

__all__ = ["Server", "run"]

INTERRUPTED = 130
_CONNECTIONS = 1024  # at once; each may hold a body of 1 MiB


class Server(uvicorn.Server):
    """A server for one application on one socket.

    Args:
        app: what answers.
        announce: called once connections are accepted.
        backlog: connections that may wait for that.
    """

    def __init__(self, app: Application, announce: Callable[[], None], *, backlog: int) -> None:
        config = uvicorn.Config(
            app,
            lifespan="on",
            ws="none",
            access_log=False,
            log_config=None,  # our own lines say it without tracebacks
            log_level="critical",
            server_header=False,
            limit_concurrency=max(_CONNECTIONS, 2 * backlog),
            backlog=max(128, backlog),
        )
        super().__init__(config)
        self._application, self._announce = app, announce
        self.signals: list[int] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, and say so."""
        await super().startup(sockets)
        if self.started:
            self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer those that wait for a drawing, then wait for what is being drawn."""
        self._application.stop()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Remember what stopped us; a second Ctrl-C does not wait for the drawing any more."""
        if sig == signal.SIGINT and signal.SIGINT in self.signals:
            os._exit(INTERRUPTED)  # the drawing thread cannot be stopped, and an orderly end would wait for it
        self.signals.append(sig)
        super().handle_exit(sig, frame)


def run(app: Application, listener: socket.socket, announce: Callable[[], None], *, backlog: int) -> int:
    """Serve until a signal; returns the exit code: 0 after SIGTERM, 130 after Ctrl-C.

    Raises:
        ConfigError: another process listens there since the socket was bound.
    """
    server = Server(app, announce, backlog=backlog)
    try:
        with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises the signal again when all is done
            asyncio.run(server.serve([listener]))
    except OSError as error:
        if server.started:
            raise
        raise ConfigError(f"cannot listen: {error.strerror}", where=str(listener.getsockname())) from None
    return INTERRUPTED if signal.SIGINT in server.signals or not server.signals else 0
