# SPDX-License-Identifier: Apache-2.0
"""Edit images, read every layer of what comes out, count."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from audit.errors import AnnotatorError, ConfigError, StoreError
from audit.images import decode
from audit.provenance.stamp import Stamper
from audit.provenance.survive._fresh import fresh_copy
from audit.provenance.survive._journal import Journal
from audit.provenance.survive.edits import EDITS, Edit
from audit.provenance.survive.layers import LAYERS, Layer, Marks, Outcome, Reader
from audit.provenance.survive.matrix import Finding, Row, Survival, cells_of, cost_of
from audit.provenance.watermark import Watermark

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event

__all__ = ["Plan", "Source", "measure", "survive"]

#: A file, or its bytes.
Source = Path | bytes


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done to every image, and what is looked at.

    Attributes:
        edits: what is done.
        layers: what is looked at.
        watermark: reads the marks, and puts them into fresh copies; None: that layer is not there.
        anchors: PEM of the roots to trust.
        stamper: makes fresh copies of images that carry neither credentials nor a mark; None: such images are measured
            as they are.
        restamp: make fresh copies of all images.
        level: of the intervals.
    """

    edits: tuple[Edit, ...] = EDITS
    layers: tuple[Layer, ...] = LAYERS
    watermark: Watermark | None = None
    anchors: str | None = None
    stamper: Stamper | None = None
    restamp: bool = False
    level: float = 0.95

    def __post_init__(self) -> None:
        if self.restamp and self.stamper is None:
            raise ValueError("fresh copies need a stamper")
        if len({edit.id for edit in self.edits}) < len(self.edits):
            raise ValueError("two edits have the same id")


