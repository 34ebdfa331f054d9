# SPDX-License-Identifier: Apache-2.0
"""HTTP with limits: of time, of bytes, of where an address may lead, and of who gets to see the key."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import socket
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from audit.generators.hosted._replies import Again, Declined, Reply, Stopped, TooLate
from audit.types import Outcome

__all__ = ["Wire", "is_private", "refused_target"]

_MIB = 1024 * 1024
_FILE_LIMIT: Final = 64 * _MIB
_REPLY_LIMIT: Final = 96 * _MIB  # a file of 64 MiB in base64, with room for what stands around it
_CONNECT = 15.0  # seconds
_HOPS = 5
_LOGGERS = ("httpcore2.connection", "httpcore2.http11", "httpcore2.proxy", "httpcore2.socks", "httpx2")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Wire:
    """The connections of one generator. Any thread may use it; `abort` cuts what is under way.

    Args:
        base_url: of the API; only its origin is ever shown the key.
        headers: sent there, the key among them.
        timeout: seconds of one request.
        connections: at once.
        scrub: takes the key out of what the HTTP library logs: it writes down headers that a server sends.
    """

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str],
        timeout: float,
        connections: int,
        scrub: Callable[[str], str],
    ) -> None:
        import httpx2

        from audit import __version__

        self._sockets = _Sockets()
        self.stop = self._sockets.stop
        self._base, self._headers, self._timeout = base_url, dict(headers), timeout
        self._inside: bool | None = None
        scrubbed = _Scrubbed(scrub)
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(scrubbed)
        self._client = httpx2.Client(
            headers={"User-Agent": f"genaudit/{__version__}"},
            limits=httpx2.Limits(max_connections=2 * connections, max_keepalive_connections=connections),
            trust_env=not _is_local(urlsplit(base_url).hostname or ""),  # a proxy is for the world outside
        )
        self._end = weakref.finalize(self, _end, self._client, scrubbed)

    def call(
        self,
        method: str,
        url: str,
        *,
        deadline: float,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        limit: int = _REPLY_LIMIT,
    ) -> Reply:
        """One request, whatever its status; redirects are not followed. The key goes to the API's own origin only.

        Raises:
            Again: no connection, a cut one, or no answer in time.
            Declined: the answer is larger than ``limit`` bytes.
            TooLate: ``deadline`` (of ``time.monotonic()``) has passed.
            Stopped: after `abort`.
        """
        import httpx2

        if self.stop.is_set():
            raise Stopped
        seconds = min(self._timeout, deadline - time.monotonic())
        if seconds <= 0:
            raise TooLate("the deadline of this image has passed")
        sent = httpx2.Headers(self._headers if _origin(url) == _origin(self._base) else {})
        sent.update(headers)
        timeout = httpx2.Timeout(seconds, connect=min(seconds, _CONNECT))
        until = time.monotonic() + seconds
        try:
            with self._client.stream(
                method, url, json=json, headers=sent, timeout=timeout, extensions={"trace": self._sockets.trace}
            ) as response:
                content = _read(response, limit, until)
                return Reply(response.status_code, {k.lower(): v for k, v in response.headers.items()}, content)
        except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, RuntimeError, OSError) as error:
            if self.stop.is_set():
                raise Stopped from None
            raise self._explained(error, seconds) from None

    @staticmethod
    def _explained(error: Exception, seconds: float) -> Exception:
        import httpx2

        if isinstance(error, httpx2.UnsupportedProtocol | httpx2.InvalidURL):
            return Declined(Outcome.ERROR, f"the server names an address that is none: {error}")
        if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.ProxyError):
            return Again(f"no connection: {error}", reached=False)
        if isinstance(error, httpx2.TimeoutException):
            return Again(f"no answer within {seconds:.3g} s", unknown=True)
        return Again(f"the connection was cut: {error or type(error).__name__}", unknown=True)

    def fetch(self, url: str, *, deadline: float) -> bytes:
        """A file that the API named: http or https, at most 64 MiB, a few redirects, nothing inside our network.

        Raises:
            Again, Declined, TooLate, Stopped: see `call`; Declined also where the address may not be asked.
        """
        for _ in range(_HOPS):
            if self._inside is None:
                self._inside = is_private(urlsplit(self._base).hostname or "")
            if why := refused_target(url, inside=self._inside):
                raise Declined(Outcome.ERROR, why)
            reply = self.call("GET", url, deadline=deadline, limit=_FILE_LIMIT)
            if reply.status in _REDIRECTS and "location" in reply.headers:
                url = urljoin(url, reply.headers["location"])
                continue
            if reply.status == 200:
                return reply.content
            line = f"the picture's address answered HTTP {reply.status}"
            if reply.status in (408, 429) or reply.status >= 500:
                raise Again(line, unknown=True, after=reply.pause())
            raise Declined(Outcome.ERROR, line)
        raise Declined(Outcome.ERROR, f"the picture's address redirects more than {_HOPS} times")

    def abort(self) -> None:
        """Ask no more, and wake every thread that waits for bytes."""
        self._sockets.cut()

    def close(self) -> None:
        """Give all connections back; done by itself where nobody holds this object any more."""
        self._end()


class _Sockets:
    """The open sockets of a client, so that another thread can cut them; knows nothing of the client itself."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self._open: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._lock = threading.Lock()

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Told by the HTTP library about each step; new connections are noted."""
        if not event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            return
        made = info["return_value"].get_extra_info("socket")
        if isinstance(made, socket.socket):
            with self._lock:
                self._open.add(made)
            if self.stop.is_set():
                _cut(made)

    def cut(self) -> None:
        """No more sockets, and those that are open end now."""
        self.stop.set()
        with self._lock:
            for one in list(self._open):
                _cut(one)


class _Scrubbed(logging.Filter):
    def __init__(self, scrub: Callable[[str], str]) -> None:
        super().__init__()
        self._scrub = scrub

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self._scrub(record.getMessage()), ()
        return True


def _end(client: Any, scrubbed: logging.Filter) -> None:
    client.close()
    for name in _LOGGERS:
        logging.getLogger(name).removeFilter(scrubbed)


def _cut(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        socket.socket.shutdown(one, socket.SHUT_RDWR)  # the plain one: TLS would first say goodbye and wait


def _read(response: Any, limit: int, until: float) -> bytes:
    """The body, as far as size and time allow: a server may send a byte a minute for ever."""
    parts, size = [], 0
    for part in response.iter_bytes():
        size += len(part)
        if size > limit:
            raise Declined(Outcome.ERROR, f"the answer is larger than {limit // _MIB} MiB")
        if time.monotonic() > until:
            raise Again("the answer was not whole in time", unknown=True)
        parts.append(part)
    return b"".join(parts)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _is_local(host: str) -> bool:
    """Whether a host is written as an address inside, or as this machine; asks nobody."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost"


def is_private(host: str) -> bool:
    """Whether a host is this machine or one of our network. A name that nobody here knows is outside."""
    return any(not address.is_global for address in _addresses(host))


def _addresses(host: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    try:
        found = {str(entry[4][0]).partition("%")[0] for entry in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return []
    return [getattr(address, "ipv4_mapped", None) or address for address in map(ipaddress.ip_address, found)]


def refused_target(url: str, *, inside: bool) -> str | None:
    """Why a file may not be fetched from ``url``, None where it may.

    Args:
        url: named by a server.
        inside: whether that server is in our own network; one outside must not send us there.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "the server names an address that is none"
    if parts.scheme not in ("http", "https") or not host:
        return f"the picture's address is {parts.scheme or 'no'}:, not http or https"
    if not inside and is_private(host):
        return f"the picture's address leads into our own network ({host})"
    return None
