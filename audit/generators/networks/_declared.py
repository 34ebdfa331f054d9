# SPDX-License-Identifier: Apache-2.0
"""What a network is fed and what it answers, as its user writes it down: option ``io`` or ``generator.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from audit.documents import explain_options
from audit.errors import ConfigError

__all__ = ["FILE_NAME", "Declaration", "Label", "Noise", "Output", "Text", "Truncation", "read_declaration"]

FILE_NAME = "generator.json"
_Size = Annotated[int, Field(ge=1, le=100_000_000)]


class _Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Truncation(_Block):
    """How far a latent vector may lie from the middle.

    - ``threshold``: every entry with |z| > ``value`` is drawn again until none is (Brock, Donahue, Simonyan 2019,
      "Large Scale GAN Training for High Fidelity Natural Image Synthesis", section 3.1). Nothing is rescaled: code
      that draws from a normal cut at 2 and multiplies by its truncation is another distribution.
    - ``scale``: z' = mean + value (z - mean), 0 < value <= 1, the psi of StyleGAN (Karras, Laine, Aila 2019, "A
      Style-Based Generator Architecture for Generative Adversarial Networks", appendix B). There it moves the mapped
      latent w towards its average; so it is that trick only where this input is w and ``mean`` is that average. A
      network that maps z to w inside itself takes its psi as an input of its own: see ``constants``.
    """

    kind: Literal["threshold", "scale"] = "threshold"
    value: float = Field(gt=0)
    mean: float | list[float] = 0.0

    @model_validator(mode="after")
    def _in_reach(self) -> Self:
        low, high = (0.01, 10.0) if self.kind == "threshold" else (0.0, 1.0)
        if not low <= self.value <= high:
            raise ValueError(f"truncation by {self.kind} lies between {low:g} and {high:g}")
        if self.kind == "threshold" and self.mean != 0.0:
            raise ValueError("mean goes with kind: scale")
        return self


def _one_number(value: Any) -> Any:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return {"kind": "threshold", "value": value} if plain else value


def _one_block(value: Any) -> Any:
    return [value] if isinstance(value, Mapping) else value


class Noise(_Block):
    """A random input. ``shape`` leaves the batch out; ``uniform`` is over [-1, 1)."""

    name: str | None = None
    shape: list[_Size] | None = Field(None, min_length=1, max_length=4)
    distribution: Literal["normal", "uniform"] = "normal"
    truncation: Annotated[Truncation | None, BeforeValidator(_one_number)] = None

    @model_validator(mode="after")
    def _normal(self) -> Self:
        if self.distribution == "uniform" and self.truncation is not None and self.truncation.kind == "threshold":
            raise ValueError("truncation by threshold is for a normal distribution; kind: scale works for both")
        return self


class Label(_Block):
    """A class: its number (N,), or a row with one 1 in it (N, classes)."""

    name: str | None = None
    encoding: Literal["index", "one_hot"] = "index"
    classes: _Size | None = None


class Text(_Block):
    """Token ids (N, length) by a tokenizer in a folder, which may lie beside the weights; ``mask`` has their shape."""

    name: str | None = None
    tokenizer: str
    length: Annotated[int, Field(ge=1, le=8192)] | None = None
    mask: str | None = None


class _Inputs(_Block):
    noise: Annotated[tuple[Noise, ...], BeforeValidator(_one_block)] = ()
    label: Label | None = None
    text: Text | None = None
    constants: dict[str, float | int | bool | list[float]] = Field(default_factory=dict)


class Output(_Block):
    """The pictures among what the network answers."""

    name: str | None = None
    index: int | None = Field(None, ge=0)
    layout: Literal["NCHW", "NHWC"] | None = None
    range: tuple[float, float] | None = None
    channels: Literal[1, 3, 4] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.range not in (None, (-1.0, 1.0), (0.0, 1.0), (0.0, 255.0)):
            raise ValueError("range is one of [-1, 1], [0, 1], [0, 255]")
        if self.name is not None and self.index is not None:
            raise ValueError("give the output's name or its index, not both")
        return self


class Declaration(_Block):
    """What ``generator.json`` holds; everything that the artefact says by itself may be left out."""

    inputs: _Inputs = _Inputs()
    output: Output = Output()
    labels: list[str] | dict[str, int] | None = None

    @property
    def names(self) -> dict[str, int]:
        """Class name -> index."""
        if isinstance(self.labels, list):
            return {name: index for index, name in enumerate(self.labels)}
        return dict(self.labels or {})


def read_declaration(option: Any, folder: Path, *, where: str) -> Declaration:
    """The declaration in ``option``, else in ``generator.json`` of ``folder``, else an empty one.

    Raises:
        ConfigError: not readable, an unknown key, or a value that makes no sense, with its place.
    """
    place, raw = f"{where}: options.io", option
    path = folder / FILE_NAME
    if option is None and path.is_file():
        place = str(path)
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"not a JSON file: {error}", where=place, hint="see docs/generators.md") from None
    if not isinstance(raw, Mapping | None):
        raise ConfigError("not a JSON object", where=place, hint='it reads {"inputs": {...}, "output": {...}}')
    try:
        return Declaration.model_validate({} if raw is None else raw)
    except ValidationError as error:
        raise explain_options(error, where=place, model=Declaration) from None
