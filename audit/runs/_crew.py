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
from audit.runs._drawer import Drawer, Patience
from audit.types import Generator, GeneratorSpec, Scalar

__all__ = ["Crew", "build_generator", "drawing"]


@dataclass(frozen=True, slots=True)
class Crew:
    """The members that draw for one generator; each answers one batch at a time."""

    members: tuple[Generator, ...]

    @property
    def spec(self) -> GeneratorSpec:
        """Identity, the same for all members."""
        return self.members[0].spec


def build_generator(block: GeneratorConfig) -> Any:
    """The generator of a block of the audit file, in this process."""
    return GENERATORS.get(block.kind)(block.name, model=block.model, params=block.params, options=block.options)


@contextmanager
def drawing(block: GeneratorConfig, *, chunks: int, metas: Sequence[Mapping[str, Scalar]]) -> Iterator[Crew]:
    """Members that draw, ended afterwards whatever happens.

    Args:
        block: of the audit file.
        chunks: how many are to be drawn; no more members than that are started.
        metas: of images that a resumed run already holds, for generators that want to ``recall`` them.

    Raises:
        AuditError: the generator cannot be driven at all.
    """
    members = _alone(block, metas) if not _isolated(block) else _drawers(block, chunks=chunks, metas=metas)
    try:
        yield Crew(tuple(members))
    finally:
        for member in members:
            with suppress(Exception):  # an end that goes wrong must not hide what came before
                getattr(member, "close", lambda: None)()


def _isolated(block: GeneratorConfig) -> bool:
    """Kinds say ``isolated = False`` when they load nothing that could hang or crash."""
    return getattr(GENERATORS.get(block.kind), "isolated", True) if block.isolate is None else block.isolate


def _alone(block: GeneratorConfig, metas: Sequence[Mapping[str, Scalar]]) -> list[Any]:
    generator = build_generator(block)
    if recall := getattr(generator, "recall", None):
        recall(metas)
    return [generator]


def _drawers(block: GeneratorConfig, *, chunks: int, metas: Sequence[Mapping[str, Scalar]]) -> list[Any]:
    cores, patience = available(), Patience()
    size = crew_size(block, cores=cores)
    crew = [
        Drawer(block, threads=max(1, cores // size), patience=patience, metas=metas) for _ in range(min(size, chunks))
    ]
    try:
        for drawer in crew:
            drawer.start()
        if block.workers is None and str(crew[0].spec.details.get("device") or "cpu") != "cpu":
            for spare in crew[1:]:  # one process keeps an accelerator busy, and its memory holds one set of weights
                spare.close()
            return crew[:1]
    except BaseException:
        for drawer in crew:
            drawer.close()
        raise
    return crew
