# SPDX-License-Identifier: Apache-2.0
"""Everything that is decided before the first image: who is asked what, with which seeds, in which chunks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from audit import __version__
from audit.config import AuditConfig, GeneratorConfig
from audit.errors import ConfigError
from audit.metrics.bias.training import Training, load_training
from audit.prices import PriceList, load_prices
from audit.probes import ProbeSet, load_probe_set, requests
from audit.registry import ANNOTATORS, GENERATORS, METRICS, OPT_IN_ANNOTATORS
from audit.runs.instruments import BORROWED, borrowed
from audit.types import Request

__all__ = ["Chunk", "Plan", "cut", "make_plan"]


# A generator that repeats itself makes every interval too narrow; nobody should have to ask for that.
_ALWAYS = ("outcomes.distinct",)
_PRICE = "cost.price_per_thousand"  # nobody misses it who names no price
# A run may be resumed with more workers, another limit, other reports.
_NOT_WHAT_IS_ASKED: Any = {
    "out": True,
    "reports": True,
    "policy": True,
    "cost": True,
    "generators": {"__all__": {"workers", "isolate", "time_limit"}},
}
# Images that are there are measured anew - with labels by people, say - without drawing any again.
_HOW_IT_IS_MEASURED: Any = dict.fromkeys(("instruments", "metrics", "reference", "gallery", "level"), True)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A fixed batch of the plan; its index names the parts on disk."""

    index: str
    generator: str
    requests: tuple[Request, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A resolved audit: configuration, probe sets, all requests, and what generators say they were trained on."""

    config: AuditConfig
    probes: tuple[ProbeSet, ...]
    requests: tuple[Request, ...]
    annotators: tuple[str, ...]
    metrics: tuple[str, ...]
    training: Mapping[str, Training] = field(default_factory=dict)
    prices: PriceList | None = None

    def record(self) -> dict[str, Any]:
        """What plan.json holds; two plans are the same exactly when these are equal.

        How images are measured is part of it only where measuring decides how many are asked.
        """
        watched = self.config.until_decided is not None
        left_out = _NOT_WHAT_IS_ASKED if watched else {**_NOT_WHAT_IS_ASKED, **_HOW_IT_IS_MEASURED}
        return {
            "tool": {"name": "genaudit", "version": __version__},
            "config": self.config.model_dump(mode="json", exclude=left_out),
            "probes": [describe_probes(probe) for probe in self.probes],
            "requests": len(self.requests),
        }


def cut(requests: Sequence[Request], block: GeneratorConfig, *, position: int, label: str = "") -> list[Chunk]:
    """Fixed batches of what one generator is asked: a function of the plan, so that a resumed run forms the same ones.

    Args:
        requests: all to that generator, in plan order.
        block: the generator.
        position: its place in the audit file; part of the chunks' names.
        label: tells the rounds of one generator apart.
    """
    size = block.batch_size
    return [
        Chunk(f"{position:02d}-{label}{start // size:05d}", block.name, tuple(requests[start : start + size]))
        for start in range(0, len(requests), size)
    ]


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
        **({"wordings": probe.wordings} if probe.wordings else {}),
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
    probes = tuple(load_probe_set(block.set, wordings=block.wordings) for block in config.probes)
    asked: list[Request] = []
    for generator in config.generators:
        for block, probe in zip(config.probes, probes, strict=True):
            asked += _requests(
                config, generator, probe, repetitions=block.repetitions, limit=_least(limit, block.limit)
            )
    if not asked:
        raise ConfigError("the audit asks nothing", hint="raise `limit` or add probe sets")
    training = _training(config.generators, probes)
    annotators = _annotators(config)
    metrics = _metrics(config, annotators, probes)
    return Plan(config, probes, tuple(asked), annotators, metrics, training, _prices(config))


def _prices(config: AuditConfig) -> PriceList | None:
    """The price list; a wrong one is known before the first image."""
    swept = {block.name: block.swept.of if block.swept else block.name for block in config.generators}
    return None if config.cost.prices is None else load_prices(config.cost.prices, generators=swept)


def _training(generators: Sequence[GeneratorConfig], probes: Sequence[ProbeSet]) -> dict[str, Training]:
    """The training composition of each generator that names one; a wrong file is known before the first image."""
    prompts = [prompt for probe in probes for prompt in probe.prompts]
    occupations = dict.fromkeys(prompt.axes["occupation"] for prompt in prompts if "occupation" in prompt.axes)
    groups = {name: declared.groups for probe in probes for name, declared in probe.groups.items()}
    return {
        block.name: load_training(block.training, occupations=occupations, groups=groups)
        for block in generators
        if block.training is not None
    }


def _requests(
    config: AuditConfig, generator: GeneratorConfig, probe: ProbeSet, *, repetitions: int | None, limit: int | None
) -> Sequence[Request]:
    return requests(probe, generator=generator, run_seed=config.seed, repetitions=repetitions, limit=limit)


def _least(*limits: int | None) -> int | None:
    given = [limit for limit in limits if limit is not None]
    return min(given) if given else None


def _annotators(config: AuditConfig) -> tuple[str, ...]:
    names = config.instruments.annotators
    if names is None:
        # An option for an instrument is a wish for it.
        names = [name for name in ANNOTATORS if name not in OPT_IN_ANNOTATORS or name in config.instruments.options]
    if borrowed(config) and BORROWED not in names:
        names = [*names, BORROWED]  # a metric that one instrument alone can measure is a wish for it, too
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


def _metrics(config: AuditConfig, annotators: Sequence[str], probes: Sequence[ProbeSet]) -> tuple[str, ...]:
    """The metrics that are named and those of every run, or all that instruments and probe sets are there for."""
    foreign = [f"{BORROWED}:{name}" for name in borrowed(config)] if BORROWED in annotators else []
    for name in foreign:
        METRICS.get(name)  # a class that cannot be used is known before the first image
    if config.metrics is None:
        absent = tuple(f"{name}." for name in OPT_IN_ANNOTATORS.difference(annotators))
        ours = [name for name in METRICS if not _reads(name, absent) and _asked_about(name, probes)]
        ours = [name for name in ours if name != _PRICE or _priced(config)]
        return tuple(sorted([*ours, *foreign]))
    for name in config.metrics:
        METRICS.describe(name)
    return tuple(sorted({*config.metrics, *_ALWAYS}))


def _priced(config: AuditConfig) -> bool:
    return config.cost.prices is not None or any("price" in block.options for block in config.generators)


def _asked_about(metric: str, probes: Sequence[ProbeSet]) -> bool:
    design = METRICS.get(metric).spec.design
    return any(probe.declares(design) for probe in probes)


def _reads(metric: str, prefixes: tuple[str, ...]) -> bool:
    """Whether it needs what only these give; where it needs nothing by name, whether it reads nothing else."""
    spec = METRICS.get(metric).spec
    if spec.needs or not spec.reads:
        return any(column.startswith(prefixes) for column in spec.needs)
    return bool(prefixes) and all(column.startswith(prefixes) for column in spec.reads)
