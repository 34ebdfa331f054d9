# SPDX-License-Identifier: Apache-2.0
"""Untrusted files are read by child processes, which may hang, run out of memory or crash without harm to this one.

A child is started once and answers for many files; after a crash or a time-out another takes its place. What it
answers is data: it is parsed and checked field by field, since a child that was taken over may say anything.
"""

from __future__ import annotations

import math
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from audit.provenance._limits import Limits
from audit.provenance._sayings import crashed, killed, not_started, out_of_memory, out_of_time
from audit.provenance._sources import Source
from audit.provenance._verdict import Verified, verified_from
from audit.provenance._worker import receive, send
from audit.provenance.state import State
from audit.provenance.trust import TrustList

__all__ = ["Sandbox"]

_CODE: Final = "import sys; sys.path[:] = {path!r}; from audit.provenance._worker import main; main()"
_KEPT: Final = (
    "PATH",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "SYSTEMROOT",
    "TMPDIR",
    "LANG",
    "LC_ALL",
    "HOME",
    "GENAUDIT_CACHE",
    "XDG_CACHE_HOME",
)
_ALONE: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_ANSWER: Final = 64 * 2**20
_PIPE: Final = 2**20
# What the native library's allocator and Python say before they give up.
_MEMORY: Final = ("memory allocation of", "MemoryError", "Cannot allocate memory")


class Sandbox:
    """Verifies in child processes. Threads may share it; a forked process gets children of its own.

    Args:
        lists: trust lists in force.
        workers: children at most; they are started when they are first needed.
        limits: what one file may cost.
        rubric: as in `audit.provenance.verify.verify_bytes`.
    """

    def __init__(
        self,
        lists: Sequence[TrustList] = (),
        *,
        workers: int = 1,
        limits: Limits | None = None,
        rubric: bool = False,
    ) -> None:
        self.limits = limits or Limits()
        self._lists = tuple(lists)
        self._workers, self._rubric = workers, rubric
        self._closed = False
        self._fill()

    def _fill(self) -> None:
        self._owner = os.getpid()
        start = {"limits": asdict(self.limits), "lists": [asdict(one) for one in self._lists], "rubric": self._rubric}
        self._all = [_Child(start, self.limits) for _ in range(self._workers)]
        self._free: queue.LifoQueue[_Child] = queue.LifoQueue()
        for child in self._all:
            self._free.put(child)

    def __getstate__(self) -> dict[str, Any]:
        return {"lists": self._lists, "workers": self._workers, "limits": self.limits, "rubric": self._rubric}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state.pop("lists"), **state)  # type: ignore[misc]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all children; verdicts that are still waited for come back as undetermined."""
        self._closed = True
        if self._owner == os.getpid():
            for child in self._all:
                child.end(for_good=True)

    def verify(self, source: Source) -> Verified:
        """The verdict on one source; never raises because of the file."""
        if self._owner != os.getpid():
            self._fill()
        if source.problem is not None:
            return self._told(Verified(State.UNREADABLE, codes=("genaudit.file.source",), message=source.problem))
        child = self._free.get()
        try:
            if self._closed:
                return self._told(not_started("the sandbox is closed"))
            return self._told(child.ask(source))
        finally:
            self._free.put(child)

    @property
    def children(self) -> tuple[int, ...]:
        """Process ids of the children that run now."""
        return tuple(pid for child in self._all if (pid := child.pid) is not None)

    def _told(self, verdict: Verified) -> Verified:
        return replace(verdict, lists=tuple(one.record for one in self._lists))


