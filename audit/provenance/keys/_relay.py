# SPDX-License-Identifier: Apache-2.0
"""RFC 3161 time stamps with a time-out that holds, a second try, and a reason where there is none.

The C2PA library asks the authority itself: 30 s, one try, no reason. So it is given a relay on this machine as its
authority. The relay asks the real one, looks at the answer, and answers at once when there is none.
"""

from __future__ import annotations

import os
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from queue import Empty, SimpleQueue
from secrets import token_urlsafe
from typing import Final

from audit.provenance.keys import _der as der
from audit.provenance.keys._loopback import Post, serve
from audit.provenance.keys.timestamps import TimeStamps

__all__ = ["HOST", "NoStamp", "Relay", "relay"]

#: The only host that a signing context has to allow.
HOST: Final = "127.0.0.1"
_LARGEST: Final = 1 << 20
_AGAIN: Final = frozenset({429, 500, 502, 503, 504})
_GRANTED: Final = (0, 1)  # granted, granted with modifications (RFC 3161, 2.4.2)
_REPLY: Final = "application/timestamp-reply"


class NoStamp(Exception):  # noqa: N818 - an outcome, not a fault of the program
    """No time stamp; the message says why."""


class Relay:
    """Asks one authority for one process. `url` is what the C2PA library is told."""

    def __init__(self, timestamps: TimeStamps) -> None:
        self.timestamps = timestamps
        self.reason = ""
        self.failures = 0
        self._not_before = 0.0
        self._lock = threading.Lock()
        # The name in the path keeps other users of this machine from asking the authority through us.
        path = f"/{token_urlsafe(16)}"
        self._server = serve({path: self._answer}, host=HOST)
        self.url = f"{self._server.url}{path}"

    def paused(self) -> str | None:
        """Why the authority is not asked right now; None if it is."""
        left = self._not_before - time.monotonic()
        return f"{self.reason}; not asked again for {left:.0f} s" if left > 0 else None

    def trip(self, reason: str) -> None:
        """Note a failure: nobody asks for a while."""
        self.failures += 1
        self.reason, self._not_before = reason, time.monotonic() + self.timestamps.pause

    def ask(self, request: bytes) -> bytes:
        """The authority's answer to a TimeStampReq (DER).

        Raises:
            NoStamp: there is none.
        """
        with self._lock:
            if (why := self.paused()) is not None:
                raise NoStamp(why)
        try:
            answer = _within(self.timestamps.timeout, lambda: self._tries(request))
            _check(answer)
        except NoStamp as error:
            with self._lock:
                self.trip(str(error))
            raise
        return answer

    def _tries(self, request: bytes) -> bytes:
        for left in reversed(range(self.timestamps.tries)):
            try:
                return _fetch(self.timestamps, request)
            except NoStamp:
                raise
            except (OSError, HTTPException) as error:
                if isinstance(error, urllib.error.HTTPError):
                    error.close()
                again = not isinstance(error, urllib.error.HTTPError) or error.code in _AGAIN
                if not left or not again:
                    raise NoStamp(_words(error)) from None
        raise AssertionError("unreachable")

    def _answer(self, request: bytes) -> Post:
        try:
            return Post(200, _REPLY, self.ask(request))
        except NoStamp as error:
            return Post(502, "text/plain", str(error).encode())


_RELAYS: dict[tuple[int, TimeStamps], Relay] = {}
_MAKING = threading.Lock()


def relay(timestamps: TimeStamps) -> Relay:
    """The relay of this process for an authority; started on first use."""
    with _MAKING:
        _leave_loopback_alone()
        key = (os.getpid(), timestamps)
        if key not in _RELAYS:
            _RELAYS[key] = Relay(timestamps)
        return _RELAYS[key]


def _leave_loopback_alone() -> None:
    """Where the environment names a proxy, say that it is not for this machine: the library would ask it for us."""
    if not any(os.environ.get(name) for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")):
        return
    for name in [name for name in ("NO_PROXY", "no_proxy") if name in os.environ] or ["NO_PROXY"]:
        hosts = os.environ.get(name, "")
        if HOST not in re.split(r"[\s,]+", hosts) and hosts.strip() != "*":
            os.environ[name] = f"{hosts},{HOST}".lstrip(",")


def _fetch(timestamps: TimeStamps, request: bytes) -> bytes:
    headers = {"Content-Type": "application/timestamp-query", "Accept": _REPLY}
    question = urllib.request.Request(timestamps.url, data=request, headers=headers)  # noqa: S310 - scheme is checked
    with urllib.request.urlopen(question, timeout=timestamps.timeout) as answer:  # noqa: S310
        kind = answer.headers.get_content_type()
        body: bytes = answer.read(_LARGEST)
    if kind.startswith("text/"):
        raise NoStamp(f"the authority answered with {kind}, not with a time stamp")
    return body


def _check(answer: bytes) -> None:
    """Raises NoStamp unless ``answer`` is a TimeStampResp that grants."""
    try:
        ((_, content, _),) = der.children(answer)
        parts = list(der.children(content))
        status = list(der.children(parts[0][1]))
        code = der.to_integer(status[0][1])
        granted = status[0][0] == der.INTEGER and code in _GRANTED and len(parts) > 1
        said = b" ".join(text for _, text, _ in der.children(status[1][1])) if len(status) > 1 else b""
    except (ValueError, IndexError):
        raise NoStamp(f"the authority's {len(answer)} bytes are no time stamp response") from None
    if not granted:
        words = " ".join(said.decode("utf-8", "replace").split())[:120]
        raise NoStamp(f"the authority refused with status {code}" + (f": {words}" if words else ""))


def _within(seconds: float, work: Callable[[], bytes]) -> bytes:
    """Wait no longer than that, whatever blocks: looking up a name has no time-out of its own."""
    done: SimpleQueue[bytes | Exception] = SimpleQueue()

    def run() -> None:
        try:
            done.put(work())
        except Exception as error:  # noqa: BLE001 - handed to the thread that waits
            done.put(error)

    threading.Thread(target=run, name="time stamp", daemon=True).start()
    try:
        found = done.get(timeout=seconds)
    except Empty:
        raise NoStamp(f"the authority did not answer within {seconds:g} s") from None
    if isinstance(found, Exception):
        raise found
    return found


def _words(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the authority answered with HTTP {error.code}"
    reason = getattr(error, "reason", error)
    if isinstance(reason, TimeoutError):
        return "the authority did not answer in time"
    text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return f"the authority cannot be reached: {text}"
