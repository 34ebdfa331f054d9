# SPDX-License-Identifier: Apache-2.0
"""Signing without the interpreter in the way.

The library reads and writes through Python callbacks, some hundred a picture, each of which takes the interpreter lock:
two threads sign only 1.2 to 1.5 times as fast as one. Its streams, though, are four C functions and a context that is
handed to each. The C library's own ``read``, ``lseek`` and ``write`` have the very same shape where the context is a
file descriptor, so here the picture lies in an anonymous file in memory, and so does the result, unless a callback
costs less than the file's fresh pages: in a thread that is alone, and above a megabyte. Where all that cannot be had
(not Linux, or another inside of the library) the callbacks do.
"""

from __future__ import annotations

import ctypes
import io
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from types import SimpleNamespace
from typing import Any, Final

from audit.provenance._engine import library

__all__ = ["native", "sign"]

_NEEDED: Final = ("_lib", "ReadCallback", "SeekCallback", "WriteCallback", "FlushCallback", "StreamContext")
_LARGE: Final = 2**20
_MOST: Final = 2**30  # one system call moves less than twice this


def sign(builder: Any, kind: str, data: bytes) -> tuple[bytes, bytes]:
    """Sign ``data`` with a builder whose context holds the signer.

    Args:
        builder: a ``c2pa.Builder``; used up.
        kind: media type.
        data: the whole file.

    Returns:
        The signed file, and the manifest store in it (JUMBF).

    Raises:
        c2pa.C2paError: as ``Builder.sign`` does.
    """
    calls = native()
    if calls is None or len(data) > _MOST:
        out = io.BytesIO()
        embedded: bytes = builder.sign(kind, io.BytesIO(data), out)
        return out.getvalue(), embedded
    with _stream(calls, _source(data)) as source:
        if threading.active_count() > 1 and len(data) < _LARGE:
            return _into_memory_file(builder, kind, source, calls)
        return _into_buffer(builder, kind, source)


def _into_memory_file(builder: Any, kind: str, source: Any, calls: Any) -> tuple[bytes, bytes]:
    handle = os.memfd_create("signed")
    try:
        with _stream(calls, handle) as target:
            embedded = builder._sign_internal(kind, source, target)
        return os.pread(handle, os.fstat(handle).st_size, 0), embedded
    finally:
        os.close(handle)


def _into_buffer(builder: Any, kind: str, source: Any) -> tuple[bytes, bytes]:
    """For a thread that is alone, and for large files: callbacks cost them less than the fresh pages of a file."""
    out = io.BytesIO()
    target = library().Stream(out)
    try:
        embedded = builder._sign_internal(kind, source, target)
    finally:
        target.close()
    return out.getvalue(), embedded


@cache
def native() -> Any:
    """The functions that streams are made of; None where this platform or library does not have them."""
    library()
    inside, libc = import_module("c2pa.c2pa"), ctypes.CDLL(None)
    builder = getattr(inside, "Builder", None)
    whole = all(hasattr(inside, name) for name in _NEEDED) and hasattr(builder, "_sign_internal")
    if not whole or not hasattr(os, "memfd_create"):
        return None
    return SimpleNamespace(
        lib=inside._lib,
        context=ctypes.POINTER(inside.StreamContext),
        calls=(
            ctypes.cast(libc.read, inside.ReadCallback),
            ctypes.cast(libc.lseek, inside.SeekCallback),  # 0, 1 and 2 mean start, here and end to both
            ctypes.cast(libc.write, inside.WriteCallback),
            ctypes.cast(libc.isatty, inside.FlushCallback),  # nothing to flush: any call that answers 0 will do
        ),
    )


@contextmanager
def _stream(native_calls: Any, handle: int) -> Iterator[Any]:
    context = ctypes.cast(ctypes.c_void_p(handle), native_calls.context)
    made = native_calls.lib.c2pa_create_stream(context, *native_calls.calls)
    if not made:
        raise library().C2paError("a stream cannot be made")
    try:
        yield SimpleNamespace(_stream=made)
    finally:
        native_calls.lib.c2pa_release_stream(made)


class _Memory:
    """An anonymous file that is closed when nobody holds it."""

    def __init__(self) -> None:
        self.handle, self.process = os.memfd_create("unsigned"), os.getpid()

    def __del__(self) -> None:
        os.close(self.handle)


# One a thread, used for every picture: fresh pages for each would cost more than the copying.
_KEPT: Final = threading.local()


def _source(data: bytes) -> int:
    kept = getattr(_KEPT, "memory", None)
    if kept is None or kept.process != os.getpid():  # a forked child would share the place in its parent's file
        kept = _KEPT.memory = _Memory()
    handle: int = kept.handle
    os.ftruncate(handle, len(data))
    view, done = memoryview(data), 0
    while done < len(data):
        done += os.pwrite(handle, view[done:], done)
    os.lseek(handle, 0, os.SEEK_SET)
    return handle
