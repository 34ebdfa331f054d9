# SPDX-License-Identifier: Apache-2.0
"""Who draws: processes of their own for what loads a model, this process for folders, servers and the renderer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from audit.config import GeneratorConfig
from audit.registry import GENERATORS
from audit.runs._cores import available, crew_size
from audit.runs._drawer import Drawer, Lost, Patience, arguments_of
from audit.types import Generator, GeneratorSpec, Scalar

__all__ = ["Crew", "build_generator", "drawing"]


@dataclass(frozen=True, slots=True)
class Crew:
    """The members that draw for one generator; each answers one batch at a time.

    Attributes:
        members: generators, or processes that hold one.
        threads: compute threads of each process; None where this process draws.
    """

    members: tuple[Generator, ...]
    threads: int | None = None

    @property
    def spec(self) -> GeneratorSpec:
        """Identity, the same for all members."""
        return self.members[0].spec


def build_generator(block: GeneratorConfig) -> Any:
    """The generator of a block of the audit file, in this process."""
    return GENERATORS.get(block.kind)(block.name, **arguments_of(block))


@contextmanager
def drawing(
    block: GeneratorConfig, *, planned: int, left: int, metas: Sequence[Mapping[str, Scalar]], count: bool = True
) -> Iterator[Crew]:
    """Members that draw, ended afterwards whatever happens.

    Args:
        block: of the audit file.
        planned: chunks of the whole plan; cores are shared out among at most so many members.
        left: how many are still to be drawn; no more members than that are started.
        metas: of images that a resumed run already holds, for generators that want to ``recall`` them.
        count: whether operations are counted, once.

    Raises:
        AuditError: the generator cannot be driven at all.
    """
    if _isolated(block):
        crew = _drawers(block, planned=planned, left=left, metas=metas, count=count)
    else:
        crew = Crew((_alone(block, metas),))
    try:
        yield crew
    finally:
        for member in crew.members:
            with suppress(Exception):  # an end that goes wrong must not hide what came before
                getattr(member, "close", lambda: None)()


def _isolated(block: GeneratorConfig) -> bool:
    """Kinds say ``isolated = False`` when they load nothing that could hang or crash."""
    return getattr(GENERATORS.get(block.kind), "isolated", True) if block.isolate is None else block.isolate


def _alone(block: GeneratorConfig, metas: Sequence[Mapping[str, Scalar]]) -> Any:
    generator = build_generator(block)
    if recall := getattr(generator, "recall", None):
        recall(metas)
    return generator


def _drawers(
    block: GeneratorConfig, *, planned: int, left: int, metas: Sequence[Mapping[str, Scalar]], count: bool
) -> Crew:
    cores, patience = available(), Patience()
    size = min(crew_size(block, cores=cores), planned)
    threads = max(1, cores // size)
    crew = [Drawer(block, threads=threads, patience=patience, metas=metas, count=count) for _ in range(min(size, left))]
    try:
        for drawer in crew:
            with suppress(Lost):  # asked for its spec it starts again, and says what is wrong
                drawer.start()
        if block.workers is None and str(crew[0].spec.details.get("device") or "cpu") != "cpu":
            for spare in crew[1:]:  # one process keeps an accelerator busy, and its memory holds one set of weights
                spare.close()
            return Crew((crew[0],), threads)
    except BaseException:
        for drawer in crew:
            drawer.close()
        raise
    for drawer in crew:
        drawer.drawers = len(crew)
    return Crew(tuple(crew), threads)
