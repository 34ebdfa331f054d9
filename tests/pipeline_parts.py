# SPDX-License-Identifier: Apache-2.0
"""Small random networks that several pipelines are made of."""

from __future__ import annotations

from typing import Any

from tests.checkpoints import VOCABULARY

WORDS = len(VOCABULARY) + 4


def clip_config(**more: Any) -> Any:
    from transformers import CLIPTextConfig

    plain = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    tokens = {"bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 0, "max_position_embeddings": 16}
    return CLIPTextConfig(**{"vocab_size": WORDS, "projection_dim": 32, **plain, **tokens, **more})


def clip(*, projected: bool = False, **more: Any) -> Any:
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    return (CLIPTextModelWithProjection if projected else CLIPTextModel)(clip_config(**more))


def t5(*, multilingual: bool = False) -> Any:
    from transformers import T5Config, T5EncoderModel, UMT5Config, UMT5EncoderModel

    sizes = {"d_model": 32, "d_kv": 16, "d_ff": 32, "num_layers": 1, "num_heads": 2, "vocab_size": WORDS}
    tokens = {"pad_token_id": 0, "eos_token_id": 3, "decoder_start_token_id": 0}
    if multilingual:
        return UMT5EncoderModel(UMT5Config(**sizes, **tokens))
    return T5EncoderModel(T5Config(**sizes, **tokens))


def decoder_config() -> dict[str, Any]:
    """What small language models used as text encoders have in common."""
    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    heads = {"num_key_value_heads": 2, "head_dim": 16, "vocab_size": WORDS, "max_position_embeddings": 512}
    return {**sizes, **heads, "bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 0}


def vae(*, doubled: int = 1, **more: Any) -> Any:
    """A decoder that doubles the edge once, or more often."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * (doubled + 1),
        up_block_types=("UpDecoderBlock2D",) * (doubled + 1),
        block_out_channels=(*[8] * doubled, 16),
        norm_num_groups=4,
        **more,
    )


def unet(**more: Any) -> Any:
    from diffusers import UNet2DConditionModel

    plain = {"in_channels": 4, "out_channels": 4, "layers_per_block": 1, "norm_num_groups": 8, "sample_size": 16}
    blocks = {
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "block_out_channels": (16, 32),
        "attention_head_dim": 8,
        "cross_attention_dim": 32,
    }
    return UNet2DConditionModel(**{**plain, **blocks, **more})


def plain_unet(**more: Any) -> Any:
    from diffusers import UNet2DModel

    return UNet2DModel(
        sample_size=16,
        block_out_channels=(16, 32),
        layers_per_block=1,
        norm_num_groups=8,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=8,
        **more,
    )
