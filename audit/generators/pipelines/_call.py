# SPDX-License-Identifier: Apache-2.0
"""What the call of a diffusers pipeline takes, and which parameters of ours mean which argument of it."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from audit.errors import ConfigError

__all__ = ["Call"]

_SHORT = {"steps": "num_inference_steps", "guidance": "guidance_scale", "negative": "negative_prompt"}
# Set by the generator itself, or nothing that a configuration file can hold.
_OURS = frozenset(
    {
        *("self", "args", "kwargs", "prompt", "class_labels", "generator", "batch_size", "latents", "timesteps"),
        *("sigmas", "image", "images", "input_images", "output_type", "return_dict", "num_images_per_prompt"),
        *("callback", "callback_steps", "callback_on_step_end", "callback_on_step_end_tensor_inputs"),
        *("cross_attention_kwargs", "attention_kwargs", "joint_attention_kwargs"),
    }
)
_NOT_OURS = ("_embeds", "_embeddings", "_image", "_mask", "_latents", "_callback")


@dataclass(frozen=True, slots=True)
class Call:
    """The arguments that a pipeline's ``__call__`` takes.

    Attributes:
        pipeline: name of the class.
        names: of the arguments.
        many: whether one call takes a list of random generators, one an image.
        size: (width, height) in pixels that the signature has as default, None where it has none.
    """

    pipeline: str
    names: frozenset[str]
    many: bool = True
    size: tuple[int, int] | None = None

    @classmethod
    def of(cls, pipeline: type) -> Call:
        """Read the signature of a pipeline class."""
        taken = inspect.signature(pipeline.__call__).parameters
        generator = taken.get("generator")
        # Those that pass one generator on to torch say so in the annotation: a list of them would be a TypeError.
        many = generator is not None and bool(re.search("list|sequence", str(generator.annotation), re.IGNORECASE))
        edges = [taken[name].default for name in ("width", "height") if name in taken]
        size = [edge for edge in edges if isinstance(edge, int)]
        return cls(pipeline.__name__, frozenset(taken), many, (size[0], size[1]) if len(size) == 2 else None)

    def takes(self, name: str) -> bool:
        """Whether there is an argument called ``name``."""
        return name in self.names

    @property
    def sized(self) -> bool:
        """Whether a size can be asked for."""
        return {"width", "height"} <= self.names

    @property
    def params(self) -> list[str]:
        """What a configuration may set, sorted; short names where there are some."""
        long = {name for name in self.names - _OURS if not name.endswith(_NOT_OURS)}
        short = [next((short for short, full in _SHORT.items() if full == name), name) for name in long]
        return sorted([*short, *(["size"] if self.sized else [])])

    @property
    def capabilities(self) -> frozenset[str]:
        """Short words for the specification."""
        have = {
            "text": "prompt",
            "class": "class_labels",
            "negative": "negative_prompt",
            "size": "height",
            "steps": "num_inference_steps",
            "guidance": "guidance_scale",
        }
        # A pipeline that takes no generator is seeded through torch's own.
        return frozenset({"seed", *(word for word, name in have.items() if name in self.names)})

    def arguments(self, params: Mapping[str, Any], *, where: str) -> dict[str, Any]:
        """``params`` under the pipeline's own names; None means the pipeline's default.

        Raises:
            ConfigError: for a parameter that the pipeline does not take, or a size that is none.
        """
        known = {_SHORT.get(name, name) for name in self.params} - {"size"}
        out: dict[str, Any] = {}
        for key, value in self._spread(params, where=where):
            name = _SHORT.get(key, key)
            if name not in known:
                raise self._unknown(key, where=where)
            if out.get(name, value) != value:
                raise ConfigError(f"{name!r} is set twice, to {out[name]!r} and {value!r}", where=where)
            if value is not None:
                out[name] = value
        return out

    def _spread(self, params: Mapping[str, Any], *, where: str) -> list[tuple[str, Any]]:
        """The parameters with ``size`` turned into width and height."""
        rest = [(key, value) for key, value in params.items() if key != "size" or not self.sized]
        if not self.sized or params.get("size") is None:
            return rest
        width, height = _edges(params["size"], where=where)
        return [*rest, ("width", width), ("height", height)]

    def _unknown(self, key: str, *, where: str) -> ConfigError:
        near = difflib.get_close_matches(key, self.params, n=1)
        first = f"did you mean {near[0]!r}? " if near else ""
        message = f"{self.pipeline} takes no parameter {key!r}"
        return ConfigError(message, where=where, hint=f"{first}it takes {', '.join(self.params)}")


def _edges(size: Any, *, where: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9]\d*)(?:\s*[x×]\s*([1-9]\d*))?", str(size).strip().lower())
    if found is None or isinstance(size, bool):
        hint = "write one number of pixels for a square, or width x height: 512, 768x512"
        raise ConfigError(f"size {size!r:.40} is no size", where=where, hint=hint)
    width = int(found.group(1))
    return width, int(found.group(2) or width)
