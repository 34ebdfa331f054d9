# SPDX-License-Identifier: Apache-2.0
"""Everything that is decided before the first image: who is asked what, with which seeds, in which chunks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from audit import __version__
from audit.config import AuditConfig, GeneratorConfig
from audit.errors import ConfigError
from audit.probes import ProbeSet, load_probe_set, requests
from audit.registry import ANNOTATORS, GENERATORS, METRICS
from audit.types import Request

__all__ = ["Chunk", "Plan", "make_plan"]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A fixed batch of the plan; its index names the parts on disk."""

    index: str
    generator: str
    requests: tuple[Request, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A resolved audit: configuration, probe sets and all requests."""

    config: AuditConfig
    probes: tuple[ProbeSet, ...]
    requests: tuple[Request, ...]
    annotators: tuple[str, ...]
    metrics: tuple[str, ...]

    def chunks(self) -> Iterator[Chunk]:
        """Fixed batches: a function of the plan only, so that a resumed run forms the same ones."""
        for position, generator in enumerate(self.config.generators):
            mine = [request for request in self.requests if request.generator == generator.name]
            for start in range(0, len(mine), generator.batch_size):
                index = f"{position:02d}-{start // generator.batch_size:05d}"
                yield Chunk(index, generator.name, tuple(mine[start : start + generator.batch_size]))

    def record(self) -> dict[str, Any]:
        """What plan.json holds; two plans are the same exactly when these are equal."""
        return {
            "tool": {"name": "genaudit", "version": __version__},
            "config": self.config.model_dump(mode="json", exclude={"out", "reports", "policy"}),
            "probes": [describe_probes(probe) for probe in self.probes],
            "annotators": list(self.annotators),
            "metrics": list(self.metrics),
            "requests": len(self.requests),
        }


def describe_probes(probe: ProbeSet) -> dict[str, Any]:
    """A probe set as the manifest shows it."""
    return {
        "name": probe.name,
        "version": probe.version,
        "digest": probe.digest,
        "purpose": probe.purpose,
        "title": probe.title,
        "licence": probe.licence,
        "prompts": len(probe.prompts),
        "by": list(probe.by),
        "groups": {name: asdict(groups) for name, groups in probe.groups.items()},
        "card": dict(probe.card),
    }


def make_plan(config: AuditConfig, *, limit: int | None = None) -> Plan:
    """The plan of ``config``.

    Args:
        config: validated audit file.
        limit: ask only the first so many prompts of every set (a quick look).

    Raises:
        ConfigError: unknown plug-in, or nothing to ask.
        ProbeError: a probe set is missing or broken.
    """
    for generator in config.generators:
        GENERATORS.describe(generator.kind)
    probes = tuple(load_probe_set(block.set) for block in config.probes)
    asked: list[Request] = []
    for generator in config.generators:
        for block, probe in zip(config.probes, probes, strict=True):
            asked += _requests(
                config, generator, probe, repetitions=block.repetitions, limit=_least(limit, block.limit)
            )
    if not asked:
        raise ConfigError("the audit asks nothing", hint="raise `limit` or add probe sets")
    return Plan(config, probes, tuple(asked), _annotators(config), _metrics(config.metrics))


def _requests(
    config: AuditConfig, generator: GeneratorConfig, probe: ProbeSet, *, repetitions: int | None, limit: int | None
) -> Sequence[Request]:
    return requests(probe, generator=generator, run_seed=config.seed, repetitions=repetitions, limit=limit)


def _least(*limits: int | None) -> int | None:
    given = [limit for limit in limits if limit is not None]
    return min(given) if given else None


def _annotators(config: AuditConfig) -> tuple[str, ...]:
    names = config.instruments.annotators if config.instruments.annotators is not None else list(ANNOTATORS)
    for name in names:
        ANNOTATORS.describe(name)
    _known_options(config.instruments.options, names)
    skip = set() if config.gallery else {"likeness"}
    return tuple(name for name in sorted(names) if name not in skip)


def _known_options(options: Mapping[str, Any], names: Sequence[str]) -> None:
    for name in options:
        if name not in names:
            raise ConfigError(
                f"instruments.options names {name!r}, which is not among the annotators",
                hint=f"known: {', '.join(names)}",
            )


def _metrics(names: Sequence[str] | None) -> tuple[str, ...]:
    chosen = list(METRICS) if names is None else list(names)
    for name in chosen:
        METRICS.describe(name)
    return tuple(sorted(chosen))
