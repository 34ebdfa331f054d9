# SPDX-License-Identifier: Apache-2.0
"""Processes that hold a generator each: drawing goes on while finished images are stored, signed and measured.

A process of its own can be killed when it hangs and survives nothing it takes down with it, and small networks draw
more images a second on two processes with one thread each than on one with two.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe
from typing import Any, BinaryIO

from audit.config import GeneratorConfig
from audit.errors import AuditError, GeneratorError
from audit.generators._child import FAILED, OK
from audit.registry import GENERATORS
from audit.types import Generation, GeneratorSpec, Request, Scalar

__all__ = ["Drawer", "GaveUp", "Lost", "Patience", "Raised", "arguments_of"]

_PATIENCE = 3
_WIDEST = 64  # images at once: beyond that nothing gets faster, and halving down from there takes long
_LAST_WORDS = 400


def arguments_of(block: GeneratorConfig) -> dict[str, Any]:
    """What a generator is built with; kinds that say ``fills_lanes`` draw whole batches at once unless told not to."""
    options = dict(block.options)
    if getattr(GENERATORS.get(block.kind), "fills_lanes", False) and options.get("lanes") is None:
        options["lanes"] = min(_WIDEST, 1 << (block.batch_size.bit_length() - 1))
    return {"model": block.model, "params": block.params, "options": options}


class Raised(Exception):  # noqa: N818 - it says what happened
    """The generator raised; the message is ``Type: text`` of its exception."""


class Lost(Exception):  # noqa: N818
    """The process of the generator died, or was ended because it took too long."""


class GaveUp(Lost):
    """Too many processes were lost in a row; nobody is asked any more."""


@dataclass(slots=True)
class Patience:
    """Counts processes that were lost in a row, over all drawers of one generator."""

    lost: int = 0
    last: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def check(self) -> None:
        """Raises GaveUp when the generator has failed too often."""
        if self.lost >= _PATIENCE:
            raise GaveUp(f"not asked: {self.lost} processes in a row were lost, the last one because {self.last}")

    def note(self, why: str | None) -> None:
        """An answer came (None), or a process was lost."""
        with self._lock:
            self.lost, self.last = (0, "") if why is None else (self.lost + 1, why)


class Drawer:
    """One process with one generator; started on first use and again after it was lost.

    Args:
        block: of the audit file.
        threads: compute threads of the process.
        patience: shared with the other drawers of the generator.
        metas: of images that a resumed run already holds.
        count: whether operations are counted, once.

    Attributes:
        drawers: processes that draw for the generator at once; they share counters of the whole machine.
    """

    def __init__(
        self,
        block: GeneratorConfig,
        *,
        threads: int,
        patience: Patience,
        metas: Sequence[Mapping[str, Scalar]] = (),
        count: bool = True,
    ) -> None:
        self._block, self._threads, self._patience, self._metas = block, threads, patience, list(metas)
        self._count, self.drawers = count, 1
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        self._lifeline: int | None = None
        self._words: BinaryIO | None = None
        self._spec: GeneratorSpec | None = None
        self._opened = self._loaded = self._ended = False
        self._busy = threading.Lock()

    @property
    def spec(self) -> GeneratorSpec:
        """Identity, as the generator in the process tells it. Raises AuditError, also where the process dies."""
        with self._busy:
            try:
                self._open()
            except Lost as error:
                hint = "`genaudit doctor` checks the installation; `isolate: false` draws in the main process"
                raise GeneratorError(str(error), where=f"generator {self._block.name!r}", hint=hint) from None
        assert self._spec is not None
        return self._spec

    def generate(self, batch: Sequence[Request], /) -> list[Generation]:
        """Answers of the generator.

        Raises:
            Raised: the generator raised.
            Lost: its process died or exceeded the time limit.
            GaveUp: that happened too often in a row.
            AuditError: it cannot be driven at all.
        """
        self._patience.check()
        limit = self._block.time_limit * max(1, len(batch))
        with self._busy:
            self._load()
            answers: list[Generation] = self._ask("generate", (list(batch), self.drawers), limit=limit)
        self._patience.note(None)
        self._metas += [answer.meta for answer in answers]
        return answers

    def load(self) -> None:
        """Load the weights now instead of on the first request. Raises as ``generate``."""
        with self._busy:
            self._load()

    def forgive(self) -> None:
        """Forget how many processes were lost."""
        self._patience.note(None)

    def close(self) -> None:
        """End the process, whatever it does; nothing is asked of it any more."""
        self._ended = True
        process = self._process
        if process is not None:  # a thread that waits for an answer learns so from the pipe
            process.kill()
        with self._busy:
            self._drop()

    def _drop(self) -> None:
        """Forget a process that was lost, so that the next order starts another."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        for end in (self._pipe, self._words):
            if end is not None:
                end.close()
        if self._lifeline is not None:
            os.close(self._lifeline)
        self._process = self._pipe = self._words = self._lifeline = None
        self._opened = self._loaded = False

    def start(self) -> None:
        """Start the process, without waiting for it."""
        if self._ended:
            raise GaveUp("not asked: the run was stopped")
        if self._process is not None:
            return
        ours, theirs = Pipe()
        ends, self._lifeline = os.pipe()
        self._pipe = ours
        # What a generator prints belongs neither to our findings nor between our progress bars.
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process
        shown = None if os.environ.get("GENAUDIT_DEBUG") else self._words
        line = [sys.executable, "-P", "-c", "from audit.generators._child import main; main()"]
        try:
            self._process = subprocess.Popen(  # noqa: S603
                [*line, str(theirs.fileno()), str(ends)],
                pass_fds=(theirs.fileno(), ends),
                stdin=subprocess.DEVNULL,
                stdout=shown,
                stderr=shown,
                env={**os.environ, **_environment(self._threads)},
            )
        finally:
            theirs.close()
            os.close(ends)
        block = self._block
        try:
            ours.send(("open", (block.kind, block.name, arguments_of(block), self._metas, self._count)))
        except OSError:  # it died before it could listen
            raise self._lost(self._cause()) from None

    def _open(self) -> None:
        """Wait until the process has built the generator."""
        self.start()
        if not self._opened:
            self._spec = self._hear("open", limit=None)
            self._opened = True

    def _load(self) -> None:
        self._open()
        if not self._loaded:
            self._ask("load", None, limit=None)  # downloading and compiling count against no image
            self._loaded = True

    def _ask(self, order: str, argument: Any, *, limit: float | None) -> Any:
        assert self._pipe is not None
        try:
            self._pipe.send((order, argument))
        except OSError:
            raise self._lost(self._cause()) from None
        return self._hear(order, limit=limit)

    def _hear(self, order: str, *, limit: float | None) -> Any:
        assert self._pipe is not None
        try:
            if not self._pipe.poll(limit):
                raise self._lost(f"it gave no answer within {limit:g} s")
            word, value = self._pipe.recv()
        except (EOFError, OSError):
            raise self._lost(self._cause()) from None
        if word == OK:
            return value
        if word == FAILED:
            kind, message, where, hint = value
            raise _known(kind)(message, where=where, hint=hint)
        if order == "generate":
            raise Raised(value)
        hint = "`genaudit doctor` checks the installation"
        raise GeneratorError(value, where=f"generator {self._block.name!r}", hint=hint)

    def _cause(self) -> str:
        assert self._process is not None
        assert self._words is not None
        code = self._process.wait()
        self._words.seek(0)
        said = _last_words(self._words.read().decode("utf-8", "replace"))
        if code == -signal.SIGKILL:
            self._narrow()
        killed = f"it died of signal {-code}" if code < 0 else f"it ended with code {code}"
        memory = " (out of memory?)" if code == -signal.SIGKILL else ""
        return f"{killed}{memory}{': ' + said if said else ''}"

    def _narrow(self) -> None:
        """The next process draws half as many images at once: on a CPU the kernel ends who asks for too much memory."""
        lanes = self._spec.details.get("lanes") if self._spec else None
        seen = [meta["lanes"] for meta in self._metas if "lanes" in meta]
        widths = [width for width in [lanes, *seen] if isinstance(width, int)]
        if widths and min(widths) > 1:
            self._metas.append({"lanes": min(widths) // 2})
            self._patience.note(None)  # one more try is worth while, with less

    def _lost(self, why: str) -> Lost:
        self._drop()
        self._patience.note(why)
        return Lost(f"the process of the generator was lost: {why}")


def _last_words(text: str) -> str:
    """What Python calls a crash, else the last line that was printed."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    crash = next((line for line in lines if line.startswith("Fatal Python error")), None)
    return (crash or (lines[-1] if lines else ""))[:_LAST_WORDS]


def _known(kind: Any) -> type[AuditError]:
    return kind if isinstance(kind, type) and issubclass(kind, AuditError) else GeneratorError


def _environment(threads: int) -> dict[str, str]:
    """Thread counts and the import path of this process, and a Python trace in case of a crash."""
    counts = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    return {**counts, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONFAULTHANDLER": "1"}
