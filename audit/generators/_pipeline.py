# SPDX-License-Identifier: Apache-2.0
"""Reading a pipeline folder and mapping parameters to the arguments of its call."""

from __future__ import annotations

import difflib
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit.checkpoints import quiet
from audit.errors import ConfigError, GeneratorError
from audit.types import Request

__all__ = ["Call", "download", "label_of", "pipeline_class", "read_index"]

_SHORT = {"steps": "num_inference_steps", "guidance": "guidance_scale", "negative": "negative_prompt"}
# Set by the generator itself, or nothing that a configuration file can hold.
_OURS = frozenset(
    {
        *(
            "self",
            "args",
            "kwargs",
            "prompt",
            "class_labels",
            "generator",
            "batch_size",
            "latents",
            "timesteps",
            "sigmas",
        ),
        *("output_type", "return_dict", "num_images_per_prompt", "callback", "callback_steps", "callback_on_step_end"),
        *("callback_on_step_end_tensor_inputs", "cross_attention_kwargs", "attention_kwargs", "joint_attention_kwargs"),
    }
)


@dataclass(frozen=True, slots=True)
class Call:
    """The arguments that a pipeline's ``__call__`` takes."""

    pipeline: str
    names: frozenset[str]

    @classmethod
    def of(cls, pipeline: type) -> Call:
        """Read the signature of a pipeline class."""
        return cls(pipeline.__name__, frozenset(inspect.signature(pipeline.__call__).parameters))

    def takes(self, name: str) -> bool:
        """Whether there is an argument called ``name``."""
        return name in self.names

    @property
    def params(self) -> list[str]:
        """What a configuration may set, sorted; short names where there are some."""
        long = {name for name in self.names - _OURS if not name.endswith(("_embeds", "_image", "_mask"))}
        return sorted(next((short for short, full in _SHORT.items() if full == name), name) for name in long)

    @property
    def capabilities(self) -> frozenset[str]:
        """Short words for the specification."""
        have = {
            "text": "prompt",
            "class": "class_labels",
            "negative": "negative_prompt",
            "seed": "generator",
            "size": "height",
            "steps": "num_inference_steps",
            "guidance": "guidance_scale",
        }
        return frozenset(word for word, name in have.items() if name in self.names)

    def arguments(self, params: Mapping[str, Any], *, where: str) -> dict[str, Any]:
        """``params`` under the pipeline's own names; None means the pipeline's default.

        Raises:
            ConfigError: for a parameter that the pipeline does not take.
        """
        out: dict[str, Any] = {}
        for key, value in params.items():
            name = _SHORT.get(key, key)
            if name not in {_SHORT.get(known, known) for known in self.params}:
                near = difflib.get_close_matches(key, self.params, n=1)
                first = f"did you mean {near[0]!r}? " if near else ""
                message = f"{self.pipeline} takes no parameter {key!r}"
                raise ConfigError(message, where=where, hint=f"{first}it takes {', '.join(self.params)}")
            if out.get(name, value) != value:
                raise ConfigError(f"{name!r} is set twice, to {out[name]!r} and {value!r}", where=where)
            if value is not None:
                out[name] = value
        return out


def read_index(folder: Path, *, where: str) -> dict[str, Any]:
    """The ``model_index.json`` of a pipeline. Raises GeneratorError that says what the folder holds instead."""
    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
        if not isinstance(index, dict) or "_class_name" not in index:
            raise ValueError("it names no class")
    except FileNotFoundError:
        message = f"{folder} holds {_holds(folder)}, not a diffusers pipeline (no model_index.json)"
        raise GeneratorError(message, where=where, hint="name the folder that save_pretrained wrote") from None
    except (OSError, ValueError) as error:
        raise GeneratorError(f"{folder / 'model_index.json'} cannot be read: {error}", where=where) from None
    return index


def _holds(folder: Path) -> str:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        kind = next(iter(config.get("architectures") or [config.get("_class_name") or config.get("architecture")]))
    except (OSError, ValueError, AttributeError, StopIteration):
        kind = None
    return f"a {kind}" if kind else "no model we know"


def pipeline_class(folder: Path, *, where: str) -> type:
    """The class that a pipeline folder names, from diffusers itself; code shipped beside weights is never run.

    Raises:
        GeneratorError: the folder holds no pipeline, or one that the installed diffusers does not know.
    """
    name = read_index(folder, where=where)["_class_name"]
    import diffusers

    with quiet():
        found = getattr(diffusers, name, None) if isinstance(name, str) else None
    if not (isinstance(found, type) and issubclass(found, diffusers.DiffusionPipeline)):
        message = f"diffusers {diffusers.__version__} has no pipeline {name!r}, which {folder} asks for"
        raise GeneratorError(message, where=where, hint="install a diffusers that has it: pip install -U diffusers")
    return found


def download(model: str, options: Mapping[str, Any], *, where: str) -> Path:
    """The folder of a hub id, from the cache or the network. Raises GeneratorError."""
    from diffusers import DiffusionPipeline

    with quiet():
        try:
            folder = DiffusionPipeline.download(
                model,
                revision=options.get("revision"),
                variant=options.get("variant"),
                local_files_only=bool(options.get("local_files_only")),
                use_safetensors=True,
            )
        except Exception as error:  # huggingface_hub, its transport and diffusers each have their own errors
            message = f"{model} is not in the cache and cannot be downloaded: {type(error).__name__}"
            hint = f"where there is network: hf download {model}; or set `model` to a folder with the pipeline"
            raise GeneratorError(message, where=where, hint=hint) from error
    return Path(folder)


def label_of(pipeline: Any, request: Request) -> int | None:
    """The class index that a request asks for: axis ``class``, else the prompt text; a name or a number."""
    wanted = request.prompt.axes.get("class", request.prompt.text).strip()
    if wanted.lstrip("-").isdigit():
        return int(wanted)
    labels = getattr(pipeline, "labels", None) or {}
    found = next((index for name, index in labels.items() if name.lower() == wanted.lower()), None)
    return None if found is None else int(found)