def survive(
    images: Mapping[str, Source],
    plan: Plan | None = None,
    *,
    workers: int = 1,
    journal: Journal | None = None,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> Survival:
    """What of each layer survives which edit.

    Args:
        images: by name.
        plan: what to do; default: all edits, all layers but the watermark, images as they are.
        workers: processes. Reading a watermark is arithmetic under the interpreter lock, so threads would wait for each
            other; processes are started anew ("spawn"), since the C2PA library does not survive a fork.
        journal: keeps each finished image; images that are in it already are not looked at again.
        progress: told what, how many are done, of how many.

    Raises:
        ConfigError: there are no images.
        AnnotatorError: a worker process died.
        StoreError: the journal cannot be written.
    """
    plan = plan or Plan()
    if not images:
        raise ConfigError("there are no images to edit", hint="give PNG, JPEG or WebP files, or folders of them")
    digests = {name: _digest(source) for name, source in images.items()}
    done = journal.read(digests) if journal else {}
    todo = {name: source for name, source in images.items() if name not in done}
    _anchors(plan)  # a chain that cannot sign is told here, not by every worker
    progress("images edited", len(done), len(images))
    # Closed here and now, not when the last traceback is forgotten: workers must not outlive an interrupt.
    with closing(_findings(todo, plan, workers=min(workers, len(todo)))) as found:
        for finding in found:
            done[finding.image] = finding
            if journal:
                journal.add(finding, digests[finding.image])
            progress("images edited", len(done), len(images))
    return _sum(tuple(done[name] for name in images), plan)


def measure(name: str, source: Source, plan: Plan, *, stopped: Callable[[], bool] = lambda: False) -> Finding:
    """All edits on one image.

    Args:
        name: of the image.
        source: the image; one that cannot be read is a finding without layers.
        plan: what to do.
        stopped: asked between edits; where it says yes, KeyboardInterrupt is raised.
    """
    try:
        data = source.read_bytes() if isinstance(source, Path) else source
    except OSError as error:
        return Finding(name, note=f"cannot be opened: {error.strerror}")
    reader = Reader(anchors=_anchors(plan), watermark=plan.watermark, layers=plan.layers)
    try:
        found, data, marks = _before(name, data, reader, plan)
    except (ValueError, StoreError) as error:
        return Finding(name, note=str(error).partition(" <_io")[0])  # Pillow names the buffer by its address
    if not marks.layers:
        return replace(found, note=found.note or "carries none of the layers")
    rows: list[Row] = []
    for edit in plan.edits:
        if stopped():
            raise KeyboardInterrupt
        rows += _rows(name, edit, data, marks, reader)
    return replace(found, layers=marks.layers, rows=tuple(rows))


def _before(name: str, data: bytes, reader: Reader, plan: Plan) -> tuple[Finding, bytes, Marks]:
    """What is edited - the image or a fresh copy of it - and what it carries."""
    rgb = decode(data)
    marks = reader.marks(data)
    if plan.stamper is None or not (plan.restamp or not (marks.c2pa or marks.payload)):
        return Finding(name), data, marks
    # A mark that is there already stays: a second one on top of it would be read by nobody.
    watermark = None if marks.payload or Layer.WATERMARK not in plan.layers else plan.watermark
    copy = fresh_copy(name, rgb, stamper=plan.stamper, watermark=watermark)
    payload = marks.payload or copy.payload
    found = Finding(name, fresh=True, psnr=copy.psnr, ssim=copy.ssim, note=copy.note)
    return found, copy.data, replace(reader.marks(copy.data), payload=payload)


def _rows(name: str, edit: Edit, data: bytes, marks: Marks, reader: Reader) -> Iterator[Row]:
    edited = edit(data)
    outcomes = dict.fromkeys(marks.layers, Outcome.MISSING) if edited is None else reader.outcomes(marks, edited)
    return (Row(name, edit.id, layer, outcome) for layer, outcome in outcomes.items())


def _anchors(plan: Plan) -> str | None:
    """Given roots, and that of the chain which stamps fresh copies."""
    own = plan.stamper.chain.root if plan.stamper else None
    return "\n".join(filter(None, (plan.anchors, own.decode() if own else None))) or None


def _sum(findings: tuple[Finding, ...], plan: Plan) -> Survival:
    rows = [row for finding in findings for row in finding.rows]
    cells = cells_of(rows, [edit.id for edit in plan.edits], plan.layers, level=plan.level)
    return Survival(findings, cells, cost_of(findings), plan.level)


def _digest(source: Source) -> str:
    try:
        return hashlib.sha256(source.read_bytes() if isinstance(source, Path) else source).hexdigest()
    except OSError:
        return ""


# -- workers ---------------------------------------------------------------------------------------------------


def _findings(images: Mapping[str, Source], plan: Plan, *, workers: int) -> Generator[Finding, None, None]:
    """As they are finished."""
    if workers <= 1:
        for name, source in images.items():
            yield measure(name, source, plan)
        return
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    spawn = get_context("spawn")
    stop = spawn.Event()
    pool = ProcessPoolExecutor(workers, mp_context=spawn, initializer=_start, initargs=(plan, stop))
    with _ending(pool.shutdown, stop):
        futures = [pool.submit(_work, name, source) for name, source in images.items()]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool:
            hint = "the same command again goes on where it stopped; --workers 1 needs less memory"
            raise AnnotatorError("a worker process ended before its image was done", hint=hint) from None


@contextmanager
def _ending(shutdown: Callable[..., None], stop: Event) -> Iterator[None]:
    """Whatever happens, workers end after the edit that they are at."""
    try:
        yield
    finally:
        stop.set()
        shutdown(wait=True, cancel_futures=True)


class _Here:
    """What a worker process keeps between images."""

    plan: Plan
    stop: Event


def _start(plan: Plan, stop: Event) -> None:
    import signal
    import threading

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent says when it is over
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _Here.plan, _Here.stop = plan, stop


def _end_with_parent() -> None:
    """A parent that is killed says nothing, and a worker would wait for it forever."""
    import os
    from multiprocessing import parent_process

    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(name: str, source: Source) -> Finding:
    return measure(name, source, _Here.plan, stopped=_Here.stop.is_set)
