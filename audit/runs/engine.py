# SPDX-License-Identifier: Apache-2.0
"""The stages of a run, in process: generate and stamp, annotate, estimate, and the manifest that closes it.

Each stage skips what is already on disk, so calling them again is how a run is resumed.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from audit import __version__
from audit.errors import AnnotatorError, AuditError, StoreError
from audit.images import decode
from audit.provenance import Stamper
from audit.registry import ANNOTATORS, GENERATORS, METRICS
from audit.runs import _environment, _generate, _view
from audit.runs.instruments import annotator_options
from audit.runs.plan import Chunk, Plan, describe_probes
from audit.runs.store import Run
from audit.types import Annotator, Estimate, Generator, ImageRecord, Metric, MetricSpec, Outcome

__all__ = ["Engine", "Progress", "silent"]

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
        seconds: wall time by stage, of this process.
    """

    plan: Plan
    run: Run
    progress: Progress = silent
    seconds: dict[str, float] = field(default_factory=dict)
    _generators: dict[str, Generator] = field(default_factory=dict)
    _annotators: dict[str, Annotator] = field(default_factory=dict)

    # -- instruments and generators, built on first use -------------------------------------------------------

    def generator(self, name: str) -> Generator:
        """The generator called ``name`` in the configuration."""
        if name not in self._generators:
            block = next(g for g in self.plan.config.generators if g.name == name)
            factory = GENERATORS.get(block.kind)
            self._generators[name] = factory(name, model=block.model, params=block.params, options=block.options)
        return self._generators[name]

    def annotator(self, name: str) -> Annotator:
        """The annotator called ``name``, with the options that the configuration implies."""
        if name not in self._annotators:
            self._annotators[name] = ANNOTATORS.get(name)(**annotator_options(name, self.plan.config))
        return self._annotators[name]

    # -- stages -----------------------------------------------------------------------------------------------

    def generate(self) -> None:
        """Asks everything that has not been answered yet, stamps and stores the answers."""
        with self._timed("generate"):
            for name in [block.name for block in self.plan.config.generators]:
                chunks = [chunk for chunk in self.plan.chunks() if chunk.generator == name]
                self._generate_one(name, chunks)

    def _generate_one(self, name: str, chunks: Sequence[Chunk]) -> None:
        total = sum(len(chunk.requests) for chunk in chunks)
        open_ = [chunk for chunk in chunks if not self.run.has_part("generations", chunk.index)]
        done = total - sum(len(chunk.requests) for chunk in open_)
        self.progress(f"generate {name}", done, total)
        if not open_:
            return
        generator = self.generator(name)
        stamp = self._stamp(generator)
        for chunk in open_:
            pairs = list(zip(chunk.requests, _generate.answer(generator, chunk.requests), strict=True))
            counts = _generate.store(self.run, chunk.index, pairs, stamp)
            self.run.log("generated", generator=name, part=chunk.index, **{str(o): c for o, c in counts.items() if c})
            done += len(chunk.requests)
            self.progress(f"generate {name}", done, total)

    def _stamp(self, generator: Generator) -> _generate.Stamp | None:
        provenance = self.plan.config.provenance
        if not provenance.stamp:
            return None
        stamper = Stamper(provenance.key_dir, tool_version=__version__)
        _ = stamper.chain  # a key that cannot sign is known before the first image
        return _generate.stamp_with(stamper, generator.spec)

    def annotate(self) -> None:
        """Lets every annotator see every image it has not seen yet."""
        with self._timed("annotate"):
            done, total = 0, len(self.plan.requests)
            for chunk in self.plan.chunks():
                self._annotate_chunk(chunk)
                done += len(chunk.requests)
                self.progress("annotate", done, total)

    def _annotate_chunk(self, chunk: Chunk) -> None:
        waiting = [a for a in map(self.annotator, self.plan.annotators) if not self._annotated(a, chunk.index)]
        if not waiting:
            return
        images = list(self._images(chunk))
        for annotator in waiting:
            columns = self._columns(annotator, images) if images else {}
            self.run.add_annotations(annotator.spec, chunk.index, [image.request_id for image in images], columns)

    def _annotated(self, annotator: Annotator, index: str) -> bool:
        return self.run.has_part(f"annotations/{annotator.spec.name}@{annotator.spec.digest[:12]}", index)

    @staticmethod
    def _columns(annotator: Annotator, images: Sequence[ImageRecord]) -> Mapping[str, Any]:
        try:
            columns = annotator.annotate(images)
        except AuditError:
            raise
        except Exception as error:
            name = annotator.spec.name
            raise AnnotatorError(
                f"{type(error).__name__}: {error}", where=f"annotator {name}", hint="`genaudit doctor`"
            ) from error
        wrong = {name for name, values in columns.items() if len(values) != len(images)} | set(columns) ^ set(
            annotator.spec.columns
        )
        if wrong:
            raise AnnotatorError(
                f"returned wrong columns: {', '.join(sorted(wrong))}", where=f"annotator {annotator.spec.name}"
            )
        return columns

    def _images(self, chunk: Chunk) -> Iterator[ImageRecord]:
        text = {request.id: request.prompt.text for request in chunk.requests}
        for row in self.run.read_part("generations", chunk.index).to_pylist():
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
        with self._timed("estimate"):
            columns = self._base_columns()
            references = self._references()
            specs = [self.annotator(name).spec for name in self.plan.annotators]
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
        annotator = self.annotator(name)
        offer = getattr(annotator, "reference_fingerprint", None)
        return f"{annotator.spec.digest}+{offer() if offer else ''}"

    def _base_columns(self) -> dict[str, Any]:
        annotations: dict[str, pa.Table] = {}
        for name in self.plan.annotators:
            spec = self.annotator(name).spec
            kind = f"annotations/{spec.name}@{spec.digest[:12]}"
            parts = [self.run.read_part(kind, chunk.index) for chunk in self.plan.chunks()]
            filled = [part for part in parts if part.num_rows]
            annotations[name] = pa.concat_tables(filled) if filled else _empty(spec.columns)
        columns = _view.base_columns(self.run.requests(), self.run.generations(), annotations)
        batch = {request.id: chunk.index for chunk in self.plan.chunks() for request in chunk.requests}
        return {**columns, "batch": np.array([batch[name] for name in columns["request_id"]], dtype=object)}

    def _references(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name in self.plan.annotators:
            offer = getattr(self.annotator(name), "references", None)
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
            "generators": [_as_dict(self.generator(block.name).spec) for block in config.generators],
            "annotators": [_as_dict(self.annotator(name).spec) for name in self.plan.annotators],
            "probes": [describe_probes(probe) for probe in self.plan.probes],
            "metrics": [_as_dict(spec) for spec in metrics],
            "references": {name: _summary(value) for name, value in self._references().items()},
            "counts": self._counts(),
            "seconds": {stage: round(spent, 3) for stage, spent in self.seconds.items()},
            **_environment.describe(),
        }

    def _counts(self) -> dict[str, dict[str, int]]:
        table = self.run.generations()
        pairs = Counter(zip(table["generator"].to_pylist(), table["outcome"].to_pylist(), strict=True))
        return {
            block.name: {str(outcome): pairs[block.name, str(outcome)] for outcome in Outcome}
            for block in self.plan.config.generators
        }

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start


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
