# SPDX-License-Identifier: Apache-2.0
"""The instruments of a run: each sees every image once, one chunk at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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

__all__ = ["Instruments", "modest_threads"]


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
    _locks: dict[str, threading.Lock] = field(default_factory=dict)

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
        return [name for name in self.names if not self.run.has_part(_kind(self[name]), index)]

    def measure(self, index: str, images: Sequence[ImageRecord]) -> None:
        """Let those that have not seen the chunk yet see its images, and store their columns."""
        for name in self.waiting(index):
            annotator = self[name]
            with self._locks[name], self.spent.on(f"annotate.{name}"):
                columns = _columns(annotator, images) if images else {}
            self.run.add_annotations(annotator.spec, index, [image.request_id for image in images], columns)

    def parts(self, name: str, index: str) -> Any:
        """The stored columns of one chunk."""
        return self.run.read_part(_kind(self[name]), index)


def _kind(annotator: Annotator) -> str:
    return f"annotations/{annotator.spec.name}@{annotator.spec.digest[:12]}"


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


@contextmanager
def modest_threads(*, needed: bool) -> Iterator[None]:
    """While generators draw, an instrument's network takes half of the cores: more would only make all of them wait."""
    if not needed:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(measuring_threads(available()))
    try:
        yield
    finally:
        torch.set_num_threads(before)
