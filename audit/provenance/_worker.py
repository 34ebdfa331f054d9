# SPDX-License-Identifier: Apache-2.0
"""The child process that reads untrusted files: one request in, one verdict out, as JSON, until its input ends.

It starts with nothing but what it needs: no secrets in its environment, no open files, and limits that it sets itself
before it reads the first byte.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, Final

from audit.provenance._limits import Limits
from audit.provenance._sayings import out_of_memory
from audit.provenance._verdict import Verified
from audit.provenance.trust import TrustList
from audit.provenance.verify import verify_bytes, verify_path

__all__ = ["main", "receive", "send"]

_HEAD: Final = struct.Struct("!IQ")  # length of the table, length of the bytes after it


def send(pipe: BinaryIO, table: dict[str, Any], data: bytes = b"") -> None:
    """Write one message."""
    text = json.dumps(table).encode()
    pipe.write(_HEAD.pack(len(text), len(data)) + text)
    if data:
        pipe.write(data)
    pipe.flush()


def receive(pipe: BinaryIO, *, most: int) -> tuple[Any, bytes] | None:
    """Read one message; None at the end. Raises ValueError for one that is cut short or longer than ``most``."""
    head = pipe.read(_HEAD.size)
    if not head:
        return None
    if len(head) < _HEAD.size:
        raise ValueError("a message that is cut short")
    text, data = _HEAD.unpack(head)
    if text + data > most:
        raise ValueError(f"a message of {text + data} bytes")
    table, rest = pipe.read(text), pipe.read(data)
    if len(table) < text or len(rest) < data:
        raise ValueError("a message that is cut short")
    return json.loads(table), rest


def main() -> None:
    """Serve until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which closes the pipe
    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints must not get among the answers
    first = receive(requests, most=2**30)
    if first is None:
        return
    limits = Limits(**first[0]["limits"])
    lists = tuple(TrustList(**each) for each in first[0]["lists"])
    rubric = bool(first[0]["rubric"])
    verify_bytes(_TINY, trust=lists)  # loads the library, which must not count against the first file
    _bound(limits)
    send(answers, {"ready": True})
    while (request := receive(requests, most=2**40)) is not None:
        _bound_processor(limits)
        send(answers, asdict(_one(*request, lists=lists, limits=limits, rubric=rubric)))


def _one(table: dict[str, Any], data: bytes, *, lists: tuple[TrustList, ...], limits: Limits, rubric: bool) -> Verified:
    try:
        if "path" in table:
            return verify_path(Path(table["path"]), trust=lists, max_bytes=limits.bytes, rubric=rubric)
        return verify_bytes(data, trust=lists, max_bytes=limits.bytes, rubric=rubric)
    except MemoryError:
        return out_of_memory(limits.memory)


def _bound(limits: Limits) -> None:
    """Limits of the whole process; where the platform has none of them, the parent's clock is all there is."""
    try:
        import resource
    except ImportError:
        return
    nothing = {resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: 0}  # no core dumps, no files written
    for which, most in (*nothing.items(), (resource.RLIMIT_AS, _mapped() + limits.memory)):
        try:
            resource.setrlimit(which, (most, most))
        except (ValueError, OSError, OverflowError):
            continue


def _bound_processor(limits: Limits) -> None:
    """Should the parent die while a file is being read, this process must not go on for ever."""
    try:
        import resource
    except ImportError:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + limits.seconds) + 2
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    except (ValueError, OSError, OverflowError):
        return


def _mapped() -> int:
    """Bytes of address space that this process maps now."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 2**30


# A picture of one pixel.
_TINY: Final = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010800000000"
    "3a7e9b550000000a49444154789c6360000000020001e221bc330000000049454e44ae426082"
)
