# SPDX-License-Identifier: Apache-2.0
"""Tiny checkpoints of the real classes, random weights, saved as their users save theirs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

VOCABULARY = ("a", "portrait", "of", "photo", "the", "nurse", "ceo", "builder", "woman", "man", "with", "glasses")


def tokenizer(*, length: int = 16) -> Any:
    """A word-level tokenizer with start and end tokens around every text."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    table = {word: index for index, word in enumerate(["<pad>", "<unk>", "<start>", "<end>", *VOCABULARY])}
    inner = Tokenizer(models.WordLevel(table, unk_token="<unk>"))
    inner.normalizer = normalizers.Lowercase()
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", 2), ("<end>", 3)]
    )
    names = {"pad_token": "<pad>", "unk_token": "<unk>", "bos_token": "<start>", "eos_token": "<end>"}
    return PreTrainedTokenizerFast(tokenizer_object=inner, model_max_length=length, **names)


def _text_config(**more: Any) -> dict[str, Any]:
    return {
        "vocab_size": len(VOCABULARY) + 4,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 16,
        "bos_token_id": 2,
        "eos_token_id": 3,
        "pad_token_id": 0,
        **more,
    }


def save_clip(folder: Path) -> Path:
    """A random CLIPModel with its tokenizer and image processor settings."""
    import torch
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

    torch.manual_seed(1)
    vision = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 8,
    }
    config = CLIPConfig(text_config=_text_config(projection_dim=24), vision_config=vision, projection_dim=24)
    CLIPModel(config).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=32).save_pretrained(folder)
    return folder


def save_stable_diffusion(folder: Path, *, dtype: str = "float32", checker: bool = False) -> Path:
    """A random StableDiffusionPipeline that draws 32x32; with ``checker`` its safety filter withholds everything."""
    import torch
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(0)
    down, up = ("CrossAttnDownBlock2D", "DownBlock2D"), ("UpBlock2D", "CrossAttnUpBlock2D")
    pipeline = StableDiffusionPipeline(
        vae=AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            block_out_channels=(16, 32),
            norm_num_groups=8,
        ),
        text_encoder=CLIPTextModel(CLIPTextConfig(**_text_config())),
        tokenizer=tokenizer(),
        unet=UNet2DConditionModel(
            sample_size=16,
            in_channels=4,
            out_channels=4,
            down_block_types=down,
            up_block_types=up,
            block_out_channels=(32, 64),
            layers_per_block=1,
            cross_attention_dim=32,
            attention_head_dim=8,
            norm_num_groups=8,
        ),
        scheduler=DDIMScheduler(clip_sample=False, set_alpha_to_one=False, steps_offset=1),
        safety_checker=_checker() if checker else None,
        feature_extractor=_feature_extractor() if checker else None,
        requires_safety_checker=checker,
    )
    for part in (pipeline.vae, pipeline.unet, pipeline.text_encoder):
        part.to(getattr(torch, dtype))
    pipeline.save_pretrained(folder)
    return folder


def _feature_extractor() -> Any:
    from transformers import CLIPImageProcessorPil

    return CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=32)


def _checker() -> Any:
    import torch
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from transformers import CLIPConfig

    vision = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 8,
    }
    checker = StableDiffusionSafetyChecker(CLIPConfig(vision_config=vision, projection_dim=24))
    # Below any cosine: every image counts as a hit.
    checker.concept_embeds_weights.data = torch.full_like(checker.concept_embeds_weights, -2.0)
    return checker


def save_ddpm(folder: Path) -> Path:
    """A random unconditional DDPMPipeline that draws 16x16."""
    import torch
    from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

    torch.manual_seed(2)
    unet = UNet2DModel(
        sample_size=16,
        block_out_channels=(16, 32),
        layers_per_block=1,
        norm_num_groups=8,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=8,
    )
    DDPMPipeline(unet, DDPMScheduler(num_train_timesteps=20)).save_pretrained(folder)
    return folder


def save_dit(folder: Path) -> Path:
    """A random class-conditional DiTPipeline with three classes."""
    import torch
    from diffusers import AutoencoderKL, DDIMScheduler, DiTPipeline, DiTTransformer2DModel

    torch.manual_seed(3)
    transformer = DiTTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=8,
        in_channels=4,
        out_channels=8,
        num_layers=1,
        sample_size=8,
        patch_size=2,
        num_embeds_ada_norm=1000,
        norm_num_groups=4,
    )
    vae = AutoencoderKL(block_out_channels=(16,), norm_num_groups=8)
    labels = {"0": "nurse", "1": "CEO, boss", "2": "builder"}
    DiTPipeline(transformer=transformer, vae=vae, scheduler=DDIMScheduler()).save_pretrained(folder)
    # Published checkpoints carry their labels in the index, where save_pretrained does not write them.
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, "id2label": labels}))
    return folder


def save_gan(folder: Path) -> Path:
    """Write a small random conditional GAN."""
    import torch

    from audit.reference.gan_model import ConditionalGenerator, GanConfig

    torch.manual_seed(4)
    ConditionalGenerator(GanConfig(noise=8, style=16, text=8, channels=(16, 16, 8, 8))).save_pretrained(folder)
    return folder


def save_vae(folder: Path) -> Path:
    """Write a small random variational autoencoder with its prior."""
    import torch

    from audit.reference.vae_model import VaeConfig, VaeGenerator

    torch.manual_seed(5)
    model = VaeGenerator(VaeConfig(text=8, code=8, channels=(16, 16), couplings=2, hidden=16))
    # A new coupling changes nothing; random last layers make the text matter, as training does.
    for coupling in model.prior.couplings:
        torch.nn.init.normal_(coupling[-1].weight)
    model.save_pretrained(folder)
    return folder


def save_recurrent(folder: Path) -> Path:
    """Write a small random LSTM and its token autoencoder."""
    import torch
    from diffusers import VQModel

    from audit.reference.recurrent_model import RecurrentConfig, RecurrentGenerator, TokenLSTM

    torch.manual_seed(6)
    decoder = VQModel(
        block_out_channels=(8, 8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        norm_num_groups=4,
        num_vq_embeddings=16,
    )
    lstm = TokenLSTM(RecurrentConfig(text=8, codes=16, width=8, hidden=16, layers=1))
    RecurrentGenerator(lstm, decoder).save_pretrained(folder)
    return folder
