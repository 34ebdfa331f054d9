# SPDX-License-Identifier: Apache-2.0
"""Any diffusers pipeline, from a folder or by hub id: text-conditional, class-conditional or unconditional."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audit.checkpoints import check_options, digest_folder, licence_of, quiet, resolve_model
from audit.errors import ConfigError, GeneratorError
from audit.generators._common import drawn, failed, lanes
from audit.generators._filter import load_filter
from audit.generators._pipeline import Call, download, label_of, pipeline_class, read_index
from audit.types import Generation, GeneratorSpec, Outcome, Request

__all__ = ["DiffusersGenerator"]

_OPTIONS: Mapping[str, type | tuple[type, ...]] = {
    "device": str,
    "dtype": str,
    "lanes": int,
    "local_files_only": bool,
    "revision": str,
    "variant": str,
}
_DTYPES = ("float32", "float16", "bfloat16")


class DiffusersGenerator:
    """A diffusers pipeline under audit.

    Every image has its own ``torch.Generator`` seeded by its request, on the CPU, and every forward pass has the same
    fixed number of images (option ``lanes``), so an image does not depend on what else is in the batch. A local folder
    may hold ``prompt_filter.json``: prompts with a word of its list are answered as REFUSED.

    Args:
        name: in the configuration.
        model: folder of a pipeline (``model_index.json``), ``reference:diffusion``, or hub id.
        params: arguments of the pipeline's call; ``steps``, ``guidance`` and ``negative`` are short for
            ``num_inference_steps``, ``guidance_scale`` and ``negative_prompt``.
        options: ``device`` (auto, cpu, cuda ...), ``dtype`` (float32, float16, bfloat16; float32 by default, also for
            weights stored as float16), ``lanes`` (images a forward pass, 8), ``revision``, ``variant``,
            ``local_files_only``. Only safetensors weights are read.

    Raises:
        ConfigError: an unknown option, or a model that is neither a folder nor a hub id.
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
        self._options, self._params = dict(options or {}), dict(params or {})
        check_options(self._options, _OPTIONS, where=f"{self._where}: options")
        self._lanes = 8 if self._options.get("lanes") is None else int(self._options["lanes"])
        if not 1 <= self._lanes <= 256:
            raise ConfigError(f"lanes must be between 1 and 256, got {self._lanes}", where=self._where)
        if self._options.get("dtype", "float32") not in _DTYPES:
            raise ConfigError(f"dtype must be one of {', '.join(_DTYPES)}", where=self._where)
        self._local = resolve_model(model, where=self._where, error=GeneratorError)
        self._filter = load_filter(self._local, where=self._where)
        self._model = str(model)
        self._folder: Path | None = None
        self._call: Call | None = None
        self._pipeline: Any = None
        self._spec: GeneratorSpec | None = None

    @property
    def spec(self) -> GeneratorSpec:
        """Identity. Reads the configuration and digests the files once; a hub id is downloaded, weights stay unloaded.

        Raises:
            ConfigError: a parameter that the pipeline does not take.
            GeneratorError: no pipeline, or no network.
        """
        if self._spec is None:
            folder, call = self._prepare()
            index = read_index(folder, where=self._where)
            scheduler = index.get("scheduler") or [None, None]
            details = {
                "pipeline": str(index["_class_name"]),
                "scheduler": scheduler[1],
                "dtype": self._dtype(),
                "device": self._device(),
                "lanes": self._lanes,
                # The hub's cache names a snapshot by its commit, which says more than "main".
                "revision": folder.name if self._local is None else self._options.get("revision"),
                "variant": self._options.get("variant"),
            }
            self._spec = GeneratorSpec(
                self.name,
                "diffusers",
                self._model,
                digest_folder(folder),
                licence=licence_of(folder),
                capabilities=call.capabilities,
                details=details,
            )
        return self._spec

    def load(self) -> None:
        """Load the weights now instead of on the first request. Raises ConfigError or GeneratorError."""
        if self._pipeline is not None:
            return
        import torch
        from diffusers import DiffusionPipeline
        from diffusers.utils import deprecation_utils

        # diffusers renamed the argument; where the old name is deprecated there is a function that resolves both.
        named = "dtype" if hasattr(deprecation_utils, "_resolve_dtype") else "torch_dtype"
        folder, _ = self._prepare()
        device, dtype = self._device(), getattr(torch, self._dtype())
        if device == "cpu" and dtype is torch.float16:
            raise ConfigError("float16 does not run on a CPU", where=self._where, hint="leave dtype out, or bfloat16")
        with quiet():
            try:
                loader: Any = DiffusionPipeline
                pipeline = loader.from_pretrained(
                    folder,
                    **{named: dtype},
                    variant=self._options.get("variant"),
                    use_safetensors=True,
                    local_files_only=True,
                )
                pipeline = pipeline.to(device)
            except Exception as error:  # the loaders of a dozen libraries raise whatever they like
                message = f"the pipeline in {folder} does not load: {str(error).strip()[:300]}"
                hint = "only safetensors weights are read; `genaudit doctor` checks the installation"
                raise GeneratorError(message, where=self._where, hint=hint) from error
        pipeline.set_progress_bar_config(disable=True)
        self._pipeline = pipeline

    def generate(self, batch: Sequence[Request], /) -> list[Generation]:
        """Answer every request, in the order given. Raises what the pipeline raises."""
        self.load()
        answers = self._filter.answers(batch) if self._filter else {}
        groups: dict[tuple[Any, ...], list[Request]] = {}
        for request in (request for request in batch if request.id not in answers):
            # One call has one set of arguments; an empty negative prompt is not the same as none (SDXL).
            key = (*sorted(request.params.items()), ("", request.prompt.negative is None))
            groups.setdefault(key, []).append(request)
        for group in groups.values():
            for wanted, filled in lanes(group, self._lanes):
                answers |= {answer.request_id: answer for answer in self._draw(wanted, filled)}
        return [answers[request.id] for request in batch]

    def close(self) -> None:
        """Forget the weights."""
        self._pipeline = None

    def _prepare(self) -> tuple[Path, Call]:
        if self._folder is None or self._call is None:
            self._folder = self._local or download(self._model, self._options, where=self._where)
            self._call = Call.of(pipeline_class(self._folder, where=self._where))
            self._call.arguments(self._params, where=f"{self._where}: params")
        return self._folder, self._call

    def _dtype(self) -> str:
        return str(self._options.get("dtype") or "float32")

    def _device(self) -> str:
        wish = str(self._options.get("device") or "auto")
        if wish != "auto":
            return wish
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"

    def _draw(self, wanted: list[Request], filled: list[Request]) -> list[Generation]:
        import torch

        _, call = self._prepare()
        arguments = call.arguments({**self._params, **wanted[0].params}, where=f"{self._where}: params")
        arguments["generator"] = [torch.Generator("cpu").manual_seed(request.seed) for request in filled]
        if call.takes("prompt"):
            arguments["prompt"] = [request.prompt.text for request in filled]
            if call.takes("negative_prompt") and wanted[0].prompt.negative is not None:
                arguments["negative_prompt"] = [request.prompt.negative for request in filled]
            elif isinstance(arguments.get("negative_prompt"), str):
                arguments["negative_prompt"] = [arguments["negative_prompt"]] * len(filled)
        elif call.takes("class_labels"):
            labels = [label_of(self._pipeline, request) for request in filled]
            unknown = [request for request, label in zip(wanted, labels, strict=False) if label is None]
            if unknown:
                return self._without(wanted, unknown)
            arguments["class_labels"] = labels
        if call.takes("batch_size"):
            arguments["batch_size"] = len(filled)
        return self._run(wanted, arguments)

    def _without(self, wanted: list[Request], unknown: list[Request]) -> list[Generation]:
        """ERROR rows for requests whose text is no class of the checkpoint; the others are drawn."""
        gone = [failed(request, f"the checkpoint has no class {request.prompt.text!r}") for request in unknown]
        rest = [request for request in wanted if request not in unknown]
        more = [answer for part, filled in lanes(rest, self._lanes) for answer in self._draw(part, filled)]
        return gone + more

    def _run(self, wanted: list[Request], arguments: dict[str, Any]) -> list[Generation]:
        start = time.perf_counter()
        with quiet():
            try:
                out = self._pipeline(**arguments, output_type="np")
            except RuntimeError as error:
                # torch: its own class for CUDA, a plain RuntimeError for the CPU.
                if not re.search("out of memory|can't allocate memory", str(error)):
                    raise
                message = f"{self._lanes} images at once do not fit into memory: {str(error).strip()[:200]}"
                raise GeneratorError(message, where=self._where, hint="set the option `lanes` lower") from error
        images = out.images
        seconds = (time.perf_counter() - start) / len(wanted)
        blocked = getattr(out, "nsfw_content_detected", None) or [False] * len(images)
        answers = []
        for request, image, withheld in zip(wanted, images, blocked, strict=False):
            pixels = np.asarray(image)
            if withheld:
                message = "withheld by the safety filter of the checkpoint"
                answers.append(failed(request, message, outcome=Outcome.BLOCKED, seconds=seconds))
            elif not np.isfinite(pixels).all():
                answers.append(failed(request, "the pipeline returned pixels that are not numbers", seconds=seconds))
            else:
                answers.append(drawn(request, _levels(pixels), seconds=seconds))
        return answers


def _levels(pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(h, w[, 1 or 3]) floats in [0, 1] or bytes, to RGB levels."""
    if pixels.dtype != np.uint8:
        pixels = np.rint(np.clip(pixels, 0.0, 1.0) * 255.0).astype(np.uint8)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels[..., :3]