class _Child:
    """One process, used by one thread at a time."""

    def __init__(self, start: Mapping[str, Any], limits: Limits) -> None:
        self._start, self._limits = dict(start), limits
        self._process: subprocess.Popen[bytes] | None = None
        self._clock = _Clock(self._too_late)
        self._expired = False

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def ask(self, source: Source) -> Verified:
        """Hand a file over and wait; whatever happens to the child becomes a verdict."""
        if self._process is not None and self._process.poll() is not None:  # not this file's doing
            self.end()
        if self._process is None and (problem := self._begin()) is not None:
            return problem
        # The child stays in the folder it was started in.
        table = {"path": str(Path(source.path or source.name).absolute())} if source.data is None else {}
        answer = self._exchange(table, source.data or b"", seconds=self._limits.seconds)
        if answer is None:
            return self._autopsy()
        try:
            return verified_from(answer)
        except ValueError as error:
            self.end()
            return crashed(f"gave an answer that makes no sense ({error})")

    def end(self, *, for_good: bool = False) -> None:
        """Kill the process, if there is one; ``for_good``: no other will follow."""
        process, self._process = self._process, None
        if for_good:
            self._clock.end()
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            with suppress(OSError):
                pipe.close()  # type: ignore[union-attr]

    def _begin(self) -> Verified | None:
        environment = {name: value for name in _KEPT if (value := os.environ.get(name)) is not None} | _ALONE
        path = [str(Path(folder).absolute()) for folder in sys.path]  # the child stands in the same folder
        try:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-c", _CODE.format(path=path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                pipesize=_PIPE,
            )
        except OSError as error:
            return not_started(str(error))
        os.set_blocking(self._process.stderr.fileno(), False)  # type: ignore[union-attr]
        if self._exchange(self._start, b"", seconds=self._limits.start) is None:
            said = self._last_words()
            self.end()
            return not_started(said)
        return None

    def _exchange(self, table: dict[str, Any], data: bytes, *, seconds: float) -> Any:
        """The child's answer; None if it ended, or was ended, before it gave one."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        self._expired = False
        self._clock.start(seconds)
        try:
            send(process.stdin, table, data)  # type: ignore[arg-type]
            answer = receive(process.stdout, most=_ANSWER)  # type: ignore[arg-type]
        except (OSError, ValueError):
            answer = None
        finally:
            self._clock.stop()
        if answer is None:
            return None
        with suppress(OSError, ValueError):  # a standard error that nobody reads fills up and blocks the child
            process.stderr.read()  # type: ignore[union-attr]
        return answer[0]

    def _too_late(self) -> None:
        if self._process is not None:
            self._expired = True
            self._process.kill()

    def _last_words(self) -> str:
        process = self._process
        if process is None or process.stderr is None:
            return ""
        with suppress(OSError, ValueError):
            process.wait(timeout=5)
        with suppress(OSError, ValueError):
            return (process.stderr.read() or b"").decode("utf-8", "replace")[-2000:]
        return ""

    def _autopsy(self) -> Verified:
        expired, said = self._expired, self._last_words()
        process = self._process
        code = process.poll() if process is not None else None
        self.end()
        if expired or (code is not None and -code == getattr(signal, "SIGXCPU", None)):
            return out_of_time(self._limits.seconds)
        if any(words in said for words in _MEMORY):
            return out_of_memory(self._limits.memory)
        if code is None or -code in (signal.SIGKILL, signal.SIGTERM):
            return killed()
        return crashed(f"signal {-code}" if code < 0 else f"exit code {code}")


class _Clock:
    """Calls ``late`` when `stop` does not come in time; a thread for each file would cost more than reading it.

    Args:
        late: called in the clock's thread, and never after `stop` has returned.
    """

    def __init__(self, late: Callable[[], None]) -> None:
        self._late = late
        self._changed = threading.Condition()
        self._deadline: float | None = None
        self._wakes = -math.inf  # when the thread looks next; minus infinity where there is none
        self._ended = False

    def start(self, seconds: float) -> None:
        """From now on it runs."""
        with self._changed:
            self._deadline = time.monotonic() + seconds
            if self._wakes == -math.inf:
                self._wakes = self._deadline
                threading.Thread(target=self._watch, daemon=True, name="genaudit-verify-clock").start()
            elif self._deadline < self._wakes:
                self._changed.notify()

    def stop(self) -> None:
        """In time."""
        with self._changed:
            self._deadline = None

    def end(self) -> None:
        """No more is to come."""
        with self._changed:
            self._ended, self._deadline = True, None
            self._changed.notify()

    def _watch(self) -> None:
        with self._changed:
            while not self._ended:
                left = math.inf if self._deadline is None else self._deadline - time.monotonic()
                if left <= 0:
                    self._deadline = None
                    self._late()
                    continue
                self._wakes = time.monotonic() + left
                self._changed.wait(None if left == math.inf else left)
            self._wakes = -math.inf
