# SPDX-License-Identifier: Apache-2.0
"""A tiny HTTP server on this machine that answers POST requests by functions; nothing outside can reach it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from audit.errors import ConfigError

__all__ = ["Loopback", "Post", "serve"]

_LARGEST: Final = 1 << 16  # a time stamp request has about 60 bytes
_PATIENCE: Final = 30.0  # seconds for a client that says nothing


@dataclass(frozen=True, slots=True)
class Post:
    """An answer: HTTP status, media type, body."""

    status: int
    kind: str
    body: bytes


class _Handler(BaseHTTPRequestHandler):
    timeout = _PATIENCE
    server: Loopback

    def do_POST(self) -> None:
        route = self.server.routes.get(self.path)
        try:
            size = int(self.headers.get("Content-Length", ""))
        except ValueError:
            size = -1
        if route is None or not 0 <= size <= _LARGEST:
            self._reply(Post(404 if route is None else 413, "text/plain", b""))
            return
        self._reply(route(self.rfile.read(size)))

    def _reply(self, answer: Post) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing: standard error belongs to the command."""


class Loopback(ThreadingHTTPServer):
    """The server; `url` is its address without a path."""

    daemon_threads = True

    def __init__(self, routes: Mapping[str, Callable[[bytes], Post]], *, host: str, port: int) -> None:
        self.routes = routes
        super().__init__((host, port), _Handler)
        self.url = f"http://{host}:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""


def serve(routes: Mapping[str, Callable[[bytes], Post]], *, host: str = "127.0.0.1", port: int = 0) -> Loopback:
    """Start answering, in a thread that ends with the process.

    Args:
        routes: path to the function that takes the body of a POST request.
        host: of this machine.
        port: 0: any free one.

    Raises:
        ConfigError: the port cannot be used.
    """
    try:
        server = Loopback(routes, host=host, port=port)
    except (OSError, OverflowError) as error:
        message = f"cannot listen: {getattr(error, 'strerror', None) or error}"
        raise ConfigError(message, where=f"{host}:{port}", hint="choose another port, or 0 for any") from None
    threading.Thread(target=server.serve_forever, name="loopback", daemon=True).start()
    return server
