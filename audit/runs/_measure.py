# SPDX-License-Identifier: Apache-2.0
"""The instruments of a run: each sees every image once, one chunk at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from audit.config import AuditConfig
from audit.errors import AnnotatorError, AuditError
from audit.registry import ANNOTATORS
from audit.runs._cores import available, measuring_threads
from audit.runs._spent import Spent
from audit.runs.instruments import annotator_options
from audit.runs.store import Run
from audit.types import Annotator, ImageRecord

__all__ = ["Instruments"]


class _Modesty:
    """While generators draw, an instrument's network takes half of the cores: more would only make all of them wait.

    Nothing is imported before the first instrument is used, so that drawing need not wait for it.
    """

    def __init__(self) -> None:
        self._before: int | None = None
        self._lock = threading.Lock()

    def begin(self) -> None:
        """From now on; again makes no difference."""
        with self._lock:
            if self._before is None:
                import torch

                self._before = torch.get_num_threads()
                torch.set_num_threads(measuring_threads(available()))

    def end(self) -> None:
        """As it was before."""
        if self._before is not None:
            import torch

            torch.set_num_threads(self._before)
            self._before = None


@dataclass(slots=True)
class Instruments:
    """Annotators by name, built on first use.

    Chunks are measured in several threads, but an annotator works in one at a time: plug-ins need not be thread-safe.

    Attributes:
        config: of the audit.
        names: which annotators.
        run: where the columns go.
        spent: told how long each took.
    """

    config: AuditConfig
    names: Sequence[str]
    run: Run
    spent: Spent
    _made: dict[str, Annotator] = field(default_factory=dict)
    _kinds: dict[str, str] = field(default_factory=dict)
    _locks: dict[str, threading.Lock] = field(default_factory=dict)
    _modesty: _Modesty = field(default_factory=_Modesty)

    def build(self) -> None:
        """Make all of them now: a wrong option is known before the first image, weights are loaded later."""
        for name in self.names:
            _ = self[name]

    def __getitem__(self, name: str) -> Annotator:
        """The annotator called ``name``, with the options that the configuration implies."""
        if name not in self._made:
            self._made[name] = ANNOTATORS.get(name)(**annotator_options(name, self.config))
            self._locks[name] = threading.Lock()
        return self._made[name]

    def __iter__(self) -> Iterator[Annotator]:
        return (self[name] for name in self.names)

    def waiting(self, index: str) -> list[str]:
        """Names of the annotators that have not seen the chunk yet."""
        return [name for name in self.names if not self.run.has_part(self._kind(name), index)]

    def measure(self, index: str, images: Sequence[ImageRecord]) -> None:
        """Let those that have not seen the chunk yet see its images, and store their columns."""
        for name in self.waiting(index):
            self._modesty.begin()
            annotator = self[name]
            with self._locks[name], self.spent.on(f"annotate.{name}"):
                columns = _columns(annotator, images) if images else {}
            self.run.add_annotations(annotator.spec, index, [image.request_id for image in images], columns)

    def rest(self) -> None:
        """All images are measured: what comes next may use every core."""
        self._modesty.end()

    def parts(self, name: str, index: str) -> Any:
        """The stored columns of one chunk."""
        return self.run.read_part(self._kind(name), index)

    def _kind(self, name: str) -> str:
        """Where its columns are; a spec may import and digest much, so it is asked for once."""
        annotator = self[name]
        with self._locks[name]:
            if name not in self._kinds:
                self._kinds[name] = f"annotations/{annotator.spec.name}@{annotator.spec.digest[:12]}"
            return self._kinds[name]


def _columns(annotator: Annotator, images: Sequence[ImageRecord]) -> Mapping[str, Any]:
    name = annotator.spec.name
    try:
        columns = annotator.annotate(images)
    except AuditError:
        raise
    except Exception as error:
        raise AnnotatorError(
            f"{type(error).__name__}: {error}", where=f"annotator {name}", hint="`genaudit doctor`"
        ) from error
    lengths = {column for column, values in columns.items() if len(values) != len(images)}
    if wrong := lengths | set(columns) ^ set(annotator.spec.columns):
        raise AnnotatorError(f"returned wrong columns: {', '.join(sorted(wrong))}", where=f"annotator {name}")
    return columns
