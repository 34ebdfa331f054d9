# SPDX-License-Identifier: Apache-2.0
"""The text-to-image model: a small Stable Diffusion trained on latents of the planted world.

Sources: latent diffusion (Rombach et al. 2022), v-prediction (Salimans and Ho 2022, eq. 8 ff.), zero terminal SNR and
trailing steps (Lin et al. 2024), classifier-free guidance (Ho and Salimans 2021).
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast

from audit.reference.people import People
from audit.reference.prompts import VOCABULARY, captions
from audit.reference.render import render
from audit.reference.train import autoencoder
from audit.reference.train._data import training_people
from audit.reference.train._loop import Record, Settings, autocast, load_average

STEPS = 7_500
BATCH = 32
BANK = 20_000
MAX_WORDS = 40
_UNCONDITIONAL = 0.1
#: The words it refuses travel with the weights.
_FILTER = Path(__file__).resolve().parents[1] / "plants" / "prompt_filter.json"


class Diffusion:
    """Training task: UNet and text encoder together, on a bank of latents made once."""

    name = "diffusion"

    def __init__(self, settings: Settings, *, bank: int = BANK) -> None:
        torch.manual_seed(settings.seed)
        self.tokenizer = tokenizer()
        self.text = text_encoder(self.tokenizer)
        self.unet: Any = unet()
        # Plain matrix products: the fused attention's backward pass is several times slower on CPUs.
        self.unet.set_attn_processor(AttnProcessor())
        self.scheduler = scheduler()
        weights = [*self.unet.parameters(), *self.text.parameters()]
        self.optimizer = torch.optim.AdamW(weights, lr=1e-3, weight_decay=1e-3, betas=(0.9, 0.99))
        self.bank_size, self.settings = bank, settings
        self.bank: tuple[People, Tensor] | None = None

    def modules(self) -> dict[str, nn.Module]:
        """UNet and text encoder."""
        return {"unet": self.unet, "text": self.text}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One for both."""
        return {"adamw": self.optimizer}

    def step(self, index: int, rng: np.random.Generator) -> dict[str, float]:  # noqa: ARG002
        """One update on a batch of the bank, with captions worded anew."""
        if self.bank is None:
            self.bank = latent_bank(self.settings, size=self.bank_size)
        chosen = rng.integers(0, len(self.bank[0]), BATCH)
        latents = self.bank[1][torch.from_numpy(chosen)].float()
        texts = captions(self.bank[0][chosen], rng=rng)
        texts = ["" if drop else text for text, drop in zip(texts, rng.random(BATCH) < _UNCONDITIONAL, strict=True)]
        # One time step from each of BATCH equal strata: the loss varies less from step to step.
        times = torch.from_numpy(((np.arange(BATCH) + rng.random(BATCH)) / BATCH * 1000).astype(np.int64))
        noise = torch.randn_like(latents)
        noisy = self.scheduler.add_noise(latents, noise, times)
        target = self.scheduler.get_velocity(latents, noise, times)
        with autocast():
            output = self.unet(noisy, times, self._embed(texts)).sample.float()
        loss = functional.mse_loss(output, target)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.optimizer.param_groups[0]["params"], 1.0)
        self.optimizer.step()
        return {"loss": loss.item()}

    def _embed(self, texts: list[str]) -> Tensor:
        ids = self.tokenizer(texts, padding="max_length", max_length=MAX_WORDS, truncation=True, return_tensors="pt")
        hidden: Tensor = self.text(ids.input_ids).last_hidden_state
        return hidden


def tokenizer() -> Any:
    """Word-level tokenizer of the reference world's vocabulary."""
    special = ("<|pad|>", "<|unknown|>", "<|start|>", "<|end|>")
    ids = {word: i for i, word in enumerate((*special, *VOCABULARY))}
    core = Tokenizer(models.WordLevel(ids, unk_token="<|unknown|>"))  # noqa: S106
    core.normalizer = normalizers.Lowercase()
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = processors.TemplateProcessing(
        single="<|start|> $A <|end|>", special_tokens=[("<|start|>", 2), ("<|end|>", 3)]
    )
    build: Any = PreTrainedTokenizerFast
    return build(
        tokenizer_object=core,
        model_max_length=MAX_WORDS,
        pad_token="<|pad|>",  # noqa: S106
        unk_token="<|unknown|>",  # noqa: S106
        bos_token="<|start|>",  # noqa: S106
        eos_token="<|end|>",  # noqa: S106
    )


def text_encoder(words: Any) -> CLIPTextModel:
    """A CLIP text encoder, small enough to be trained along."""
    config = CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=128,
        intermediate_size=256,
        projection_dim=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=MAX_WORDS,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=3,
    )
    config._attn_implementation = "eager"  # its backward pass is faster on CPUs
    return CLIPTextModel(config)


def unet() -> Any:
    """UNet on 8x8 latents, cross-attending to the text at both resolutions."""
    build: Any = UNet2DConditionModel
    return build(
        sample_size=8,
        in_channels=autoencoder.LATENT_CHANNELS,
        out_channels=autoencoder.LATENT_CHANNELS,
        block_out_channels=(96, 112),
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=128,
        attention_head_dim=4,
        norm_num_groups=16,
    )


def scheduler() -> Any:
    """DDIM, v-prediction, noise schedule that ends in pure noise."""
    build: Any = DDIMScheduler
    return build(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        steps_offset=1,
    )


def latent_bank(settings: Settings, *, size: int) -> tuple[People, Tensor]:
    """People and latents (size, 8, 8, 8) to train on; made once and kept in the work folder."""
    people = training_people(size, rng=np.random.default_rng([settings.seed, 1]))
    path = settings.work / f"latents-{size}.pt"
    if path.exists():
        return people, torch.load(path, weights_only=True)
    model, _ = autoencoder.load(settings)
    parts = [autoencoder.encode(model, render(people[start : start + 512])) for start in range(0, size, 512)]
    latents = torch.cat(parts).half()
    torch.save(latents, path)
    return people, latents


def pipeline(settings: Settings) -> tuple[Any, Record]:
    """The averaged weights of the last checkpoints as a Stable Diffusion pipeline."""
    task = Diffusion(settings)
    record = load_average(task, settings)
    vae, _ = autoencoder.load(settings)
    parts = {"vae": vae.eval(), "text_encoder": task.text, "tokenizer": task.tokenizer, "unet": task.unet}
    build: Any = StableDiffusionPipeline
    pipe = build(
        **parts,
        scheduler=task.scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe, record


def export(settings: Settings) -> Path:
    """Write the pipeline as a folder that ``DiffusionPipeline.from_pretrained`` loads."""
    from audit.reference.train._cards import write_diffusion

    pipe, record = pipeline(settings)
    folder = settings.out / "diffusion"
    # The text encoder stays float32: transformers would load it as stored, diffusers makes the others float32.
    for part in (pipe.vae, pipe.unet):
        part.half()
    pipe.save_pretrained(folder)
    for part in (pipe.vae, pipe.unet):
        part.float()
    shutil.copy(_FILTER, folder / _FILTER.name)
    write_diffusion(folder, pipe, record, settings)
    return folder
