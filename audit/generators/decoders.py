# SPDX-License-Identifier: Apache-2.0
"""Checkpoints that draw a picture in one pass over the text and a seed: GANs, variational autoencoders, LSTMs.

Each is a folder with a ``config.json``, whose ``model_type`` says what it is, and safetensors; a ``prompt_filter.json``
beside them lists the words of prompts that are refused.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from audit.checkpoints import check_options, digest_folder, licence_of, resolve_model
from audit.errors import AuditError, ConfigError, GeneratorError
from audit.generators._common import drawn
from audit.generators._filter import load_filter
from audit.types import Generation, GeneratorSpec, Request

__all__ = ["GanGenerator", "RecurrentGenerator", "VaeGenerator"]


class _Decoder:
    """What the three kinds share; an image depends on its prompt and its seed only.

    Args:
        name: in the configuration.
        model: folder of the checkpoint, or ``reference:<name>``.
        params: none are taken.
        options: none are taken.

    Raises:
        ConfigError: an unknown option or parameter, or a folder that is not there.
        GeneratorError: a bundled model is missing.
    """

    kind: ClassVar[str]
    model_type: ClassVar[str]
    target: ClassVar[str]

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
            raise ConfigError(
                f"{model!r} is not a folder", where=self._where, hint=f"{self.kind} checkpoints are local folders"
            )
        self._folder: Path = folder
        self._model = str(model)
        self._net: Any = None
        self._filter = load_filter(folder, where=self._where)

    @property
    def spec(self) -> GeneratorSpec:
        """Identity; digests the files once."""
        return GeneratorSpec(
            self.name,
            self.kind,
            self._model,
            digest_folder(self._folder),
            licence=licence_of(self._folder),
            capabilities=frozenset({"text", "seed"}),
            details={"resolution": self._config().get("resolution")},
        )

    def load(self) -> None:
        """Load the weights now instead of on the first request. Raises GeneratorError."""
        if self._net is not None:
            return
        found = self._config().get("model_type", self.model_type)
        if found != self.model_type:
            raise GeneratorError(
                f"{self._folder} holds a {found!r}, not a {self.model_type!r}",
                where=self._where,
                hint=f"kind: {self.kind} reads folders whose config.json says model_type {self.model_type!r}",
            )
        module, _, attribute = self.target.partition(":")
        try:
            self._net = getattr(import_module(module), attribute).from_pretrained(self._folder)
        except AuditError as error:
            raise GeneratorError(error.message, where=self._where, hint=error.hint) from error
        except Exception as error:  # missing keys, wrong shapes, broken files: all mean "not this checkpoint"
            message = f"{self._folder} holds no {self.model_type} generator: {str(error).strip()[:300]}"
            raise GeneratorError(message, where=self._where, hint="it needs config.json and safetensors") from error

    def generate(self, batch: Sequence[Request], /) -> list[Generation]:
        """Answer every request, in the order given."""
        self.load()
        start = time.perf_counter()
        answers = self._filter.answers(batch) if self._filter else {}
        open_ = [request for request in batch if request.id not in answers]
        images = self._net.generate([r.prompt.text for r in open_], [r.seed for r in open_])
        seconds = (time.perf_counter() - start) / max(1, len(open_))
        answers |= {r.id: drawn(r, image, seconds=seconds) for r, image in zip(open_, images, strict=True)}
        return [answers[request.id] for request in batch]

    def _config(self) -> dict[str, Any]:
        try:
            stored = json.loads((self._folder / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return stored if isinstance(stored, dict) else {}

    def close(self) -> None:
        """Forget the weights."""
        self._net = None


class GanGenerator(_Decoder):
    """A conditional GAN generator under audit."""

    kind, model_type = "gan", "conditional-gan"
    target = "audit.reference.gan_model:ConditionalGenerator"


class VaeGenerator(_Decoder):
    """A variational autoencoder under audit: its decoder fed by a prior that depends on the text."""

    kind, model_type = "vae", "vae"
    target = "audit.reference.vae_model:VaeGenerator"


class RecurrentGenerator(_Decoder):
    """A recurrent model under audit: an LSTM over the tokens of a VQ autoencoder."""

    kind, model_type = "recurrent", "recurrent"
    target = "audit.reference.recurrent_model:RecurrentGenerator"
