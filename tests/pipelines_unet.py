# SPDX-License-Identifier: Apache-2.0
"""Tiny checkpoints of pipelines around a U-Net, a prior or masked tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.checkpoints import tokenizer
from tests.pipeline_parts import clip, plain_unet, unet, vae


def _pair_unet() -> Any:
    """The network of SDXL: two text encoders of 32, a pooled text of 32 and six numbers of 8 beside the time."""
    time = {"addition_embed_type": "text_time", "addition_time_embed_dim": 8}
    return unet(cross_attention_dim=64, projection_class_embeddings_input_dim=32 + 6 * 8, **time)


def save_sdxl(folder: Path, *, turbo: bool = False) -> Path:
    """StableDiffusionXLPipeline; with ``turbo`` the scheduler that one-step models are distilled for."""
    from diffusers import EulerAncestralDiscreteScheduler, EulerDiscreteScheduler, StableDiffusionXLPipeline

    kind = EulerAncestralDiscreteScheduler if turbo else EulerDiscreteScheduler
    StableDiffusionXLPipeline(
        vae=vae(),
        text_encoder=clip(),
        text_encoder_2=clip(projected=True),
        tokenizer=tokenizer(),
        tokenizer_2=tokenizer(),
        unet=_pair_unet(),
        scheduler=kind(timestep_spacing="trailing" if turbo else "leading", beta_schedule="scaled_linear"),
    ).save_pretrained(folder)
    return folder


def save_turbo(folder: Path) -> Path:
    """A one-step model in the manner of SDXL-Turbo."""
    return save_sdxl(folder, turbo=True)


def save_ddim(folder: Path) -> Path:
    """DDIMPipeline of one channel."""
    from diffusers import DDIMPipeline, DDIMScheduler

    DDIMPipeline(plain_unet(in_channels=1, out_channels=1), DDIMScheduler()).save_pretrained(folder)
    return folder


def save_lcm(folder: Path) -> Path:
    """LatentConsistencyModelPipeline."""
    from diffusers import LatentConsistencyModelPipeline, LCMScheduler

    LatentConsistencyModelPipeline(
        vae=vae(),
        text_encoder=clip(),
        tokenizer=tokenizer(),
        unet=unet(time_cond_proj_dim=32),
        scheduler=LCMScheduler(beta_schedule="scaled_linear"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    return folder


def save_consistency(folder: Path, *, classes: int | None = None) -> Path:
    """ConsistencyModelPipeline, unconditional unless it has ``classes``."""
    from diffusers import CMStochasticIterativeScheduler, ConsistencyModelPipeline

    unet = plain_unet(in_channels=3, out_channels=3, num_class_embeds=classes)
    ConsistencyModelPipeline(unet, CMStochasticIterativeScheduler()).save_pretrained(folder)
    return folder


def save_class_consistency(folder: Path) -> Path:
    """ConsistencyModelPipeline with three classes."""
    return save_consistency(folder, classes=3)


def save_ldm(folder: Path) -> Path:
    """LDMPipeline: unconditional, in the latent space of a VQ model."""
    from diffusers import DDIMScheduler, LDMPipeline, VQModel

    vqvae = VQModel(
        block_out_channels=(8, 16),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=3,
        norm_num_groups=4,
        num_vq_embeddings=16,
    )
    LDMPipeline(vqvae, plain_unet(in_channels=3, out_channels=3), DDIMScheduler()).save_pretrained(folder)
    return folder


def save_kandinsky(folder: Path) -> Path:
    """KandinskyV22CombinedPipeline: a prior from text to an image embedding, then a decoder."""
    from diffusers import DDIMScheduler, KandinskyV22CombinedPipeline, UnCLIPScheduler
    from transformers import CLIPImageProcessorPil, CLIPVisionConfig, CLIPVisionModelWithProjection

    vision = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    KandinskyV22CombinedPipeline(
        unet=_kandinsky_unet(),
        scheduler=DDIMScheduler(beta_schedule="linear", clip_sample=False, set_alpha_to_one=False),
        movq=_movq(),
        prior_prior=_prior(),
        prior_image_encoder=CLIPVisionModelWithProjection(
            CLIPVisionConfig(image_size=32, patch_size=8, projection_dim=32, **vision)
        ),
        prior_text_encoder=clip(projected=True),
        prior_tokenizer=tokenizer(),
        prior_scheduler=UnCLIPScheduler(
            variance_type="fixed_small_log", prediction_type="sample", num_train_timesteps=1000, clip_sample_range=5.0
        ),
        prior_image_processor=CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=32),
    ).save_pretrained(folder)
    return folder


def _prior() -> Any:
    import torch
    from diffusers import PriorTransformer

    sizes = {"num_attention_heads": 2, "attention_head_dim": 12, "embedding_dim": 32, "num_embeddings": 16}
    prior = PriorTransformer(num_layers=1, **sizes)
    # A new one scales what it draws to nothing.
    prior.clip_std.data = torch.full_like(prior.clip_std, 5.0)
    return prior


def _kandinsky_unet() -> Any:
    image = {"encoder_hid_dim": 32, "encoder_hid_dim_type": "image_proj", "addition_embed_type": "image"}
    blocks = {
        "down_block_types": ("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        "up_block_types": ("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        "mid_block_type": "UNetMidBlock2DSimpleCrossAttn",
    }
    return unet(out_channels=8, resnet_time_scale_shift="scale_shift", **image, **blocks)


def _movq() -> Any:
    from diffusers import VQModel

    return VQModel(
        block_out_channels=(32, 64),
        down_block_types=("DownEncoderBlock2D", "AttnDownEncoderBlock2D"),
        up_block_types=("AttnUpDecoderBlock2D", "UpDecoderBlock2D"),
        latent_channels=4,
        norm_type="spatial",
        num_vq_embeddings=12,
        vq_embed_dim=4,
    )


def save_amused(folder: Path) -> Path:
    """AmusedPipeline: masked tokens, and one random generator for a whole call."""
    from diffusers import AmusedPipeline, AmusedScheduler, UVit2DModel, VQModel

    vqvae = VQModel(
        block_out_channels=(8, 16),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=8,
        layers_per_block=1,
        norm_num_groups=4,
        num_vq_embeddings=32,
        mid_block_add_attention=False,
        lookup_from_codebook=True,
    )
    transformer = UVit2DModel(
        hidden_size=8,
        use_bias=False,
        hidden_dropout=0.0,
        cond_embed_dim=32,
        micro_cond_encode_dim=2,
        micro_cond_embed_dim=10,
        encoder_hidden_size=32,
        vocab_size=32,
        codebook_size=32,
        in_channels=8,
        block_out_channels=8,
        num_res_blocks=1,
        downsample=True,
        upsample=True,
        block_num_heads=1,
        num_hidden_layers=1,
        num_attention_heads=1,
        attention_dropout=0.0,
        intermediate_size=8,
        layer_norm_eps=1e-06,
        ln_elementwise_affine=True,
        sample_size=8,
    )
    encoder = clip(projected=True)
    AmusedPipeline(vqvae, tokenizer(), encoder, transformer, AmusedScheduler(mask_token_id=31)).save_pretrained(folder)
    return folder
