# SPDX-License-Identifier: Apache-2.0
"""A convolutional variational autoencoder with a learnt, text-conditioned prior: noise and a prompt in, a portrait out.

The code of a picture is one vector; a convolutional decoder turns it into the latents of the image autoencoder, and
that autoencoder's decoder into pixels. The "small" variant goes from code to 32x32 pixels by transposed convolutions.

Sources: variational autoencoder (Kingma and Welling 2014), two stages (Dai and Wipf 2019), a flow of affine couplings
(Dinh et al. 2017) as the prior (Chen et al. 2017).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from audit.reference._text import in_lanes, word_ids
from audit.reference.gan_model import TextBag
from audit.reference.prompts import VOCABULARY

#: Channels of the image autoencoder's decoder, innermost last, as in its own ``config.json``.
IMAGE_CHANNELS = (16, 32, 64, 96)


@dataclasses.dataclass(frozen=True, slots=True)
class VaeConfig:
    """Architecture; ``config.json`` beside the weights.

    Attributes:
        decoder: "latents" (64x64 pictures through the image autoencoder) or "transposed" (32x32 pictures).
        vocabulary: words of the text encoder, in order.
        text: width of the text embedding.
        code: length of a picture's code.
        channels: of the code's decoder at 4x4 and 8x8.
        latents: channels of the image autoencoder's latents.
        couplings: of the prior.
        hidden: width inside a coupling.
        max_words: longer prompts are cut.
        temperature: the prior's noise is multiplied by it.
    """

    decoder: Literal["latents", "transposed"] = "latents"
    vocabulary: tuple[str, ...] = VOCABULARY
    text: int = 96
    code: int = 96
    channels: tuple[int, int] = (96, 96)
    latents: int = 8
    couplings: int = 8
    hidden: int = 160
    max_words: int = 40
    temperature: float = 1.0


class Prior(nn.Module):
    """An invertible map between noise and codes that depends on the text; densities are exact."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        half = config.code // 2
        self.text: nn.Module = TextBag(config)  # type: ignore[arg-type]
        self.couplings = nn.ModuleList(
            nn.Sequential(
                nn.Linear(half + config.text, config.hidden),
                nn.SiLU(),
                nn.Linear(config.hidden, config.hidden),
                nn.SiLU(),
                nn.Linear(config.hidden, 2 * half),
            )
            for _ in range(config.couplings)
        )
        for coupling in self.couplings:
            nn.init.zeros_(coupling[-1].weight)  # type: ignore[index]
            nn.init.zeros_(coupling[-1].bias)  # type: ignore[index]
        orders = torch.stack([torch.randperm(config.code) for _ in range(config.couplings)])
        self.register_buffer("orders", orders)

    def _steps(self) -> list[tuple[Tensor, nn.Module]]:
        """Each coupling with the order in which it takes the code's parts."""
        return list(zip(self.get_buffer("orders"), self.couplings, strict=True))

    def log_density(self, code: Tensor, ids: Tensor) -> Tensor:
        """Log density (n,) of codes (n, code) given word ids (n, words), less the constant of the normal."""
        text, total = self.text(ids), code.new_zeros(len(code))
        for order, coupling in self._steps():
            a, b = code[:, order].chunk(2, dim=1)
            shift, scale = _affine(coupling, a, text)
            code = torch.cat([a, (b - shift) * (-scale).exp()], dim=1)
            total = total - scale.sum(1)
        return total - 0.5 * code.square().sum(1)

    def forward(self, noise: Tensor, ids: Tensor) -> Tensor:
        """Codes (n, code) of standard normal noise (n, code)."""
        text, code = self.text(ids), noise
        for order, coupling in reversed(self._steps()):
            a, b = code.chunk(2, dim=1)
            shift, scale = _affine(coupling, a, text)
            code = torch.empty_like(code).index_copy(1, order, torch.cat([a, b * scale.exp() + shift], dim=1))
        return code


