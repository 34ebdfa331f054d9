# SPDX-License-Identifier: Apache-2.0
"""A user's model of transformers: where it lies, and its weights and preprocessing as one pair of calls."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.annotators._hub import snapshot
from audit.annotators._label_map import Groups
from audit.annotators._operating import measured
from audit.checkpoints import digest_folder, digest_of, licence_of, quiet, resolve_model
from audit.errors import AnnotatorError, ConfigError
from audit.types import AnnotatorSpec

__all__ = ["OPTIONS", "Pretrained", "levels", "pooled"]

#: Options that all instruments on a user's model have.
OPTIONS: Mapping[str, type | tuple[type, ...]] = {
    "allow_race": bool,
    "batch": int,
    "device": str,
    "dtype": str,
    "local_files_only": bool,
    "model": str,
    "operating": str,
    "revision": str,
}
_FILES = ["*.json", "*.jinja", "*.txt", "*.model", "*.safetensors", "README.md"]
_DTYPES = ("float32", "bfloat16", "float16")
_SMALLEST = 8


class Pretrained:
    """Weights, configuration and preprocessing of one model, found at once and loaded on first use.

    Pickled weights and code from a checkpoint are never run.

    Args:
        options: of the instrument; those in `OPTIONS` are read.
        where: place for messages.

    Raises:
        AnnotatorError: a bundled model that is not there.
        ConfigError: no model, or a folder that is not there.
    """

    def __init__(self, options: Mapping[str, Any], *, where: str) -> None:
        self.where = where
        self.model = options.get("model") or ""
        self.batch = max(1, int(options.get("batch") or 32))
        self.dtype = options.get("dtype") or "float32"
        if self.dtype not in _DTYPES:
            raise ConfigError(f"dtype {self.dtype!r} is unknown", where=where, hint=f"one of {', '.join(_DTYPES)}")
        self._revision = options.get("revision")
        self._only_local = bool(options.get("local_files_only"))
        self._device = options.get("device") or "auto"
        self.local = resolve_model(self.model, where=where, error=AnnotatorError)

    @functools.cached_property
    def folder(self) -> Path:
        """Where the files are; a hub id is downloaded first. Raises AnnotatorError."""
        return self.local or snapshot(
            self.model, self._revision, files=_FILES, local_files_only=self._only_local, where=self.where
        )

    @functools.cached_property
    def config(self) -> Mapping[str, Any]:
        """Content of ``config.json``. Raises AnnotatorError."""
        try:
            raw = json.loads((self.folder / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            hint = "name a folder that save_pretrained wrote, or a hub id"
            raise AnnotatorError(f"{self.folder} holds no model: {error}", where=self.where, hint=hint) from error
        return raw if isinstance(raw, dict) else {}

    @functools.cached_property
    def device(self) -> str:
        """Where the model works, e.g. "cpu" or "cuda"."""
        import torch

        if self._device != "auto":
            return str(self._device)
        return "cuda" if torch.cuda.is_available() else "cpu"

    def network(self, loader: str) -> Any:
        """The model in evaluation mode on its device.

        Args:
            loader: a class of transformers, e.g. "AutoModel".

        Raises:
            AnnotatorError: it cannot be loaded.
        """
        import torch

        if not list(self.folder.glob("*.safetensors")):
            hint = "save it again with save_pretrained(..., safe_serialization=True), or name a revision that has them"
            message = f"{self.folder} holds no safetensors, and pickled weights are not read"
            raise AnnotatorError(message, where=self.where, hint=hint)
        options = {"dtype": getattr(torch, self.dtype), "use_safetensors": True}
        model = self._from_pretrained(loader, **options)
        return self._try(lambda: model.to(self.device).eval(), f"it cannot be put on {self.device}")

    def part(self, loader: str) -> Any:
        """Tokenizer, image processor, processor or configuration, e.g. "AutoTokenizer". Raises AnnotatorError."""
        return self._from_pretrained(loader, **({} if loader in {"AutoConfig", "AutoTokenizer"} else _pil()))

    def moved(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Tensors where the model works, fractions in its precision."""
        import torch

        dtype = getattr(torch, self.dtype)
        return {
            name: value.to(self.device, dtype) if value.is_floating_point() else value.to(self.device)
            for name, value in inputs.items()
        }

    def spec(
        self,
        name: str,
        version: str,
        *,
        settings: Mapping[str, Any],
        columns: Mapping[str, str],
        groups: Mapping[str, Groups],
        operating: str | None,
    ) -> AnnotatorSpec:
        """Identity of the instrument; reads files, loads no weights.

        Args:
            name: of the annotator.
            version: of its code.
            settings: what its answers depend on beside the weights.
            columns: that it fills.
            groups: that it tells apart, by attribute.
            operating: file of confusion counts.

        Raises:
            AnnotatorError: the model is not to be had.
            ConfigError: the counts are not this instrument's.
        """
        counts = measured(operating, {name: list(mine) for name, mine in groups.items()}, where=self.where)
        tables = {key: [c.truth, c.answers, c.counts, sorted(c.within.items())] for key, c in counts.items()}
        content = {
            "version": version,
            "weights": digest_folder(self.folder),
            "dtype": self.dtype,
            "settings": dict(settings),
            "counts": tables,
        }
        return AnnotatorSpec(name, version, digest_of(content), columns, licence_of(self.folder), counts)

    def _from_pretrained(self, loader: str, **more: Any) -> Any:
        import transformers

        if not list(self.folder.glob("*_config.json")):  # a processor may lie apart from its model's configuration
            _ = self.config  # says what is wrong with a folder in fewer words than transformers does

        def load() -> Any:
            kind: Any = getattr(transformers, loader)
            return kind.from_pretrained(self.folder, local_files_only=True, trust_remote_code=False, **more)

        return self._try(load, f"{self.folder} cannot be loaded by {loader}")

    def _try(self, work: Callable[[], Any], what: str) -> Any:
        try:
            with quiet():
                return work()
        except Exception as error:  # loaders of transformers, tokenizers and safetensors raise whatever they like
            hint = "name the folder of a model of this kind, saved with its processor; `genaudit doctor`"
            raise AnnotatorError(f"{what}: {_first_words(error)}", where=self.where, hint=hint) from error


def levels(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture in which height, width and channels cannot be mistaken for each other.

    Processors guess which axis is which, and guess wrong where a picture is one or three pixels high: such a one is
    enlarged by whole pixels.
    """
    times = -(-_SMALLEST // min(rgb.shape[:2]))
    return rgb if times <= 1 else np.repeat(np.repeat(rgb, times, axis=0), times, axis=1)


def pooled(out: Any) -> NDArray[np.float32]:
    """Embeddings as a tensor (transformers 4) or in an object that holds them (5), as float32."""
    tensor = out if hasattr(out, "detach") else out.pooler_output
    array: NDArray[np.float32] = tensor.detach().to("cpu").float().numpy()
    return array


def _pil() -> dict[str, Any]:
    """The processors on Pillow give the same numbers with and without torchvision."""
    import transformers

    return {"backend": "pil"} if hasattr(transformers, "CLIPImageProcessorPil") else {"use_fast": False}


def _first_words(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text[:300] or type(error).__name__
