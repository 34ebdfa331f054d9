# SPDX-License-Identifier: Apache-2.0
"""Tiny checkpoints of the real classes, random weights, saved as their users save theirs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

VOCABULARY = ("a", "portrait", "of", "photo", "the", "nurse", "ceo", "builder", "woman", "man", "with", "glasses")


def tokenizer(*, length: int = 16, end: bool = True) -> Any:
    """A word-level tokenizer with start and end tokens around every text; in chats there is no ``end``."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    table = {word: index for index, word in enumerate(["<pad>", "<unk>", "<start>", "<end>", *VOCABULARY])}
    inner = Tokenizer(models.WordLevel(table, unk_token="<unk>"))
    inner.normalizer = normalizers.Lowercase()
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>" if end else "<start> $A", special_tokens=[("<start>", 2), ("<end>", 3)]
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


_VISION: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
}
_HALF: dict[str, Any] = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}


def save_siglip(folder: Path) -> Path:
    """A random SiglipModel with its tokenizer and image processor settings."""
    import torch
    from transformers import SiglipConfig, SiglipImageProcessorPil, SiglipModel

    torch.manual_seed(7)
    # As published: no attention mask, every text padded to the full length.
    SiglipModel(SiglipConfig(text_config=_text_config(projection_size=32), vision_config=_VISION)).save_pretrained(
        folder
    )
    tokenizer().save_pretrained(folder)
    SiglipImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def save_siglip2(folder: Path) -> Path:
    """A random Siglip2Model (pictures of any shape as a sequence of patches)."""
    import torch
    from transformers import Siglip2Config, Siglip2ImageProcessorPil, Siglip2Model

    torch.manual_seed(12)
    vision = {name: value for name, value in _VISION.items() if name != "image_size"} | {"num_patches": 16}
    config = Siglip2Config(text_config=_text_config(projection_size=32), vision_config=vision)
    Siglip2Model(config).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    Siglip2ImageProcessorPil(patch_size=8, max_num_patches=16).save_pretrained(folder)
    return folder


def save_vit(folder: Path, labels: tuple[str, ...] = ("Female", "Male", "Cat")) -> Path:
    """A ViT classifier that learnt to say its first label of dark, its second of middling, its third of light pictures.

    Further labels are never right.
    """
    import torch
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessorPil

    torch.manual_seed(8)
    names = dict(enumerate(labels))
    config = ViTConfig(**_VISION, id2label=names, label2id={name: k for k, name in names.items()})
    model = ViTForImageClassification(config)
    _learn(model, lambda pixels, k: model(pixel_values=pixels, labels=k).loss)
    model.save_pretrained(folder)
    ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def save_vilt(folder: Path) -> Path:
    """A ViLT that learnt to answer "woman", "man" or "cat" to any question about dark, middling and light pictures."""
    import torch
    from transformers import ViltConfig, ViltForQuestionAnswering, ViltImageProcessorPil, ViltProcessor

    torch.manual_seed(9)
    names = {0: "woman", 1: "man", 2: "cat"}
    config = ViltConfig(**_text_config(), image_size=32, patch_size=8, num_labels=3, id2label=names)
    model = ViltForQuestionAnswering(config)

    def loss(pixels: Any, k: Any) -> Any:
        targets = torch.nn.functional.one_hot(k, 3).float()
        return model(input_ids=torch.tensor([[2, 4, 3]]).repeat(len(k), 1), pixel_values=pixels, labels=targets).loss

    _learn(model, loss)
    model.save_pretrained(folder)
    processor = ViltImageProcessorPil(size={"shortest_edge": 32}, size_divisor=8)
    ViltProcessor(processor, tokenizer()).save_pretrained(folder)
    return folder


def save_blip(folder: Path) -> Path:
    """A BLIP that learnt to answer "woman", "man" or "the nurse" of dark, middling and light pictures."""
    import torch
    from transformers import BlipConfig, BlipForQuestionAnswering, BlipImageProcessorPil, BlipProcessor

    torch.manual_seed(10)
    words = tokenizer()
    text = _text_config(encoder_hidden_size=32, sep_token_id=3)
    model = BlipForQuestionAnswering(BlipConfig(text_config=text, vision_config=_VISION, projection_dim=16))
    answers = torch.tensor(
        [words(text).input_ids + [0] * (text.count(" ") == 0) for text in ("woman", "man", "the nurse")]
    )
    question = torch.tensor([words("a photo").input_ids])

    def loss(pixels: Any, k: Any) -> Any:
        labels = answers[k]
        asked = question.repeat(len(k), 1)
        return model(
            input_ids=asked, pixel_values=pixels, labels=labels, decoder_attention_mask=(labels > 0).long()
        ).loss

    _learn(model, loss, steps=100)
    model.save_pretrained(folder)
    BlipProcessor(BlipImageProcessorPil(size={"height": 32, "width": 32}, **_HALF), words).save_pretrained(folder)
    return folder


def save_llava(folder: Path, *, template: bool = True) -> Path:
    """A LLaVA that learnt to answer "woman", "man" or "the nurse" of dark, middling and light pictures."""
    import torch
    from transformers import (
        CLIPImageProcessorPil,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    torch.manual_seed(11)
    words = tokenizer(length=64, end=False)
    words.add_tokens(["<image>"], special_tokens=True)
    place = words.convert_tokens_to_ids("<image>")
    text = {**_text_config(vocab_size=len(words), max_position_embeddings=64), "num_key_value_heads": 2}
    vision, language = CLIPVisionConfig(**_VISION), LlamaConfig(**text)
    config = LlavaConfig(vision_config=vision, text_config=language, image_token_index=place, vision_feature_layer=-1)
    model = LlavaForConditionalGeneration(config)
    asked = [2, *[place] * 16, *words("a photo", add_special_tokens=False).input_ids]
    answers = [[*words(text, add_special_tokens=False).input_ids, 3] for text in ("woman", "man", "the nurse")]
    rows = [asked + answer + [0] * (3 - len(answer)) for answer in answers]
    table = torch.tensor(rows)

    def loss(pixels: Any, k: Any) -> Any:
        ids = table[k]
        labels = torch.where(ids == 0, -100, ids)
        labels[:, : len(asked)] = -100
        return model(input_ids=ids, attention_mask=(ids > 0).long(), pixel_values=pixels, labels=labels).loss

    _learn(model, loss)
    model.save_pretrained(folder)
    talk = (
        "<start>{% for m in messages %}{% for c in m['content'] %}"
        "{% if c['type'] == 'image' %}<image>{% else %} {{ c['text'] }}{% endif %}{% endfor %}{% endfor %}"
    )
    more = {"chat_template": talk} if template else {}
    pictures = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}, **_HALF)
    strategy = {"vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}
    LlavaProcessor(pictures, words, patch_size=8, **strategy, **more).save_pretrained(folder)
    return folder


def _learn(model: Any, loss: Any, *, steps: int = 60) -> None:
    """Tell dark, middling and light pictures (pixels around -1, 0 and 1) apart."""
    import torch

    gen = torch.Generator().manual_seed(0)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    model.train()
    for _ in range(steps):
        k = torch.arange(12) % 3
        pixels = (k - 1.0)[:, None, None, None] + 0.2 * torch.randn(12, 3, 32, 32, generator=gen)
        optimiser.zero_grad()
        loss(pixels, k).backward()
        optimiser.step()
    model.eval()
