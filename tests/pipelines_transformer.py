# SPDX-License-Identifier: Apache-2.0
"""Tiny checkpoints of pipelines around a diffusion transformer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.checkpoints import tokenizer
from tests.pipeline_parts import WORDS, clip, decoder_config, t5, vae


def save_sd3(folder: Path) -> Path:
    """StableDiffusion3Pipeline with its three text encoders."""
    from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline

    StableDiffusion3Pipeline(
        transformer=SD3Transformer2DModel(
            sample_size=16,
            patch_size=2,
            in_channels=4,
            num_layers=1,
            attention_head_dim=8,
            num_attention_heads=2,
            joint_attention_dim=64,
            caption_projection_dim=16,
            pooled_projection_dim=64,
            out_channels=4,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae(shift_factor=0.06, scaling_factor=1.5),
        text_encoder=clip(projected=True),
        tokenizer=tokenizer(),
        text_encoder_2=clip(projected=True),
        tokenizer_2=tokenizer(),
        text_encoder_3=_wide_t5(),
        tokenizer_3=tokenizer(),
    ).save_pretrained(folder)
    return folder


def _wide_t5() -> Any:
    from transformers import T5Config, T5EncoderModel

    sizes = {"d_model": 64, "d_kv": 16, "d_ff": 32, "num_layers": 1, "num_heads": 2, "vocab_size": WORDS}
    return T5EncoderModel(T5Config(**sizes, pad_token_id=0, eos_token_id=3))


def save_flux(folder: Path) -> Path:
    """FluxPipeline."""
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel

    FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae(shift_factor=0.0, use_quant_conv=False, use_post_quant_conv=False),
        text_encoder=clip(),
        tokenizer=tokenizer(),
        text_encoder_2=t5(),
        tokenizer_2=tokenizer(),
        transformer=FluxTransformer2DModel(
            patch_size=1,
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=32,
            pooled_projection_dim=32,
            axes_dims_rope=(4, 4, 8),
        ),
    ).save_pretrained(folder)
    return folder


def save_chroma(folder: Path) -> Path:
    """ChromaPipeline."""
    from diffusers import ChromaPipeline, ChromaTransformer2DModel, FlowMatchEulerDiscreteScheduler

    ChromaPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae(shift_factor=0.0, use_quant_conv=False, use_post_quant_conv=False),
        text_encoder=t5(),
        tokenizer=tokenizer(),
        transformer=ChromaTransformer2DModel(
            patch_size=1,
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=32,
            axes_dims_rope=(4, 4, 8),
            approximator_hidden_dim=32,
            approximator_layers=1,
            approximator_num_channels=16,
        ),
    ).save_pretrained(folder)
    return folder


def _pixart(kind: str) -> Any:
    import diffusers

    transformer = diffusers.PixArtTransformer2DModel(
        sample_size=8,
        num_layers=1,
        patch_size=2,
        attention_head_dim=8,
        num_attention_heads=2,
        caption_channels=32,
        in_channels=4,
        cross_attention_dim=16,
        out_channels=8,
        norm_num_groups=4,
        use_additional_conditions=False,
    )
    return getattr(diffusers, kind)(
        tokenizer=tokenizer(),
        text_encoder=t5(),
        vae=vae(),
        transformer=transformer,
        scheduler=diffusers.DDIMScheduler(),
    )


def save_pixart_alpha(folder: Path) -> Path:
    """PixArtAlphaPipeline."""
    _pixart("PixArtAlphaPipeline").save_pretrained(folder)
    return folder


def save_pixart_sigma(folder: Path) -> Path:
    """PixArtSigmaPipeline."""
    _pixart("PixArtSigmaPipeline").save_pretrained(folder)
    return folder


def save_sana(folder: Path) -> Path:
    """SanaPipeline."""
    from diffusers import FlowMatchEulerDiscreteScheduler, SanaPipeline, SanaTransformer2DModel
    from transformers import Gemma2Config, Gemma2Model

    SanaPipeline(
        tokenizer=tokenizer(),
        text_encoder=Gemma2Model(Gemma2Config(**decoder_config())),
        vae=_dc(),
        transformer=SanaTransformer2DModel(
            patch_size=1,
            in_channels=4,
            out_channels=4,
            num_layers=1,
            num_attention_heads=2,
            attention_head_dim=4,
            num_cross_attention_heads=2,
            cross_attention_head_dim=4,
            cross_attention_dim=8,
            caption_channels=32,
            sample_size=32,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=7.0),
    ).save_pretrained(folder)
    return folder


def _dc() -> Any:
    from diffusers import AutoencoderDC

    return AutoencoderDC(
        latent_channels=4,
        attention_head_dim=2,
        encoder_block_types=("ResBlock", "EfficientViTBlock"),
        decoder_block_types=("ResBlock", "EfficientViTBlock"),
        encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8),
        encoder_qkv_multiscales=((), (5,)),
        decoder_qkv_multiscales=((), (5,)),
        encoder_layers_per_block=(1, 1),
        decoder_layers_per_block=(1, 1),
        downsample_block_type="conv",
        upsample_block_type="interpolate",
        decoder_norm_types="rms_norm",
        decoder_act_fns="silu",
        scaling_factor=0.41407,
    )


def save_hunyuan_dit(folder: Path) -> Path:
    """HunyuanDiTPipeline."""
    from diffusers import DDPMScheduler, HunyuanDiT2DModel, HunyuanDiTPipeline
    from transformers import BertConfig, BertModel

    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    HunyuanDiTPipeline(
        vae=vae(doubled=3),
        text_encoder=BertModel(BertConfig(vocab_size=WORDS, max_position_embeddings=77, pad_token_id=0, **sizes)),
        tokenizer=tokenizer(),
        transformer=HunyuanDiT2DModel(
            sample_size=4,
            num_layers=2,
            patch_size=2,
            attention_head_dim=8,
            num_attention_heads=3,
            in_channels=4,
            cross_attention_dim=32,
            cross_attention_dim_t5=32,
            pooled_projection_dim=16,
            hidden_size=24,
            activation_fn="gelu-approximate",
            text_len=77,
            text_len_t5=256,
        ),
        scheduler=DDPMScheduler(),
        text_encoder_2=t5(),
        tokenizer_2=tokenizer(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    return folder


def save_aura_flow(folder: Path) -> Path:
    """AuraFlowPipeline."""
    from diffusers import AuraFlowPipeline, AuraFlowTransformer2DModel, FlowMatchEulerDiscreteScheduler

    AuraFlowPipeline(
        tokenizer=tokenizer(),
        text_encoder=t5(multilingual=True),
        vae=vae(),
        transformer=AuraFlowTransformer2DModel(
            sample_size=16,
            patch_size=2,
            in_channels=4,
            num_mmdit_layers=1,
            num_single_dit_layers=1,
            attention_head_dim=8,
            num_attention_heads=4,
            caption_projection_dim=32,
            joint_attention_dim=32,
            out_channels=4,
            pos_embed_max_size=256,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(),
    ).save_pretrained(folder)
    return folder


def save_lumina2(folder: Path) -> Path:
    """Lumina2Pipeline."""
    from diffusers import FlowMatchEulerDiscreteScheduler, Lumina2Pipeline, Lumina2Transformer2DModel
    from transformers import Gemma2Config, Gemma2Model

    Lumina2Pipeline(
        transformer=Lumina2Transformer2DModel(
            sample_size=4,
            patch_size=2,
            in_channels=4,
            hidden_size=8,
            num_layers=2,
            num_attention_heads=1,
            num_kv_heads=1,
            multiple_of=16,
            ffn_dim_multiplier=None,
            norm_eps=1e-5,
            scaling_factor=1.0,
            axes_dim_rope=[4, 2, 2],
            axes_lens=[128, 128, 128],
            cap_feat_dim=32,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae(doubled=3, shift_factor=0.0),
        text_encoder=Gemma2Model(Gemma2Config(**decoder_config())),
        tokenizer=tokenizer(length=256),
    ).save_pretrained(folder)
    return folder


def save_cogview4(folder: Path) -> Path:
    """CogView4Pipeline."""
    from diffusers import CogView4Pipeline, CogView4Transformer2DModel, FlowMatchEulerDiscreteScheduler
    from transformers import GlmConfig, GlmModel

    CogView4Pipeline(
        tokenizer=tokenizer(length=64),
        text_encoder=GlmModel(GlmConfig(**decoder_config())),
        vae=vae(doubled=3),
        transformer=CogView4Transformer2DModel(
            patch_size=2,
            in_channels=4,
            num_layers=1,
            attention_head_dim=8,
            num_attention_heads=2,
            out_channels=4,
            text_embed_dim=32,
            time_embed_dim=8,
            condition_dim=4,
            sample_size=4,
            rope_axes_dim=(16, 16),
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(base_shift=0.25, max_shift=0.75, use_dynamic_shifting=True),
    ).save_pretrained(folder)
    return folder


def save_qwen_image(folder: Path) -> Path:
    """QwenImagePipeline, which pads to the longest text of a call."""
    from diffusers import (
        AutoencoderKLQwenImage,
        FlowMatchEulerDiscreteScheduler,
        QwenImagePipeline,
        QwenImageTransformer2DModel,
    )
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    vision = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 32}
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]}
    text = {**decoder_config(), "rope_parameters": rope}
    QwenImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=AutoencoderKLQwenImage(
            base_dim=8,
            z_dim=4,
            dim_mult=[1, 2],
            num_res_blocks=1,
            temperal_downsample=[False],
            latents_mean=[0.0] * 4,
            latents_std=[1.0] * 4,
        ),
        text_encoder=Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(text_config=text, vision_config=vision)),
        tokenizer=tokenizer(length=128),
        transformer=QwenImageTransformer2DModel(
            in_channels=16,
            out_channels=4,
            num_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=32,
            axes_dims_rope=(8, 4, 4),
        ),
    ).save_pretrained(folder)
    return folder


def save_z_image(folder: Path) -> Path:
    """ZImagePipeline, whose texts go through the chat template of a language model."""
    from diffusers import FlowMatchEulerDiscreteScheduler, ZImagePipeline, ZImageTransformer2DModel
    from transformers import Qwen3Config, Qwen3Model

    words = tokenizer(length=64)
    words.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae(doubled=3, shift_factor=0.0),
        text_encoder=Qwen3Model(Qwen3Config(**decoder_config())),
        tokenizer=words,
        transformer=ZImageTransformer2DModel(
            in_channels=4,
            dim=32,
            n_layers=1,
            n_refiner_layers=1,
            n_heads=2,
            n_kv_heads=2,
            cap_feat_dim=32,
            axes_dims=[8, 4, 4],
            axes_lens=[256, 32, 32],
        ),
    ).save_pretrained(folder)
    return folder
