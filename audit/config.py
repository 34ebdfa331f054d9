# SPDX-License-Identifier: Apache-2.0
"""The audit file: what to ask whom, how to measure it, how to judge it. Unknown keys are errors."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

from audit.documents import explain, read_document
from audit.prices import PriceList
from audit.wordings import WordingsBlock

__all__ = [
    "AuditConfig",
    "CostConfig",
    "GalleryConfig",
    "GeneratorConfig",
    "InstrumentConfig",
    "ProbeConfig",
    "ProvenanceConfig",
    "ReferenceConfig",
    "StoppingConfig",
    "SweptConfig",
    "TimeStampConfig",
    "load_config",
]

MAX_NAME = 64
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
ParamValue = str | int | float | bool | None
MAX_POINTS = 24


class _Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SweptConfig(_Block):
    """Which point of a sweep a generator is."""

    of: str = Field(description="Name of the block that was swept")
    values: dict[str, ParamValue] = Field(min_length=1, description="The point: value by parameter")


class GeneratorConfig(_Block):
    """One generator under audit."""

    name: Name = Field(description="Short name used in tables and file columns")
    kind: str = Field(description="What drives it: see docs/generators.md or `genaudit list generators`")
    model: str | None = Field(None, description="Folder, file, hub id, module:name, or reference:<name>")
    params: dict[str, ParamValue] = Field(
        default_factory=dict, description="Part of every request: steps, guidance, size"
    )
    sweep: dict[str, list[ParamValue]] = Field(
        default_factory=dict,
        description="Values by parameter: the block becomes a generator for each combination, named e.g. NAME.size-48",
    )
    swept: SweptConfig | None = Field(None, description="Which point of a sweep it is; written by the tool")
    options: dict[str, Any] = Field(default_factory=dict, description="How to load it: device, dtype, revision ...")
    batch_size: int = Field(16, ge=1, le=4096)
    workers: int | None = Field(
        None,
        ge=1,
        le=256,
        description="Processes that draw; default: one a core where memory allows, on a CPU",
    )
    isolate: bool | None = Field(
        None, description="Draw in processes of its own (default, but for kinds that load nothing)"
    )
    plain: bool = Field(False, description="A picture of one colour counts as an image, not as an error")
    time_limit: float = Field(
        600, gt=0, le=86_400, description="Seconds an image may take; then its process is ended and it is an error"
    )
    training: str | None = Field(
        None, description="Who its training data show: .csv or .json beside this file, or reference:world"
    )

    @model_validator(mode="after")
    def _sweeps_something(self) -> Self:
        for name, values in self.sweep.items():
            if name in self.params:
                raise ValueError(f"parameter {name!r} is in params and in sweep: take it out of one of them")
            if len(values) < 2 or len({_written(value) for value in values}) < len(values):
                raise ValueError(f"sweep of {name!r} needs at least two values, no two alike")
        count = math.prod(len(values) for values in self.sweep.values())
        if count > MAX_POINTS:
            raise ValueError(f"the sweep makes {count} generators; at most {MAX_POINTS}")
        if self.sweep and self.swept is not None:
            raise ValueError("swept is written by the tool: take it out")
        if long := [name for name, _ in self._named() if len(name) > MAX_NAME]:
            raise ValueError(f"the sweep would name a generator {long[0]!r}: at most {MAX_NAME} letters")
        return self

    def _named(self) -> Iterator[tuple[str, dict[str, ParamValue]]]:
        """Name and values of every point of the sweep."""
        for values in product(*self.sweep.values()):
            point = dict(zip(self.sweep, values, strict=True))
            parts = (f"{_written(key)}-{_written(value)}" for key, value in point.items())
            yield ".".join([self.name, *parts]), point

    def points(self) -> Iterator[GeneratorConfig]:
        """The generators that the block stands for: one for each combination of swept values, else itself."""
        if not self.sweep:
            yield self
            return
        for name, point in self._named():
            swept = SweptConfig(of=self.name, values=point)
            given = {"name": name, "params": {**self.params, **point}, "sweep": {}, "swept": swept}
            yield GeneratorConfig.model_validate({**dict(self), **given})


class ProbeConfig(_Block):
    """One probe set to ask."""

    set: str = Field(description="Name of a set in probes/, or path of a YAML file")
    repetitions: int | None = Field(None, ge=1, le=1_000_000, description="Overrides the set's own repetitions")
    limit: int | None = Field(None, ge=1, description="Ask only the first so many prompts")
    wordings: WordingsBlock | None = Field(None, description="Ask every prompt in other words as well, at equal seeds")


class InstrumentConfig(_Block):
    """What measures the images."""

    bundle: Literal["reference", "standard"] = Field(
        "reference", description="Bundled small models, or public ones by hub id"
    )
    annotators: list[str] | None = Field(None, description="Names; default: all but those of the reference world")
    options: dict[str, dict[str, Any]] = Field(default_factory=dict, description="Options by annotator name")


class ReferenceConfig(_Block):
    """Images that distances between feature sets are measured against."""

    images: str = Field(
        "reference:renderer",
        description="Folder of images, file of published statistics (.npz with mu and sigma), or reference:renderer",
    )
    n: int = Field(2000, ge=50, le=10_000_000)


class GalleryConfig(_Block):
    """Enrolled references that outputs are compared with."""

    source: str = Field("reference:gallery", description="Folder with gallery.yaml, or reference:gallery")
    fpir: float = Field(0.01, gt=0, lt=0.5, description="False alarms per search that the threshold is calibrated to")
    non_members: str = Field(
        "reference:renderer", description="People who are not enrolled: folder, or reference:renderer"
    )
    searches: int = Field(2000, ge=50, description="Non-member searches behind the calibration")


class TimeStampConfig(_Block):
    """Who vouches for the time of signing."""

    url: str = Field(pattern=r"^https?://", description="RFC 3161 time stamp authority")
    timeout: float = Field(10.0, gt=0, le=300, description="Seconds until an answer counts as missing")
    required: bool = Field(False, description="Whether an image without a time stamp is an error")


class ProvenanceConfig(_Block):
    """Content Credentials on every image, and a watermark that leads back to them."""

    stamp: bool = True
    keys: str | None = Field(
        None,
        description="Folder with chain.pem and key.pem, command:<program> or callable:<module>:<attribute>; "
        "default: a development chain",
    )
    watermark: str | None = Field(
        None, description="spread (built in) or trustmark; changes pixels, so what is measured is the marked image"
    )
    watermark_key: str | None = Field(None, description="File with the secret key of spread; default: the public key")
    time_stamps: TimeStampConfig | None = None
    training_mining: Literal["notAllowed", "allowed", "constrained"] | None = Field(
        "notAllowed",
        description="What the credentials say about using the image for training and mining; null: nothing",
    )
    public_prompts: bool = Field(False, description="Write prompts into the files instead of their digests")
    parents: Literal["refuse", "record"] = Field(
        "refuse", description="Images that arrive with broken credentials: leave them as they came, or sign over them"
    )

    @model_validator(mode="after")
    def _mark_is_bound(self) -> Self:
        if self.watermark and not self.stamp:
            raise ValueError("a watermark leads back to credentials: it needs stamp: true")
        return self


def _prices_kind(value: Any) -> str:
    return "path" if isinstance(value, str) else "list"


class CostConfig(_Block):
    """What images cost."""

    prices: (
        Annotated[Annotated[str, Tag("path")] | Annotated[PriceList, Tag("list")], Discriminator(_prices_kind)] | None
    ) = Field(None, description="Currency, source, date and prices by generator; or a YAML file beside this one")


class StoppingConfig(_Block):
    """Stop asking a prompt as soon as its findings are decided."""

    look: int = Field(10, ge=1, le=10_000, description="Images a prompt between two looks")


class AuditConfig(_Block):
    """The whole audit file."""

    name: Name = "audit"
    seed: int = Field(0, ge=0, lt=2**63)
    out: str | None = Field(None, description="Run folder; default: runs/<name>")
    level: float = Field(0.95, gt=0.5, lt=1, description="Confidence level of every interval")
    generators: list[GeneratorConfig] = Field(min_length=1)
    probes: list[ProbeConfig] = Field(min_length=1)
    instruments: InstrumentConfig = InstrumentConfig()
    reference: ReferenceConfig | None = ReferenceConfig()
    gallery: GalleryConfig | None = GalleryConfig()
    provenance: ProvenanceConfig = ProvenanceConfig()
    cost: CostConfig = CostConfig()
    metrics: list[str] | None = Field(None, description="Metric ids; default: all")
    until_decided: StoppingConfig | None = Field(
        None,
        description="Stop each prompt of a bias set as soon as the policy is decided on it, at the latest after its "
        "repetitions; the intervals then hold at any stopping time. Also: genaudit run --until-decided",
    )
    policy: str | None = Field(None, description="Name of a policy in reports/policies/, or path of a YAML file")
    reports: list[str] = Field(default_factory=lambda: ["html", "md", "json", "junit"])

    @field_validator("generators")
    @classmethod
    def _swept(cls, value: list[GeneratorConfig]) -> list[GeneratorConfig]:
        return [point for block in value for point in block.points()]

    @field_validator("generators")
    @classmethod
    def _names_differ(cls, value: list[GeneratorConfig]) -> list[GeneratorConfig]:
        names = [generator.name for generator in value]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two generators are called {twice[0]!r}")
        return value

    @model_validator(mode="after")
    def _sets_differ(self) -> AuditConfig:
        sets = [probe.set for probe in self.probes]
        twice = sorted({name for name in sets if sets.count(name) > 1})
        if twice:
            raise ValueError(f"probe set {twice[0]!r} is listed twice")
        return self


def load_config(path: Path) -> AuditConfig:
    """The audit file at ``path``, validated. Raises ConfigError that names every wrong key with its place."""
    document = read_document(path, kind="audit file")
    try:
        config = AuditConfig.model_validate(document.data)
    except ValidationError as error:
        raise explain(error, document=document, model=AuditConfig) from None
    blocks = [block.model_copy(update={"training": _beside(path, block.training)}) for block in config.generators]
    probes = [probe.model_copy(update={"wordings": _words_beside(path, probe.wordings)}) for probe in config.probes]
    cost = config.cost
    if isinstance(cost.prices, str):
        cost = cost.model_copy(update={"prices": _beside(path, cost.prices)})
    return config.model_copy(update={"generators": blocks, "probes": probes, "cost": cost})


def _words_beside(path: Path, block: WordingsBlock | None) -> WordingsBlock | None:
    """The tables of words that the audit file at ``path`` names, seen from where the command runs."""
    return None if block is None else block.placed(lambda name: str(path.parent / name))


def _written(value: ParamValue) -> str:
    """A value as part of a name."""
    if isinstance(value, float):
        return f"{value:g}"
    return str(value) if isinstance(value, int) else re.sub(r"[^A-Za-z0-9._]+", "-", str(value)).strip("-") or "none"


def _beside(path: Path, source: str | None) -> str | None:
    """A file named in the audit file at ``path``, seen from where the command runs."""
    return source if source is None or source.startswith("reference:") else str(path.parent / source)
