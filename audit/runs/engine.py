# SPDX-License-Identifier: Apache-2.0
"""The stages of a run: generate, stamp and annotate side by side, then estimate, and the manifest that closes it.

Each stage skips what is already on disk, so calling them again is how a run is resumed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from audit.config import GeneratorConfig
from audit.errors import StoreError
from audit.images import decode
from audit.registry import METRICS
from audit.runs import _environment, _view
from audit.runs._cores import available
from audit.runs._crew import Crew, build_generator, drawing
from audit.runs._flow import flow
from audit.runs._generate import Shelf, answer, store
from audit.runs._measure import Instruments
from audit.runs._rounds import Judge, Look, caps, nobody, rounds
from audit.runs._signing import signing_for
from audit.runs._spent import Spent
from audit.runs._tables import scores_to_table
from audit.runs.plan import Chunk, Plan, describe_probes
from audit.runs.store import Run
from audit.types import (
    Columns,
    Estimate,
    Generation,
    Generator,
    GeneratorSpec,
    ImageRecord,
    Metric,
    MetricSpec,
    Outcome,
    Request,
)

__all__ = ["Engine", "Progress", "silent"]

Answers = list[tuple[Request, Generation]]
Progress = Callable[[str, int, int], None]
"""Called with (what, done, total) after every chunk."""


def silent(what: str, done: int, total: int) -> None:
    """No progress shown."""


@dataclass(slots=True)
class Engine:
    """Drives one plan into one run folder.

    Attributes:
        plan: what to do.
        run: where it goes.
        progress: told about every finished chunk.
        stages: wall time by stage, of this process.
        spent: time inside each kind of work, over all threads.
        asked: the chunks that were asked; all that are planned, unless prompts stop as soon as they are decided.
    """

    plan: Plan
    run: Run
    progress: Progress = silent
    stages: Spent = field(default_factory=Spent)
    spent: Spent = field(default_factory=Spent)
    instruments: Instruments = field(init=False)
    asked: list[Chunk] = field(default_factory=list)
    _specs: dict[str, GeneratorSpec] = field(default_factory=dict)
    _crews: dict[str, dict[str, int | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.instruments = Instruments(self.plan.config, self.plan.annotators, self.run, self.spent)

    # -- stages -----------------------------------------------------------------------------------------------

    def collect(self, judge: Judge = nobody) -> None:
        """Asks everything that has not been answered yet; stamps, stores and measures the answers as they come.

        Args:
            judge: where the plan stops prompts as soon as they are decided: what is decided, given estimates.
        """
        look = Look(self.plan, self.run, self.instruments, judge)
        with self.stages.on("generate"):
            for block in self.plan.config.generators:
                self._generate(block, look)
        with self.stages.on("annotate"):
            self._annotate(self.asked)
        self.instruments.rest()

    def _generate(self, block: GeneratorConfig, look: Look) -> None:
        mine: list[Chunk] = []
        left = sum(request.generator == block.name for request in self.plan.requests)
        planned = -(-left // block.batch_size)

        def open_after(asked: int) -> frozenset[str]:
            self._annotate(mine)
            return look.open_prompts(block.name, mine, asked=asked)

        with ExitStack() as stack:
            crew: Crew | None = None
            for chunks in rounds(self.plan, block, open_after):
                mine += chunks
                self.asked += chunks
                todo = [chunk for chunk in chunks if not self._answered(chunk)]
                done = sum(len(chunk.requests) for chunk in mine) - sum(len(chunk.requests) for chunk in todo)
                self.progress(f"generate {block.name}", done, left)
                if todo and crew is None:
                    self.instruments.build()
                    metas = [json.loads(row) for row in self._stored(mine)]
                    count = "cost.flops_per_image" in self.plan.metrics
                    crew = stack.enter_context(
                        drawing(block, planned=planned, left=len(todo), metas=metas, count=count)
                    )
                    self._specs[block.name] = crew.spec
                    self._crews[block.name] = {"processes": len(crew.members), "threads": crew.threads}
                if todo and crew is not None:
                    self._draw(block, crew, todo, progress=(done, left))
        if mine and (asked := sum(len(chunk.requests) for chunk in mine)) < left:
            self.progress(f"generate {block.name}", asked, asked)

    def _answered(self, chunk: Chunk) -> bool:
        """Whether the chunk is on disk. Raises StoreError where what is there answers other requests."""
        if not self.run.has_part("generations", chunk.index):
            return False
        stored = set(self.run.read_part("generations", chunk.index)["request_id"].to_pylist())
        if stored != {request.id for request in chunk.requests}:
            hint = "instruments or policy were changed since: start again with --fresh, or choose another --out"
            raise StoreError(f"part {chunk.index} answers other requests", where=str(self.run.path), hint=hint)
        return True

    def _draw(self, block: GeneratorConfig, crew: Crew, todo: Sequence[Chunk], *, progress: tuple[int, int]) -> None:
        done, total = progress
        signing = signing_for(self.plan.config.provenance, crew.spec, self.run)
        shelf = Shelf(self.run, signing, block.plain, self.spent)

        def draw(generator: Generator, chunk: Chunk) -> Answers:
            kept = {row["request_id"] for row in self.run.kept(chunk.index)}
            asked = [request for request in chunk.requests if request.id not in kept]
            with self.spent.on("draw"):
                return list(zip(asked, answer(generator, asked), strict=True))

        def finish(chunk: Chunk, answers: Answers) -> None:
            old = list(self._images(chunk, self.run.kept(chunk.index)))
            self.instruments.measure(chunk.index, [*old, *store(shelf, chunk.index, answers)])

        for chunk in flow(todo, crew.members, draw=draw, finish=finish, hands=available()):
            done += len(chunk.requests)
            self.progress(f"generate {block.name}", done, total)

    def _stored(self, chunks: Sequence[Chunk]) -> Iterator[str]:
        for chunk in chunks:
            if self.run.has_part("generations", chunk.index):
                yield from self.run.read_part("generations", chunk.index)["meta"].to_pylist()
            else:
                yield from (row["meta"] for row in self.run.kept(chunk.index))

    def _annotate(self, chunks: Sequence[Chunk]) -> None:
        """Shows stored images to instruments that have not seen them: those of a run that was interrupted."""
        left = [chunk for chunk in chunks if self.instruments.waiting(chunk.index)]
        done, total = 0, sum(len(chunk.requests) for chunk in left)
        with ThreadPoolExecutor(available()) as pool:
            for chunk in pool.map(self._annotate_chunk, left):
                done += len(chunk.requests)
                self.progress("annotate", done, total)

    def _annotate_chunk(self, chunk: Chunk) -> Chunk:
        rows = self.run.read_part("generations", chunk.index).to_pylist()
        self.instruments.measure(chunk.index, list(self._images(chunk, rows)))
        return chunk

    def _images(self, chunk: Chunk, rows: Sequence[Mapping[str, Any]]) -> Iterator[ImageRecord]:
        asked = {request.id: request for request in chunk.requests}
        for row in rows:
            if row["outcome"] == Outcome.IMAGE:
                path = self.run.image_path(row["sha256"], row["media_type"])
                try:
                    data = path.read_bytes()
                    rgb = decode(data)
                except (OSError, ValueError) as error:
                    raise StoreError(
                        str(error), where=str(path), hint="the run folder was changed: start again with --fresh"
                    ) from None
                yield ImageRecord.of(asked[row["request_id"]], sha256=row["sha256"], data=data, rgb=rgb)

    def estimate(self) -> list[Estimate]:
        """All metrics on all generators, stored and returned."""
        with self.stages.on("estimate"):
            columns, limits = self._base_columns(), caps(self.plan)
            references = self._references()
            specs = [annotator.spec for annotator in self.instruments]
            fingerprints = {name: self._fingerprint(name) for name in self.plan.annotators}
            found: list[Estimate] = []
            scores: list[tuple[Columns, str, Mapping[str, str], NDArray[np.float64]]] = []
            metrics: list[Metric] = [METRICS.get(name) for name in self.plan.metrics]
            names = [generator.name for generator in self.plan.config.generators]
            for position, metric in enumerate(metrics):
                for place, name in enumerate(names):
                    parts = _view.views(columns, name, self.plan.probes, metric.spec, limits, rivals=names[place + 1 :])
                    for view, slice_ in parts:
                        level, seed = self.plan.config.level, self.plan.config.seed
                        full = replace(view, references=references, level=level, seed=seed, fingerprints=fingerprints)
                        full = _view.with_prices(full, self.plan.prices)
                        full = _view.with_training(full, self.plan.training.get(name))
                        found += _view.measure(metric, full, slice_, specs)
                        scores += _view.scores(metric, full, slice_)
                self.progress("estimate", position + 1, len(metrics))
            self.run.put_estimates(found)
            self.run.put_scores(scores_to_table(scores))
        return found

    def _fingerprint(self, name: str) -> str:
        """Digest of an instrument and of what it compares with: other reference images, other numbers."""
        annotator = self.instruments[name]
        offer = getattr(annotator, "reference_fingerprint", None)
        return f"{annotator.spec.digest}+{offer() if offer else ''}"

    def _base_columns(self) -> dict[str, Any]:
        annotations: dict[str, pa.Table] = {}
        for name in self.plan.annotators:
            parts = [self.instruments.parts(name, chunk.index) for chunk in self.asked]
            filled = [part for part in parts if part.num_rows]
            annotations[name] = pa.concat_tables(filled) if filled else _empty(self.instruments[name].spec.columns)
        batch = {request.id: chunk.index for chunk in self.asked for request in chunk.requests}
        planned = self.run.requests()
        asked = planned.filter(pc.is_in(planned["request_id"], value_set=pa.array(list(batch), pa.string())))
        columns = _view.base_columns(asked, self.run.generations(), annotations)
        return {**columns, "batch": np.array([batch[name] for name in columns["request_id"]], dtype=object)}

    def _references(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for annotator in self.instruments:
            offer = getattr(annotator, "references", None)
            if offer is not None:
                found.update(offer())
        return found

    def finish(self) -> None:
        """Checks that every request has exactly one row, then writes the manifest."""
        answered = Counter(self.run.generations()["request_id"].to_pylist())
        planned = Counter(request.id for chunk in self.asked for request in chunk.requests)
        if answered != planned:
            lost, doubled = planned - answered, answered - planned
            raise StoreError(f"{lost.total()} requests lost, {doubled.total()} doubled", where=str(self.run.path))
        self.run.put_manifest(self.manifest())

    def manifest(self) -> dict[str, Any]:
        """Who was asked what, measured with what, where and how long it took."""
        config = self.plan.config
        metrics: list[MetricSpec] = [METRICS.get(name).spec for name in self.plan.metrics]
        return {
            **self.plan.record(),
            "name": config.name,
            "seed": config.seed,
            "level": config.level,
            "config": config.model_dump(mode="json"),
            "created": self.run.created,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "generators": [_as_dict(self._spec(block)) for block in config.generators],
            "annotators": [_as_dict(annotator.spec) for annotator in self.instruments],
            "probes": [describe_probes(probe) for probe in self.plan.probes],
            "metrics": [_as_dict(spec) for spec in metrics],
            "references": {name: _summary(value) for name, value in self._references().items()},
            "prices": self.plan.prices.model_dump(mode="json", by_alias=True) if self.plan.prices else None,
            "counts": self._counts(),
            "drawn_by": self._crews,
            "stopping": self._stopping(),
            "seconds": {stage: round(seconds, 3) for stage, seconds in self.stages.seconds.items()},
            "spent": {kind: round(seconds, 3) for kind, seconds in sorted(self.spent.seconds.items())},
            **_environment.describe(),
        }

    def _stopping(self) -> dict[str, Any] | None:
        """How many images each prompt took that could stop early, and how many the fixed design would have taken."""
        limits = caps(self.plan)
        if not limits:
            return None
        free = [r for chunk in self.asked for r in chunk.requests if r.prompt.probe in limits]
        asked = Counter((r.generator, r.prompt.id) for r in free)
        fixed = sum(r.prompt.probe in limits for r in self.plan.requests)
        by_prompt = {b.name: {p: n for (g, p), n in asked.items() if g == b.name} for b in self.plan.config.generators}
        return {"asked": len(free), "fixed_design": fixed, "caps": limits, "images_by_prompt": by_prompt}

    def _spec(self, block: GeneratorConfig) -> GeneratorSpec:
        """Identity as the drawing process told it; nothing was left to draw: as the generator tells it here."""
        return self._specs.get(block.name) or build_generator(block).spec

    def _counts(self) -> dict[str, dict[str, int]]:
        table = self.run.generations()
        pairs = Counter(zip(table["generator"].to_pylist(), table["outcome"].to_pylist(), strict=True))
        return {
            block.name: {str(outcome): pairs[block.name, str(outcome)] for outcome in Outcome}
            for block in self.plan.config.generators
        }


def _empty(columns: Mapping[str, str]) -> pa.Table:
    schema = pa.schema([("request_id", pa.string()), *((name, pa.float64()) for name in columns)])
    return schema.empty_table()


def _as_dict(record: Any) -> dict[str, Any]:
    return {name: sorted(v) if isinstance(v, frozenset) else v for name, v in asdict(record).items()}


def _summary(value: Any) -> dict[str, Any]:
    """Reference data in numbers: arrays by shape, records by their scalar fields."""
    if isinstance(value, np.ndarray):
        return {"shape": list(value.shape)}
    names = getattr(value, "__dataclass_fields__", {})
    found = {name: getattr(value, name) for name in names}
    return {name: v for name, v in found.items() if isinstance(v, str | int | float | bool | tuple | None)}
