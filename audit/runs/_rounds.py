# SPDX-License-Identifier: Apache-2.0
"""Asking until the gate is decided: which requests come in which round, and which prompts are still open.

A round asks every open prompt the same number of times; then the answers so far are estimated with intervals that hold
at any stopping time, and prompts whose findings are all decided are asked no more. What is decided after a round is a
function of the answers up to that round, so a run that was interrupted takes the same decisions again and forms the
same batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from audit.config import GeneratorConfig
from audit.probes import ProbeSet
from audit.registry import METRICS
from audit.runs import _view
from audit.runs._measure import Instruments
from audit.runs._tables import requests_to_table
from audit.runs.plan import Chunk, Plan, cut
from audit.runs.store import Run
from audit.types import Estimate, Metric, Prompt, Request

__all__ = ["Decided", "Judge", "Look", "caps", "free_sets", "nobody", "rounds"]


@dataclass(frozen=True, slots=True)
class Decided:
    """Whether a finding about a slice is decided; keys of the slice that are axes say which prompts it is of."""

    generator: str
    slice: Mapping[str, str]
    done: bool


Judge = Callable[[Sequence[Estimate]], Sequence[Decided]]


def nobody(_estimates: Sequence[Estimate], /) -> Sequence[Decided]:
    """No finding about anything: every prompt is asked to the end."""
    return ()


def free_sets(probes: Sequence[ProbeSet]) -> list[ProbeSet]:
    """Sets that may stop early: bias sets with a group that the prompts leave to the generator, and no pairs."""
    return [p for p in probes if p.purpose == "bias" and set(p.groups) - set(p.asks) and not p.paired]


def caps(plan: Plan) -> dict[str, int]:
    """Images a prompt of the fixed design, by probe set that may stop earlier; empty for a fixed design."""
    if plan.config.until_decided is None:
        return {}
    names = {probe.name for probe in free_sets(plan.probes)}
    found: dict[str, int] = {}
    for request in plan.requests:
        if request.prompt.probe in names:
            found[request.prompt.probe] = max(found.get(request.prompt.probe, 0), request.repetition + 1)
    return found


def rounds(plan: Plan, block: GeneratorConfig, open_after: Callable[[int], frozenset[str]]) -> Iterator[list[Chunk]]:
    """The chunks of one generator, round by round; a fixed design is a single round.

    Args:
        plan: of the audit.
        block: the generator.
        open_after: prompt ids that the answers of the rounds so far leave open, given the repetitions asked; called
            between rounds, when all chunks yielded before are done.
    """
    mine = [request for request in plan.requests if request.generator == block.name]
    position = [generator.name for generator in plan.config.generators].index(block.name)
    limits = caps(plan)
    if not limits:
        yield cut(mine, block, position=position)
        return
    assert plan.config.until_decided is not None
    look = plan.config.until_decided.look
    free = [request for request in mine if request.prompt.probe in limits]
    first = [r for r in mine if r.prompt.probe not in limits or r.repetition < look]
    yield cut(first, block, position=position)
    for start in range(look, max(limits.values(), default=0), look):
        undecided = open_after(start)
        next_ = [r for r in free if start <= r.repetition < start + look and r.prompt.id in undecided]
        if not next_:
            return
        yield cut(next_, block, position=position, label=f"{start:06d}.")


@dataclass(slots=True)
class Look:
    """Looks at the answers of a run that is going on.

    Attributes:
        plan: of the audit.
        run: where the answers are.
        instruments: who gave them.
        judge: which slices have findings, and whether these are decided.
    """

    plan: Plan
    run: Run
    instruments: Instruments
    judge: Judge
    _tables: dict[str, pa.Table] = field(default_factory=dict)
    _answers: dict[tuple[str, str], pa.Table] = field(default_factory=dict)

    def open_prompts(self, generator: str, chunks: Sequence[Chunk], *, asked: int) -> frozenset[str]:
        """Ids of the prompts that need more images after ``asked`` repetitions of each.

        Those are all that some finding leaves open, and those that no finding is about.
        """
        found = [d for d in self.judge(self._estimates(generator, chunks, asked)) if d.generator == generator]
        prompts = {r.prompt.id: r.prompt for chunk in chunks for r in chunk.requests}
        return frozenset(name for name, prompt in prompts.items() if not _decided(prompt, found))

    def _estimates(self, generator: str, chunks: Sequence[Chunk], asked: int) -> list[Estimate]:
        """Estimates of the metrics whose intervals hold at any stopping time, of the first ``asked`` repetitions."""
        requests = [r for chunk in chunks for r in chunk.requests if r.repetition < asked]
        columns = self._columns(requests, chunks)
        specs = [annotator.spec for annotator in self.instruments]
        level, seed = self.plan.config.level, self.plan.config.seed
        found: list[Estimate] = []
        metrics: list[Metric] = [METRICS.get(name) for name in self.plan.metrics]
        for metric in (m for m in metrics if m.spec.anytime):
            for view, where in _view.views(columns, generator, self.plan.probes, metric.spec, caps(self.plan)):
                found += _view.measure(metric, replace(view, level=level, seed=seed), where, specs)
        return found

    def _columns(self, requests: Sequence[Request], chunks: Sequence[Chunk]) -> dict[str, NDArray[Any]]:
        generations = pa.concat_tables([self._generations(chunk.index) for chunk in chunks])
        kept = pa.array([r.id for r in requests])
        annotations = {name: self._said(name, chunks, kept) for name in self.plan.annotators}
        return _view.base_columns(
            requests_to_table(requests), _only(generations, kept), {k: v for k, v in annotations.items() if v.num_rows}
        )

    def _generations(self, index: str) -> pa.Table:
        if index not in self._tables:
            self._tables[index] = self.run.read_part("generations", index)
        return self._tables[index]

    def _said(self, name: str, chunks: Sequence[Chunk], kept: pa.Array) -> pa.Table:
        """What one instrument answered, embeddings and whatever else no share is made of left out."""
        columns = ["request_id", *self.instruments[name].spec.operating]
        parts = []
        for chunk in chunks:
            if (name, chunk.index) not in self._answers:
                part = self.instruments.parts(name, chunk.index)
                self._answers[name, chunk.index] = part.select([c for c in columns if c in part.column_names])
            parts.append(self._answers[name, chunk.index])
        filled = [part for part in parts if part.num_rows and part.num_columns > 1]
        return _only(pa.concat_tables(filled), kept) if filled else pa.table({"request_id": pa.array([], pa.string())})


def _only(table: pa.Table, ids: pa.Array) -> pa.Table:
    return table.filter(pc.is_in(table["request_id"], value_set=ids))


def _decided(prompt: Prompt, found: Sequence[Decided]) -> bool:
    axes = {"probe": prompt.probe, **prompt.axes}
    about = [d for d in found if _touches(d.slice, axes)]
    return bool(about) and all(d.done for d in about)


def _touches(where: Mapping[str, str], prompt: Mapping[str, str]) -> bool:
    """Whether a slice is, among other things, about this prompt; keys that are no axes say nothing of prompts."""
    return all(prompt[key] == value for key, value in where.items() if key in prompt)