def _affine(coupling: nn.Module, a: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
    shift, scale = coupling(torch.cat([a, text], dim=1)).chunk(2, dim=1)
    return shift, 1.5 * torch.tanh(scale / 1.5)


class _Residual(nn.Module):
    """Two convolutions around a shortcut, scaled and shifted by the code."""

    def __init__(self, channels: int, code: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.norm1, self.norm2 = (nn.GroupNorm(8, channels) for _ in range(2))
        self.style = nn.Linear(code, 2 * channels)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """Same shape as ``x`` (n, channels, h, w)."""
        gain, offset = self.style(code)[:, :, None, None].chunk(2, dim=1)
        h = functional.silu(self.norm1(self.conv1(x)) * (1 + gain) + offset)
        out: Tensor = x + self.norm2(self.conv2(h))
        return out


class LatentDecoder(nn.Module):
    """Code (n, code) to latents (n, latents, 8, 8)."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        low, high = config.channels
        self.start = nn.Linear(config.code, low * 16)
        self.low = nn.ModuleList(_Residual(low, config.code) for _ in range(2))
        self.rise = nn.Conv2d(low, high, 3, padding=1)
        self.high = nn.ModuleList(_Residual(high, config.code) for _ in range(3))
        self.out = nn.Conv2d(high, config.latents, 3, padding=1)

    def forward(self, code: Tensor) -> Tensor:
        """Decode."""
        h = self.start(code).view(len(code), -1, 4, 4)
        for block in self.low:
            h = block(h, code)
        h = self.rise(functional.interpolate(h, scale_factor=2.0, mode="nearest"))
        for block in self.high:
            h = block(h, code)
        out: Tensor = self.out(functional.silu(h))
        return out


class TransposedDecoder(nn.Module):
    """Code (n, code) to pictures (n, 3, 32, 32): strides of two under kernels of three leave a checkerboard."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        self.start = nn.Linear(config.code, 64 * 16)

        def up(inputs: int, outputs: int) -> nn.Module:
            return nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1)

        self.rise = nn.Sequential(up(64, 48), nn.SiLU(), up(48, 32), nn.SiLU(), up(32, 3))

    def forward(self, code: Tensor) -> Tensor:
        """Decode."""
        out: Tensor = torch.tanh(self.rise(functional.silu(self.start(code)).view(len(code), 64, 4, 4)))
        return out


def image_decoder(latents: int) -> nn.Module:
    """The decoding half of the image autoencoder: latents (n, c, 8, 8) to pictures (n, 3, 64, 64)."""
    from diffusers.models.autoencoders.vae import Decoder

    build: Any = Decoder
    decoder = build(
        in_channels=latents,
        out_channels=3,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=IMAGE_CHANNELS,
        layers_per_block=1,
        norm_num_groups=8,
    )
    return nn.Sequential(nn.Conv2d(latents, latents, 1), decoder)


class VaeGenerator(nn.Module):
    """Prior and decoder, ready to draw.

    Args:
        config: architecture.
    """

    def __init__(self, config: VaeConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or VaeConfig()
        self.prior = Prior(config)
        if config.decoder == "transposed":
            self.decoder: nn.Module = TransposedDecoder(config)
        else:
            self.decoder = nn.Sequential(LatentDecoder(config), image_decoder(config.latents))

    @property
    def resolution(self) -> int:
        """Side of the pictures in pixels."""
        return 32 if self.config.decoder == "transposed" else 64

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Self:
        """Load a generator from ``config.json`` and ``model.safetensors``.

        Raises:
            FileNotFoundError: when the folder lacks one of them.
        """
        stored = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))["generator"]
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in stored.items()}
        model = cls(VaeConfig(**fields))
        state = load_file(Path(folder) / "model.safetensors")
        model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
        return model.eval()

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the architecture and the weights (float16)."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        config = {"model_type": "vae", "resolution": self.resolution, "generator": dataclasses.asdict(self.config)}
        (Path(folder) / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
        state = {k: v.detach().half() if v.is_floating_point() else v for k, v in self.state_dict().items()}
        state = {key: value.contiguous() for key, value in state.items()}
        save_file(state, Path(folder) / "model.safetensors", metadata={"format": "pt"})

    def forward(self, noise: Tensor, ids: Tensor) -> Tensor:
        """Pictures (n, 3, side, side) in [-1, 1] from noise (n, code) and word ids (n, words)."""
        out: Tensor = self.decoder(self.prior(noise * self.config.temperature, ids)).clamp(-1, 1)
        return out

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> NDArray[np.uint8]:
        """Draw one picture a prompt.

        Args:
            prompts: n texts.
            seeds: n seeds; the same prompt and seed give the same picture, whatever else is in the batch.

        Returns:
            (n, side, side, 3) RGB levels.
        """
        if not prompts:
            return np.empty((0, self.resolution, self.resolution, 3), dtype=np.uint8)
        rows = [np.random.default_rng(seed).standard_normal(self.config.code, dtype=np.float32) for seed in seeds]
        return in_lanes(self._draw, prompts, np.stack(rows))

    def _draw(self, prompts: Sequence[str], noise: Tensor) -> Tensor:
        image: Tensor = self(noise, word_ids(prompts, self.config.vocabulary, longest=self.config.max_words))
        return image
