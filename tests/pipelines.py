# SPDX-License-Identifier: Apache-2.0
"""Tiny checkpoints of the pipelines that people use, random weights, saved as their users save theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.checkpoints import save_ddpm, save_dit, save_stable_diffusion
from tests.pipelines_transformer import (
    save_aura_flow,
    save_chroma,
    save_cogview4,
    save_flux,
    save_hunyuan_dit,
    save_lumina2,
    save_pixart_alpha,
    save_pixart_sigma,
    save_qwen_image,
    save_sana,
    save_sd3,
    save_z_image,
)
from tests.pipelines_unet import (
    save_amused,
    save_class_consistency,
    save_consistency,
    save_ddim,
    save_kandinsky,
    save_lcm,
    save_ldm,
    save_sdxl,
    save_turbo,
)

# Of different lengths: what is padded to the longest shows.
TEXTS = ("a portrait of a nurse", "glasses")


@dataclass(frozen=True, slots=True)
class Case:
    """A pipeline to be driven.

    Attributes:
        save: writes the checkpoint.
        params: of the generator; small, so that it is quick.
        size: (width, height) in pixels of a picture with ``params``.
        plain: (width, height) that the specification must give for no size asked for, None where it cannot know.
        texts: prompts that must give different pictures; one where the pipeline is not told what to draw.
    """

    save: Callable[[Path], Path]
    params: Mapping[str, Any] = field(default_factory=lambda: {"steps": 2})
    size: tuple[int, int] = (32, 32)
    plain: tuple[int, int] | None = (32, 32)
    texts: tuple[str, ...] = TEXTS


_TWO: dict[str, Any] = {"steps": 2}
_WIDE: dict[str, Any] = {"steps": 2, "size": "32x16"}

CASES: dict[str, Case] = {
    "AmusedPipeline": Case(save_amused, {"steps": 2}, (16, 16), (16, 16)),
    "AuraFlowPipeline": Case(save_aura_flow, _WIDE, (32, 16), (1024, 1024)),
    "ChromaPipeline": Case(save_chroma, {**_WIDE, "max_sequence_length": 16}, (32, 16), None),
    "CogView4Pipeline": Case(save_cogview4, _WIDE, (32, 16)),
    "ConsistencyModelPipeline": Case(save_consistency, _TWO, (16, 16), (16, 16), ("anything",)),
    "ConsistencyModelPipeline with classes": Case(save_class_consistency, _TWO, (16, 16), (16, 16), ("0", "2")),
    "DDIMPipeline": Case(save_ddim, _TWO, (16, 16), (16, 16), ("anything",)),
    "DDPMPipeline": Case(save_ddpm, _TWO, (16, 16), (16, 16), ("anything",)),
    "DiTPipeline": Case(save_dit, _TWO, (8, 8), (8, 8), ("nurse", "boss")),
    "FluxPipeline": Case(save_flux, {**_WIDE, "max_sequence_length": 16}, (32, 16), None),
    "HunyuanDiTPipeline": Case(save_hunyuan_dit, {**_WIDE, "use_resolution_binning": False}, (32, 16)),
    "KandinskyV22CombinedPipeline": Case(
        save_kandinsky, {**_WIDE, "size": 64, "prior_num_inference_steps": 2}, (64, 64), (512, 512)
    ),
    "LDMPipeline": Case(save_ldm, _TWO, (32, 32), (32, 32), ("anything",)),
    "LatentConsistencyModelPipeline": Case(save_lcm, _WIDE, (32, 16)),
    "Lumina2Pipeline": Case(save_lumina2, {"steps": 2, "size": 32, "max_sequence_length": 64}, (32, 32), None),
    "PixArtAlphaPipeline": Case(
        save_pixart_alpha, {**_WIDE, "use_resolution_binning": False, "max_sequence_length": 16}, (32, 16), (16, 16)
    ),
    "PixArtSigmaPipeline": Case(
        save_pixart_sigma, {**_WIDE, "use_resolution_binning": False, "max_sequence_length": 16}, (32, 16), (16, 16)
    ),
    "QwenImagePipeline": Case(save_qwen_image, _WIDE, (32, 16), None),
    "SanaPipeline": Case(
        save_sana, {"steps": 2, "size": "64x32", "use_resolution_binning": False}, (64, 32), (1024, 1024)
    ),
    "StableDiffusion3Pipeline": Case(save_sd3, {**_WIDE, "max_sequence_length": 16}, (32, 16)),
    "StableDiffusionPipeline": Case(save_stable_diffusion, _WIDE, (32, 16)),
    "StableDiffusionXLPipeline": Case(save_sdxl, _WIDE, (32, 16)),
    "StableDiffusionXLPipeline in one step": Case(save_turbo, {"steps": 1, "guidance": 0.0, "size": 32}),
    "ZImagePipeline": Case(save_z_image, {"steps": 2, "size": "32x16", "max_sequence_length": 32}, (32, 16), None),
}
