# SPDX-License-Identifier: Apache-2.0
"""A small conditional GAN: text and noise in, 64x64 portraits out.

Sources: hinge loss and projection discriminator (Miyato and Koyama 2018), spectral normalisation (Miyato et al. 2018),
style modulation of feature maps (Karras et al. 2019), reconstruction from the discriminator's features (Larsen et al.
2016; Liu et al. 2021).
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

from audit.reference._text import PAD, SPECIAL, word_ids
from audit.reference.prompts import VOCABULARY

_SIZE = 64


@dataclasses.dataclass(frozen=True, slots=True)
class GanConfig:
    """Architecture of the generator; ``config.json`` beside the weights.

    Attributes:
        vocabulary: words of the text encoder, in order; ids 0 and 1 are padding and unknown.
        noise: length of the noise vector.
        style: width of the style vector.
        text: width of the text embedding.
        channels: feature maps at sides 4, 8, 16 and 32.
        max_words: longer prompts are cut.
    """

    vocabulary: tuple[str, ...] = VOCABULARY
    noise: int = 48
    style: int = 160
    text: int = 96
    channels: tuple[int, ...] = (128, 96, 64, 40)
    max_words: int = 40


class TextBag(nn.Module):
    """Mean over words of a three-word convolution: "brown hair" and "brown skin" differ, word order hardly matters."""

    def __init__(self, config: GanConfig) -> None:
        super().__init__()
        self.embed = nn.Embedding(len(config.vocabulary) + SPECIAL, config.text, padding_idx=PAD)
        self.mix = nn.Conv1d(config.text, 2 * config.text, 3, padding=1)
        self.out = nn.Linear(2 * config.text, config.text)

    def forward(self, ids: Tensor) -> Tensor:
        """Embed ids (n, words) to (n, text)."""
        mask = (ids != PAD).unsqueeze(1).float()
        hidden = functional.leaky_relu(self.mix(self.embed(ids).transpose(1, 2)), 0.2) * mask
        out: Tensor = self.out(hidden.sum(2) / mask.sum(2).clamp(min=1.0))
        return out


class _Block(nn.Module):
    """Two convolutions, each scaled and shifted by the style; optionally doubles the side first."""

    def __init__(self, inputs: int, outputs: int, style: int, *, up: bool) -> None:
        super().__init__()
        self.up = up
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1)
        self.norm1, self.norm2 = nn.GroupNorm(8, outputs), nn.GroupNorm(8, outputs)
        self.style = nn.Linear(style, 4 * outputs)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        if self.up:
            x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
        a, b, c, d = self.style(w)[:, :, None, None].chunk(4, dim=1)
        h = functional.leaky_relu(self.norm1(self.conv1(x)) * (1 + a) + b, 0.2)
        h = functional.leaky_relu(self.norm2(self.conv2(h)) * (1 + c) + d, 0.2)
        out: Tensor = h + self.skip(x)
        return out


class ConditionalGenerator(nn.Module):
    """Draws a portrait from noise and a prompt.

    Args:
        config: architecture.
    """

    def __init__(self, config: GanConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or GanConfig()
        c = config.channels
        self.text = TextBag(config)
        self.map = nn.Sequential(
            nn.Linear(config.noise + config.text, config.style),
            nn.LeakyReLU(0.2),
            nn.Linear(config.style, config.style),
            nn.LeakyReLU(0.2),
        )
        self.start = nn.Linear(config.style, c[0] * 16)
        sizes = list(zip((c[0], *c[:-1]), c, strict=True))
        self.blocks = nn.ModuleList(_Block(i, o, config.style, up=k > 0) for k, (i, o) in enumerate(sizes))
        self.head = nn.Conv2d(c[-1], 12, 3, padding=1)

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Self:
        """Load a generator from ``config.json`` and ``generator.safetensors``.

        Raises:
            FileNotFoundError: when the folder lacks one of them.
        """
        model = cls(_stored(_read_config(folder)))
        _load(model, Path(folder) / "generator.safetensors")
        return model.eval()

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the architecture and the weights (float16)."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        config = {"model_type": "conditional-gan", "resolution": 64, "generator": dataclasses.asdict(self.config)}
        _write_config(folder, config)
        _save(self, Path(folder) / "generator.safetensors")

    def tokens(self, prompts: Sequence[str]) -> Tensor:
        """Ids (n, max_words) of prompts; words that are not in the vocabulary become "unknown"."""
        return word_ids(prompts, self.config.vocabulary, longest=self.config.max_words)

    def forward(self, noise: Tensor, ids: Tensor) -> Tensor:
        """Pictures (n, 3, 64, 64) in [-1, 1] from noise (n, noise) and ids (n, words)."""
        w = self.map(torch.cat([noise, self.text(ids)], dim=1))
        h = self.start(w).view(len(w), -1, 4, 4)
        for block in self.blocks:
            h = block(h, w)
        return functional.pixel_shuffle(torch.tanh(self.head(h)), 2)

    @torch.inference_mode()
    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> NDArray[np.uint8]:
        """Draw one picture a prompt.

        Args:
            prompts: n texts.
            seeds: n seeds; the same prompt and seed give the same picture, whatever else is in the batch.

        Returns:
            (n, 64, 64, 3) RGB levels.
        """
        if not prompts:
            return np.empty((0, 64, 64, 3), dtype=np.uint8)
        rows = [np.random.default_rng(seed).standard_normal(self.config.noise, dtype=np.float32) for seed in seeds]
        noise, ids = torch.from_numpy(np.stack(rows)), self.tokens(prompts)
        # One at a time: matrix kernels may round differently for other batch sizes.
        image = torch.cat([self(noise[i : i + 1], ids[i : i + 1]) for i in range(len(ids))])
        levels: NDArray[np.uint8] = image.add(1).mul(127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
        return levels


class ConditionalDiscriminator(nn.Module):
    """Tells real from generated pictures, given the text; also guesses the noise that would redraw a picture.

    Args:
        config: architecture of the generator it is trained against, with which it shares vocabulary and widths.
        channels: feature maps at sides 32, 16, 8 and 4.
    """

    def __init__(self, config: GanConfig | None = None, *, channels: tuple[int, ...] = (32, 64, 96, 128)) -> None:
        super().__init__()
        self.config = config = config or GanConfig()
        self.channels = wide = channels
        self.text = TextBag(config)
        layers: list[nn.Module] = [spectral_norm(nn.Conv2d(12, wide[0], 3, padding=1)), nn.LeakyReLU(0.2)]
        for inputs, outputs in itertools.pairwise(wide):
            layers += [spectral_norm(nn.Conv2d(inputs, outputs, 4, stride=2, padding=1)), nn.LeakyReLU(0.2)]
            layers += [spectral_norm(nn.Conv2d(outputs, outputs, 3, padding=1)), nn.LeakyReLU(0.2)]
        self.trunk = nn.Sequential(*layers)
        self.squeeze = spectral_norm(nn.Linear(wide[-1] * 16, 256))
        self.score = spectral_norm(nn.Linear(256, 1))
        self.match = spectral_norm(nn.Linear(config.text, 256))
        self.noise = nn.Linear(wide[-1] * 16, 2 * config.noise)

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Self:
        """Load a discriminator, its normalisation folded, from ``config.json`` and ``discriminator.safetensors``.

        Raises:
            FileNotFoundError: when the folder lacks one of them.
            KeyError: when the configuration describes no discriminator.
        """
        stored = _read_config(folder)
        model = cls(_stored(stored), channels=tuple(stored["discriminator"]["channels"])).fold()
        _load(model, Path(folder) / "discriminator.safetensors")
        return model.eval()

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the folded weights (float16) beside those of the generator, and the architecture into its file."""
        config = {**_read_config(folder), "discriminator": {"channels": list(self.channels)}}
        _write_config(folder, config)
        _save(self._plain(), Path(folder) / "discriminator.safetensors")

    def _plain(self) -> nn.Module:
        # Not by deepcopy: a copy shares the class that holds the normalised weight, which folding takes it from.
        twin = type(self)(self.config, channels=self.channels)
        twin.load_state_dict(self.state_dict())
        return twin.eval().fold()

    def fold(self) -> Self:
        """Turn normalised weights into plain ones, in place; further training would not normalise them.

        The largest singular value is computed anew: of averaged weights, the averaged singular vectors that spectral
        normalisation keeps are no longer a good guess.
        """
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear) and parametrize.is_parametrized(layer, "weight"):
                parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
                layer.weight.data /= torch.linalg.matrix_norm(layer.weight.detach().flatten(1), ord=2)
        return self

    @torch.inference_mode()
    def rate(self, images: NDArray[np.uint8], prompts: Sequence[str], *, batch: int = 64) -> NDArray[np.float32]:
        """Score pictures: the higher, the more like a training picture with that caption.

        Args:
            images: (n, h, w, 3) RGB levels; other sizes than 64x64 are resized, their sides each by itself.
            prompts: n texts.
            batch: pictures at a time.

        Returns:
            (n,) scores without unit. Training pushed real pictures above 1 and generated ones below -1.
        """
        c, found = self.config, [np.empty(0, np.float32)]
        for start in range(0, len(images), batch):
            levels = torch.from_numpy(np.ascontiguousarray(images[start : start + batch]))
            x = levels.permute(0, 3, 1, 2).float() / 127.5 - 1.0
            if x.shape[-2:] != (_SIZE, _SIZE):
                x = functional.interpolate(x, size=(_SIZE, _SIZE), mode="bilinear", antialias=True)
            text = self.text(word_ids(prompts[start : start + batch], c.vocabulary, longest=c.max_words))
            found.append(self.judge(self.features(x), text).numpy())
        return np.concatenate(found)

    def features(self, image: Tensor) -> Tensor:
        """Flat features (n, f) of pictures in [-1, 1]."""
        out: Tensor = self.trunk(functional.pixel_unshuffle(image, 2)).flatten(1)
        return out

    def judge(self, features: Tensor, text: Tensor) -> Tensor:
        """Scores (n,): high for real pictures that fit the embedded text."""
        h = functional.leaky_relu(self.squeeze(features), 0.2)
        out: Tensor = self.score(h).squeeze(1) + (h * self.match(text)).sum(1)
        return out

    def posterior(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance (n, noise) of the noise that redraws a picture."""
        mean, logvar = self.noise(features).chunk(2, dim=1)
        return mean, logvar.clamp(-8.0, 4.0)


def _read_config(folder: str | Path) -> dict[str, Any]:
    stored: dict[str, Any] = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
    return stored


def _write_config(folder: str | Path, config: dict[str, Any]) -> None:
    (Path(folder) / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def _stored(config: dict[str, Any]) -> GanConfig:
    fields: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in config["generator"].items()}
    return GanConfig(**fields)


def _load(model: nn.Module, path: Path) -> None:
    model.load_state_dict({key: value.float() for key, value in load_file(path).items()})


def _save(model: nn.Module, path: Path) -> None:
    state = {key: value.detach().half().contiguous() for key, value in model.state_dict().items()}
    save_file(state, path, metadata={"format": "pt"})
