# SPDX-License-Identifier: Apache-2.0
"""Reading a pipeline folder: its class, its classes of pictures, the size it draws."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from audit.checkpoints import quiet
from audit.errors import GeneratorError
from audit.generators._labels import Classes
from audit.generators.pipelines._call import Call
from audit.generators.pipelines._kind import why_not

__all__ = ["classes_of", "default_size", "download", "pipeline_class", "read_index"]


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
    config = _config(folder)
    kinds = config.get("architectures") or [config.get("_class_name") or config.get("architecture")]
    kind = next(iter(kinds), None) if isinstance(kinds, list) else None
    return f"a {kind}" if kind else "no model we know"


def _config(folder: Path) -> dict[str, Any]:
    try:
        stored = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stored if isinstance(stored, dict) else {}


def pipeline_class(folder: Path, *, where: str) -> type:
    """The class that a pipeline folder names, from diffusers itself; code shipped beside weights is never run.

    Raises:
        GeneratorError: the folder holds no pipeline, one that the installed diffusers does not know, or one that does
            not draw pictures from a text, a class or nothing.
    """
    name = read_index(folder, where=where)["_class_name"]
    import diffusers

    with quiet():
        found = getattr(diffusers, name, None) if isinstance(name, str) else None
    if not (isinstance(found, type) and issubclass(found, diffusers.DiffusionPipeline)):
        message = f"diffusers {diffusers.__version__} has no pipeline {name!r}, which {folder} asks for"
        raise GeneratorError(message, where=where, hint="install a diffusers that has it: pip install -U diffusers")
    reason = why_not(found)
    if reason is not None:
        hint = (
            "pipelines that make pictures from a text, a class or nothing can be driven, e.g. StableDiffusionPipeline"
        )
        raise GeneratorError(f"{name} {reason}, so it cannot be audited here", where=where, hint=hint)
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


def _net(folder: Path) -> dict[str, Any]:
    """The configuration of the network that removes noise."""
    return _config(folder / "unet") or _config(folder / "transformer")


def default_size(folder: Path, pipeline: type) -> str | None:
    """``WIDTHxHEIGHT`` that is drawn where none is asked for, read without weights; None where no file says it."""
    call = Call.of(pipeline)
    if call.size is not None:
        return "{}x{}".format(*call.size)
    sample = _net(folder).get("sample_size")
    code = inspect.getsource(pipeline)
    # Other classes carry their size, or the scale of their decoder, as a constant in the code.
    if "config.sample_size" not in code or "scale_factor = 8\n" in code or not isinstance(sample, int | list):
        return None
    height, width = sample if isinstance(sample, list) else (sample, sample)
    scale = _scale(folder)
    return None if scale is None else f"{width * scale}x{height * scale}"


def _scale(folder: Path) -> int | None:
    """Pixels an edge of one latent: the decoder doubles once less than it has blocks; 1 where there is no decoder."""
    found = next((name for name in ("vae", "vqvae", "movq") if (folder / name).is_dir()), None)
    if found is None:
        return 1
    config = _config(folder / found)
    blocks = config.get("block_out_channels") or config.get("encoder_block_out_channels")
    return 2 ** (len(blocks) - 1) if isinstance(blocks, list) else None


def classes_of(folder: Path, index: Mapping[str, Any]) -> Classes:
    """Index by lower-case name, and how many classes the network has; none and 0 for one that has no classes."""
    net = _net(folder)
    count = net.get("num_embeds_ada_norm") or net.get("num_class_embeds") or 0
    named = index.get("id2label")
    pairs = named.items() if isinstance(named, dict) else ()
    return {word.strip().lower(): int(key) for key, names in pairs for word in str(names).split(",")}, int(count)
