# SPDX-License-Identifier: Apache-2.0
"""The audit file: what to ask whom, how to measure it, how to judge it. Unknown keys are errors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from audit.documents import explain, read_document

__all__ = [
    "AuditConfig",
    "GalleryConfig",
    "GeneratorConfig",
    "InstrumentConfig",
    "ProbeConfig",
    "ProvenanceConfig",
    "ReferenceConfig",
    "StoppingConfig",
    "load_config",
]

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
ParamValue = str | int | float | bool | None


class _Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GeneratorConfig(_Block):
    """One generator under audit."""

    name: Name = Field(description="Short name used in tables and file columns")
    kind: str = Field(description="What drives it: see docs/generators.md or `genaudit list generators`")
    model: str | None = Field(None, description="Folder, file, hub id, module:name, or reference:<name>")
    params: dict[str, ParamValue] = Field(
        default_factory=dict, description="Part of every request: steps, guidance, size"
    )
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


class ProbeConfig(_Block):
    """One probe set to ask."""

    set: str = Field(description="Name of a set in probes/, or path of a YAML file")
    repetitions: int | None = Field(None, ge=1, le=1_000_000, description="Overrides the set's own repetitions")
    limit: int | None = Field(None, ge=1, description="Ask only the first so many prompts")


class InstrumentConfig(_Block):
    """What measures the images."""

    bundle: Literal["reference", "standard"] = Field(
        "reference", description="Bundled small models, or public ones by hub id"
    )
    annotators: list[str] | None = Field(None, description="Names; default: all but those of the reference world")
    options: dict[str, dict[str, Any]] = Field(default_factory=dict, description="Options by annotator name")


class ReferenceConfig(_Block):
    """Images that the Frechet distance is measured against."""

    images: str = Field("reference:renderer", description="Folder of images, or reference:renderer")
    n: int = Field(2000, ge=50, le=10_000_000)


class GalleryConfig(_Block):
    """Enrolled references that outputs are compared with."""

    source: str = Field("reference:gallery", description="Folder with gallery.yaml, or reference:gallery")
    fpir: float = Field(0.01, gt=0, lt=0.5, description="False alarms per search that the threshold is calibrated to")
    non_members: str = Field(
        "reference:renderer", description="People who are not enrolled: folder, or reference:renderer"
    )
    searches: int = Field(2000, ge=50, description="Non-member searches behind the calibration")


class ProvenanceConfig(_Block):
    """Content Credentials on every image."""

    stamp: bool = True
    key_dir: str | None = Field(None, description="Folder with chain.pem and key.pem; default: a development chain")


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
    return config.model_copy(update={"generators": blocks})


def _beside(path: Path, source: str | None) -> str | None:
    """A file named in the audit file at ``path``, seen from where the command runs."""
    return source if source is None or source.startswith("reference:") else str(path.parent / source)
