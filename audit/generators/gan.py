# SPDX-License-Identifier: Apache-2.0
"""A GAN checkpoint: ``config.json`` and safetensors of a conditional generator."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audit.checkpoints import check_options, digest_folder, licence_of, resolve_model
from audit.errors import AuditError, ConfigError, GeneratorError
from audit.generators._common import drawn
from audit.types import Generation, GeneratorSpec, Request

__all__ = ["GanGenerator"]


class GanGenerator:
    """A conditional GAN generator under audit; an image depends on its prompt and its seed only.

    Args:
        name: in the configuration.
        model: folder of the checkpoint, or ``reference:gan``.
        params: none are taken.
        options: none are taken.

    Raises:
        ConfigError: an unknown option or parameter, or a folder that is not there.
        GeneratorError: a bundled model is missing.
    """

    def __init__(
        self,
        name: str,
        *,
        model: str | None,
        params: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.name, self._where = name, f"generator {name!r}"
        check_options(options or {}, {}, where=f"{self._where}: options")
        check_options(params or {}, {}, where=f"{self._where}: params")
        folder = resolve_model(model, where=self._where, error=GeneratorError)
        if folder is None:
            raise ConfigError(f"{model!r} is not a folder", where=self._where, hint="GAN checkpoints are local folders")
        self._folder: Path = folder
        self._model = str(model)
        self._net: Any = None

    @property
    def spec(self) -> GeneratorSpec:
        """Identity; digests the files once."""
        return GeneratorSpec(
            self.name,
            "gan",
            self._model,
            digest_folder(self._folder),
            licence=licence_of(self._folder),
            capabilities=frozenset({"text", "seed"}),
            details={"resolution": self._resolution()},
        )

    def load(self) -> None:
        """Load the weights now instead of on the first request. Raises GeneratorError."""
        if self._net is not None:
            return
        from audit.reference.gan_model import ConditionalGenerator

        try:
            self._net = ConditionalGenerator.from_pretrained(self._folder)
        except AuditError as error:
            raise GeneratorError(error.message, where=self._where, hint=error.hint) from error
        except Exception as error:  # missing keys, wrong shapes, broken files: all mean "not this checkpoint"
            message = f"{self._folder} holds no conditional GAN generator: {str(error).strip()[:300]}"
            raise GeneratorError(
                message, where=self._where, hint="it needs config.json and model.safetensors"
            ) from error

    def generate(self, batch: Sequence[Request], /) -> list[Generation]:
        """Answer every request, in the order given."""
        self.load()
        start = time.perf_counter()
        images = self._net.generate([r.prompt.text for r in batch], [r.seed for r in batch])
        seconds = (time.perf_counter() - start) / max(1, len(batch))
        return [drawn(request, image, seconds=seconds) for request, image in zip(batch, images, strict=True)]

    def _resolution(self) -> int | None:
        try:
            return int(json.loads((self._folder / "config.json").read_text(encoding="utf-8"))["resolution"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def close(self) -> None:
        """Forget the weights."""
        self._net = None
