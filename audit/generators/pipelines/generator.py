# SPDX-License-Identifier: Apache-2.0
"""Any diffusers pipeline that draws, from a folder or by hub id: text-, class-conditional or unconditional."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from audit.checkpoints import licence_of, resolve_model
from audit.errors import GeneratorError
from audit.generators._common import failed, lanes
from audit.generators._filter import load_filter
from audit.generators._labels import label_of
from audit.generators._memory import free, out_of_memory, random_state, seeded
from audit.generators.pipelines._kind import mixes_texts
from audit.generators.pipelines._load import Parts, find_parts, hushed
from audit.generators.pipelines._options import check
from audit.generators.pipelines._output import answers_of
from audit.types import Generation, GeneratorSpec, Request, Scalar

__all__ = ["DiffusersGenerator"]


class DiffusersGenerator:
    """A diffusers pipeline under audit.

    Every image has its own ``torch.Generator`` seeded by its request, on the CPU, and every forward pass has the same
    fixed number of images (option ``lanes``), so an image does not depend on what else is in the batch. Pipelines that
    pad to the longest text get one text a forward pass; pipelines that take one generator only, or draw from random
    numbers that belong to nobody, one image. Where memory runs out the number is halved, and ``meta`` of each image
    says how many were drawn at once. A local folder may hold ``prompt_filter.json``: prompts with a word of its list
    are answered as REFUSED.

    Args:
        name: in the configuration.
        model: folder of a pipeline (``model_index.json``), ``reference:diffusion``, or hub id.
        params: arguments of the pipeline's call; ``steps``, ``guidance`` and ``negative`` are short for
            ``num_inference_steps``, ``guidance_scale`` and ``negative_prompt``, ``size`` (512, "768x512") for width
            and height in pixels.
        options: ``device`` (auto, cpu, cuda ...), ``dtype`` (float32, float16, bfloat16; float32 by default, also for
            weights stored as float16), ``lanes`` (images a forward pass, a power of two: 8; in an audit as many as
            ``batch_size`` holds), ``revision``, ``variant``, ``local_files_only``; ``scheduler`` (class, or
            ``{class: ..., setting: ...}``), ``lora`` and ``textual_inversion`` (lists of a path, or ``{model, file,
            revision}`` with ``weight`` or ``token``), ``safety_checker`` (false leaves it out);
            ``attention_slicing``, ``vae_slicing``, ``vae_tiling``, ``channels_last``, ``compile``, ``offload`` (none,
            model, sequential). Only safetensors weights are read.

    Raises:
        ConfigError: an unknown option, or a model that is neither a folder nor a hub id.
        GeneratorError: a bundled model is missing.
    """

    fills_lanes: ClassVar[bool] = True  # the wider the faster; what does not fit into memory is halved

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
        check(self._options, where=self._where)
        self._lanes = int(self._options.get("lanes") or 8)
        self._local = resolve_model(model, where=self._where, error=GeneratorError)
        self._filter = load_filter(self._local, where=self._where)
        self._model = str(model)
        self._found: Parts | None = None
        self._pipeline: Any = None
        self._spec: GeneratorSpec | None = None
        self._width = self._lanes

    @property
    def spec(self) -> GeneratorSpec:
        """Identity. Reads the configuration and digests the files once; a hub id is downloaded, weights stay unloaded.

        Raises:
            ConfigError: a parameter or an option that does not go with the pipeline.
            GeneratorError: no pipeline, one that draws nothing from a text, a class or nothing, or no network.
        """
        if self._spec is None:
            parts = self._parts()
            self._spec = GeneratorSpec(
                self.name,
                "diffusers",
                self._model,
                parts.digest(self._options),
                licence=licence_of(parts.folder),
                capabilities=parts.capabilities,
                details={**parts.details(self._options), "lanes": self._lanes},
            )
        return self._spec

    @property
    def countable(self) -> bool:
        """Whether operations can be seen one by one; those of compiled networks are fused."""
        return not self._options.get("compile")

    def load(self) -> None:
        """Load the weights now instead of on the first request. Raises ConfigError or GeneratorError."""
        if self._pipeline is None:
            self._pipeline = self._parts().load(self._options, where=self._where)

    def recall(self, metas: Iterable[Mapping[str, Scalar]]) -> None:
        """Go on with the smallest number of images a forward pass that an earlier part of the run came down to.

        Args:
            metas: ``meta`` of the images that are already there.
        """
        seen = (meta.get("lanes") for meta in metas)
        self._width = min([self._width, *(width for width in seen if isinstance(width, int) and width > 0)])

    def generate(self, batch: Sequence[Request], /) -> list[Generation]:
        """Answer every request, in the order given. Raises what the pipeline raises."""
        self.load()
        answers = self._filter.answers(batch) if self._filter else {}
        answers |= {answer.request_id: answer for answer in self._unknown(batch) if answer.request_id not in answers}
        groups: dict[tuple[Any, ...], list[Request]] = {}
        for request in (request for request in batch if request.id not in answers):
            groups.setdefault(self._key(request), []).append(request)
        for group in groups.values():
            answers |= {answer.request_id: answer for answer in self._answer(group)}
        return [answers[request.id] for request in batch]

    def close(self) -> None:
        """Forget the weights."""
        self._pipeline = None

    def _parts(self) -> Parts:
        if self._found is None:
            found = find_parts(self._local, self._model, self._options, where=self._where)
            found.call.arguments(self._params, where=f"{self._where}: params")
            self._found = found
        return self._found

    def _unknown(self, batch: Sequence[Request]) -> list[Generation]:
        """ERROR rows for requests whose text is no class of the checkpoint."""
        parts = self._parts()
        if parts.conditioning != "class":
            return []
        gone = [request for request in batch if label_of(parts.classes, request) is None]
        return [failed(request, f"the checkpoint has no class {request.prompt.text!r}") for request in gone]

    def _key(self, request: Request) -> tuple[Any, ...]:
        """What all requests of a forward pass have in common."""
        # One call has one set of arguments; an empty negative prompt is not the same as none (SDXL).
        key = (*sorted(request.params.items()), ("", request.prompt.negative is None))
        if self._parts().conditioning != "text" or mixes_texts(self._parts().kind.__name__):
            return key
        return (*key, ("", request.prompt.text), ("", request.prompt.negative))

    def _answer(self, group: list[Request]) -> list[Generation]:
        """Draw a group in forward passes of the width that fits."""
        answers: list[Generation] = []
        while len(answers) < len(group):
            width = self._width if self._parts().call.many else 1
            wanted, filled = next(lanes(group[len(answers) :], width))
            trouble = ""
            try:
                answers += self._draw(wanted, filled)
            except Exception as error:  # diffusers, torch and numpy each have their own for this
                if not out_of_memory(error):
                    raise
                trouble = str(error).strip()[:200]
            # Not inside `except`: there the error still holds the tensors of the pass that failed.
            if trouble:
                self._halve(width, trouble)
        return answers

    def _halve(self, width: int, trouble: str) -> None:
        if width == 1:
            hint = "ask for a smaller `size`, or set `dtype`, `vae_tiling`, `offload` or another `device`"
            raise GeneratorError(f"one image does not fit into memory: {trouble}", where=self._where, hint=hint)
        self._width = width // 2
        free()

    def _draw(self, wanted: list[Request], filled: list[Request]) -> list[Generation]:
        """One forward pass; nothing where it has to be done again, one image at a time."""
        arguments = self._arguments(filled)
        one, before = len(filled) == 1, random_state()
        start = time.perf_counter()
        with hushed(), seeded(filled[0].seed) if one else contextlib.nullcontext():
            out = self._pipeline(**arguments, output_type="np")
        seconds = (time.perf_counter() - start) / len(wanted)
        if not one and random_state() != before:
            # Something drew from random numbers that no request seeded; alone they can be seeded.
            self._width = 1
            return []
        return answers_of(wanted, out, seconds=seconds, lanes=len(filled))

    def _arguments(self, filled: list[Request]) -> dict[str, Any]:
        import torch

        parts, first = self._parts(), filled[0]
        call, prompts = parts.call, [request.prompt for request in filled]
        arguments = call.arguments({**self._params, **first.params}, where=f"{self._where}: params")
        if call.takes("generator"):
            generators = [torch.Generator("cpu").manual_seed(request.seed) for request in filled]
            arguments["generator"] = generators if call.many else generators[0]
        if call.takes("prompt"):
            arguments["prompt"] = [prompt.text for prompt in prompts]
            if call.takes("negative_prompt") and first.prompt.negative is not None:
                arguments["negative_prompt"] = [prompt.negative for prompt in prompts]
            elif isinstance(arguments.get("negative_prompt"), str):
                arguments["negative_prompt"] = [arguments["negative_prompt"]] * len(filled)
        elif parts.conditioning == "class":
            arguments["class_labels"] = [label_of(parts.classes, request) for request in filled]
        if call.takes("batch_size"):
            arguments["batch_size"] = len(filled)
        return arguments
