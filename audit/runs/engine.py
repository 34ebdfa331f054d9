# SPDX-License-Identifier: Apache-2.0
"""The stages of a run: generate, stamp and annotate side by side, then estimate, and the manifest that closes it.

Each stage skips what is already on disk, so calling them again is how a run is resumed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from audit import __version__
from audit.config import GeneratorConfig
from audit.errors import StoreError
from audit.images import decode
from audit.provenance import Stamper
from audit.registry import METRICS
from audit.runs import _environment, _view
from audit.runs._cores import available
from audit.runs._crew import build_generator, drawing
from audit.runs._flow import flow
from audit.runs._generate import Shelf, Stamp, answer, stamp_with, store
from audit.runs._measure import Instruments
from audit.runs._spent import Spent
from audit.runs.plan import Chunk, Plan, describe_probes
from audit.runs.store import Run
from audit.types import (
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
    """

    plan: Plan
    run: Run
    progress: Progress = silent
    stages: Spent = field(default_factory=Spent)
    spent: Spent = field(default_factory=Spent)
    instruments: Instruments = field(init=False)
    _specs: dict[str, GeneratorSpec] = field(default_factory=dict)
    _crews: dict[str, dict[str, int | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.instruments = Instruments(self.plan.config, self.plan.annotators, self.run, self.spent)

    # -- stages -----------------------------------------------------------------------------------------------

    def collect(self) -> None:
        """Asks everything that has not been answered yet; stamps, stores and measures the answers as they come."""
        with self.stages.on("generate"):
            for block in self.plan.config.generators:
                self._generate(block)
        with self.stages.on("annotate"):
            self._annotate()
        self.instruments.rest()

    def _generate(self, block: GeneratorConfig) -> None:
        chunks = [chunk for chunk in self.plan.chunks() if chunk.generator == block.name]
        total = sum(len(chunk.requests) for chunk in chunks)
        open_ = [chunk for chunk in chunks if not self.run.has_part("generations", chunk.index)]
        done = total - sum(len(chunk.requests) for chunk in open_)
        self.progress(f"generate {block.name}", done, total)
        if not open_:
            return
        self.instruments.build()
        metas = [json.loads(row) for row in self._stored(chunks, open_)]
        with drawing(block, planned=len(chunks), left=len(open_), metas=metas) as crew:
            self._specs[block.name] = crew.spec
            self._crews[block.name] = {"processes": len(crew.members), "threads": crew.threads}
            shelf = Shelf(self.run, self._stamp(crew.spec), block.plain, self.spent)

            def draw(generator: Generator, chunk: Chunk) -> Answers:
                kept = {row["request_id"] for row in self.run.kept(chunk.index)}
                asked = [request for request in chunk.requests if request.id not in kept]
                with self.spent.on("draw"):
                    return list(zip(asked, answer(generator, asked), strict=True))

            def finish(chunk: Chunk, answers: Answers) -> None:
                old = list(self._images(chunk, self.run.kept(chunk.index)))
                self.instruments.measure(chunk.index, [*old, *store(shelf, chunk.index, answers)])

            for chunk in flow(open_, crew.members, draw=draw, finish=finish, hands=available()):
                done += len(chunk.requests)
                self.progress(f"generate {block.name}", done, total)

    def _stored(self, chunks: Sequence[Chunk], open_: Sequence[Chunk]) -> Iterator[str]:
        missing = {chunk.index for chunk in open_}
        for chunk in chunks:
            if chunk.index in missing:
                yield from (row["meta"] for row in self.run.kept(chunk.index))
            else:
                yield from self.run.read_part("generations", chunk.index)["meta"].to_pylist()

    def _stamp(self, spec: GeneratorSpec) -> Stamp | None:
        provenance = self.plan.config.provenance
        if not provenance.stamp:
            return None
        stamper = Stamper(provenance.key_dir, tool_version=__version__)
        _ = stamper.chain  # a key that cannot sign is known before the first image
        return stamp_with(stamper, spec)

    def _annotate(self) -> None:
        """Shows stored images to instruments that have not seen them: those of a run that was interrupted."""
        left = [chunk for chunk in self.plan.chunks() if self.instruments.waiting(chunk.index)]
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
        text = {request.id: request.prompt.text for request in chunk.requests}
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
                yield ImageRecord(row["request_id"], row["sha256"], text[row["request_id"]], data, rgb)

    def estimate(self) -> list[Estimate]:
        """All metrics on all generators, stored and returned."""
        with self.stages.on("estimate"):
            columns = self._base_columns()
            references = self._references()
            specs = [annotator.spec for annotator in self.instruments]
            fingerprints = {name: self._fingerprint(name) for name in self.plan.annotators}
            found: list[Estimate] = []
            metrics: list[Metric] = [METRICS.get(name) for name in self.plan.metrics]
            for position, metric in enumerate(metrics):
                for generator in self.plan.config.generators:
                    for view, slice_ in _view.views(columns, generator.name, self.plan.probes, metric.spec):
                        level, seed = self.plan.config.level, self.plan.config.seed
                        full = replace(view, references=references, level=level, seed=seed, fingerprints=fingerprints)
                        full = _view.with_training(full, self.plan.training.get(generator.name))
                        found += _view.measure(metric, full, slice_, specs)
                self.progress("estimate", position + 1, len(metrics))
            self.run.put_estimates(found)
        return found

    def _fingerprint(self, name: str) -> str:
        """Digest of an instrument and of what it compares with: other reference images, other numbers."""
        annotator = self.instruments[name]
        offer = getattr(annotator, "reference_fingerprint", None)
        return f"{annotator.spec.digest}+{offer() if offer else ''}"

    def _base_columns(self) -> dict[str, Any]:
        annotations: dict[str, pa.Table] = {}
        for name in self.plan.annotators:
            parts = [self.instruments.parts(name, chunk.index) for chunk in self.plan.chunks()]
            filled = [part for part in parts if part.num_rows]
            annotations[name] = pa.concat_tables(filled) if filled else _empty(self.instruments[name].spec.columns)
        columns = _view.base_columns(self.run.requests(), self.run.generations(), annotations)
        batch = {request.id: chunk.index for chunk in self.plan.chunks() for request in chunk.requests}
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
        planned = Counter(request.id for request in self.plan.requests)
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
            "counts": self._counts(),
            "drawn_by": self._crews,
            "seconds": {stage: round(seconds, 3) for stage, seconds in self.stages.seconds.items()},
            "spent": {kind: round(seconds, 3) for kind, seconds in sorted(self.spent.seconds.items())},
            **_environment.describe(),
        }

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
