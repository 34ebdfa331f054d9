# SPDX-License-Identifier: Apache-2.0
"""What a diffusers generator is made of: found and checked without weights, then loaded."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit.checkpoints import digest_folder, digest_of, quiet
from audit.errors import AuditError, ConfigError, GeneratorError
from audit.generators._labels import Classes
from audit.generators.pipelines._call import Call
from audit.generators.pipelines._files import Extra, add_lora, add_words, find_extras
from audit.generators.pipelines._folder import classes_of, default_size, download, pipeline_class, read_index
from audit.generators.pipelines._options import Scheduler, picture_options, scheduler_of, set_scheduler, tune
from audit.types import Scalar

__all__ = ["Parts", "device_of", "dtype_of", "find_parts", "hushed"]


@dataclass(frozen=True, slots=True)
class Parts:
    """What was found for a generator; no weights.

    Attributes:
        folder: of the pipeline.
        commit: of the hub's repository, None for a folder of the user's.
        index: its ``model_index.json``.
        kind: its class.
        call: what the class takes.
        classes: what a class-conditional network knows.
        scheduler: in place of the checkpoint's own.
        lora: adapters.
        words: learned embeddings.
    """

    folder: Path
    commit: str | None
    index: Mapping[str, Any]
    kind: type
    call: Call
    classes: Classes
    scheduler: Scheduler | None
    lora: tuple[Extra, ...]
    words: tuple[Extra, ...]

    @property
    def conditioning(self) -> str:
        """``text``, ``class`` or ``none``."""
        if self.call.takes("prompt"):
            return "text"
        return "class" if self.call.takes("class_labels") and self.classes[1] else "none"

    @property
    def capabilities(self) -> frozenset[str]:
        """Of the call; a network without classes is not driven by class, whatever its pipeline takes."""
        return self.call.capabilities - ({"class"} if self.conditioning == "none" else set())

    def details(self, options: Mapping[str, Any]) -> dict[str, Scalar]:
        """What the specification says beside the digest."""
        own = (self.index.get("scheduler") or [None, None])[1]
        kind, settings = self.scheduler or (None, {})
        left_out = options.get("safety_checker") is False
        return {
            "pipeline": self.kind.__name__,
            "conditioning": self.conditioning,
            "size": default_size(self.folder, self.kind),
            "scheduler": kind.__name__ if kind else own,
            "scheduler_settings": json.dumps(settings, sort_keys=True, default=str) if settings else None,
            "lora": "; ".join(extra.identity for extra in self.lora) or None,
            "textual_inversion": "; ".join(extra.identity for extra in self.words) or None,
            "safety_checker": ("left out" if left_out else "as in the checkpoint") if self._checked else None,
            **{key: options.get(key) or False for key in ("attention_slicing", "channels_last", "compile")},
            **{key: options.get(key) or False for key in ("vae_slicing", "vae_tiling")},
            "offload": options.get("offload") or "none",
            "dtype": dtype_of(options),
            "device": device_of(options),
            "revision": self.commit or options.get("revision"),
            "variant": options.get("variant"),
        }

    def digest(self, options: Mapping[str, Any]) -> str:
        """sha256 (hex) over the checkpoint; over it and all that changes its pictures, where there is any."""
        whole = digest_folder(self.folder)
        changed = picture_options({**options, **({} if self._checked else {"safety_checker": None})})
        if self.lora:
            changed["lora"] = [[extra.digest, extra.weight] for extra in self.lora]
        if self.words:
            changed["textual_inversion"] = [[extra.digest, extra.token] for extra in self.words]
        return digest_of({"folder": whole, **changed}) if changed else whole

    @property
    def _checked(self) -> bool:
        return (self.index.get("safety_checker") or [None])[0] is not None

    def load(self, options: Mapping[str, Any], *, where: str) -> Any:
        """The pipeline with its weights, on its device. Raises ConfigError or GeneratorError."""
        with hushed():
            pipeline = self._weights(options, where=where)
            if self.scheduler is not None:
                set_scheduler(pipeline, self.scheduler, where=where)
            add_lora(pipeline, self.lora, where=where)
            add_words(pipeline, self.words, where=where)
            try:
                tune(pipeline, options, device_of(options), where=where)
            except AuditError:
                raise
            except Exception as error:  # whatever an accelerator or its driver finds wrong
                raise _not_loaded(self.folder, error, where=where) from error
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    def _weights(self, options: Mapping[str, Any], *, where: str) -> Any:
        import torch
        from diffusers.utils import deprecation_utils

        # diffusers renamed the argument; where the old name is deprecated there is a function that resolves both.
        named = "dtype" if hasattr(deprecation_utils, "_resolve_dtype") else "torch_dtype"
        dtype = getattr(torch, dtype_of(options))
        if device_of(options) == "cpu" and dtype is torch.float16:
            raise ConfigError("float16 does not run on a CPU", where=where, hint="leave dtype out, or bfloat16")
        parts: dict[str, Any] = {}
        if self._checked and options.get("safety_checker") is False:
            parts = {"safety_checker": None, "requires_safety_checker": False}
        known: dict[str, Any] = {named: dtype, "variant": options.get("variant"), "use_safetensors": True}
        loader: Any = self.kind
        try:
            return loader.from_pretrained(self.folder, local_files_only=True, **known, **parts)
        except Exception as error:  # the loaders of a dozen libraries raise whatever they like
            raise _not_loaded(self.folder, error, where=where) from error


def find_parts(local: Path | None, model: str, options: Mapping[str, Any], *, where: str) -> Parts:
    """Everything but the weights.

    Args:
        local: folder of the pipeline, None for a hub id.
        model: as written in the configuration.
        options: of the generator.
        where: place for messages.

    Raises:
        ConfigError: an option that does not go with the pipeline or the machine.
        GeneratorError: no pipeline, one that cannot be driven, or no network.
    """
    if options.get("offload") not in (None, "none") and device_of(options) == "cpu":
        hint = "set `device` to the accelerator, or leave `offload` out"
        raise ConfigError("offload needs an accelerator to take the weights to and from", where=where, hint=hint)
    folder = local or download(model, options, where=where)
    index, kind = read_index(folder, where=where), pipeline_class(folder, where=where)
    offline = bool(options.get("local_files_only"))
    return Parts(
        folder,
        # The hub's cache names a snapshot by its commit, which says more than "main".
        folder.name if local is None else None,
        index,
        kind,
        Call.of(kind),
        classes_of(folder, index),
        scheduler_of(options.get("scheduler"), index, where=where),
        find_extras("lora", options.get("lora"), offline=offline, where=where),
        find_extras("textual_inversion", options.get("textual_inversion"), offline=offline, where=where),
    )


@contextmanager
def hushed() -> Iterator[None]:
    """No progress bars, and none of the warnings that the libraries have for those who write programs with them."""
    with quiet(), warnings.catch_warnings(action="ignore"):
        yield


def dtype_of(options: Mapping[str, Any]) -> str:
    """float32 unless another is asked for."""
    return str(options.get("dtype") or "float32")


def device_of(options: Mapping[str, Any]) -> str:
    """The device asked for, else cuda where there is one, else cpu."""
    wish = str(options.get("device") or "auto")
    if wish != "auto":
        return wish
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _not_loaded(folder: Path, error: Exception, *, where: str) -> GeneratorError:
    message = f"the pipeline in {folder} does not load: {str(error).strip()[:300]}"
    hint = "only safetensors weights are read; `genaudit doctor` checks the installation"
    return GeneratorError(message, where=where, hint=hint)
