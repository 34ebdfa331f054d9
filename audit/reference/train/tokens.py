# SPDX-License-Identifier: Apache-2.0
"""The token autoencoder: 64x64 pictures to 8x8 tokens and back (vector quantisation, van den Oord et al. 2017)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import VQModel
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from audit.reference.train._loop import Record, Settings, autocast, load_average
from audit.reference.train._pictures import training_pictures
from audit.reference.train.autoencoder import slope, to_tensor

STEPS = 8_000
BATCH = 16
CODES = 1024
_CHANNELS = 16
#: Steps before the codebook is laid out, and steps between revivals of codes that nothing falls to.
_SMOOTH, _REVIVE = 1_000, 250


class Tokens:
    """Training task: first an ordinary autoencoder, then one whose latents are rounded to the codebook."""

    name = "tokens"

    def __init__(self, settings: Settings) -> None:
        torch.manual_seed(settings.seed)
        build: Any = VQModel
        self.model = build(
            block_out_channels=(16, 32, 64, 96),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=1,
            latent_channels=_CHANNELS,
            norm_num_groups=8,
            sample_size=64,
            num_vq_embeddings=CODES,
        )
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=2e-3, weight_decay=1e-4, betas=(0.9, 0.98))

    def modules(self) -> dict[str, nn.Module]:
        """The autoencoder."""
        return {"vq": self.model}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Its optimiser."""
        return {"adamw": self.optimizer}

    def step(self, index: int, rng: np.random.Generator) -> dict[str, float]:
        """One update on a fresh batch."""
        drawn = training_pictures(BATCH, rng=rng, even=True, wordings=0)
        image, weight = to_tensor(drawn.images), drawn.weight
        if index >= _SMOOTH and (index - _SMOOTH) % _REVIVE == 0 and index < STEPS * 3 // 4:
            self._revive(rng, everything=index == _SMOOTH)
        with autocast():
            hidden = self.model.encode(image).latents
        quantised, commit = hidden, hidden.new_zeros(())
        if index >= _SMOOTH:
            quantised, commit = self.model.quantize(hidden.float())[:2]
        with autocast():
            output = self.model.decoder(self.model.post_quant_conv(quantised)).float()
        pixel = ((output - image).abs() * weight).mean()
        gaps = [(slope(output, axis) - slope(image, axis)).abs() * weight for axis in (2, 3)]
        edges = gaps[0].mean() + gaps[1].mean()
        # Without codes the latents are kept near unit size, where the codebook will lie.
        size = _size(hidden.float()) if index < _SMOOTH else commit
        (pixel + edges + 0.1 * size).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        error = (output - image).detach().abs().mean()
        return {"l1": error.item(), "slope": edges.item(), "commit": commit.item()}

    @torch.no_grad()
    def _revive(self, rng: np.random.Generator, *, everything: bool) -> None:
        """Move codes that nothing falls to onto latents of fresh pictures; ``everything``: lay out the whole book."""
        images = training_pictures(192, rng=rng, even=True, wordings=0).images
        with autocast():
            hidden = self.model.encode(to_tensor(images)).latents
        flat = hidden.float().permute(0, 2, 3, 1).reshape(-1, _CHANNELS)
        book = self.model.quantize.embedding.weight
        if everything:
            book.copy_(_centres(flat, rng))
            return
        used = torch.bincount(torch.cdist(flat, book).argmin(1), minlength=CODES)
        dead = (used == 0).nonzero().flatten()
        book[dead] = flat[torch.from_numpy(rng.permutation(len(flat))[: len(dead)])]


def _size(hidden: Tensor) -> Tensor:
    mean, variance = hidden.mean((0, 2, 3)), hidden.var((0, 2, 3))
    return mean.square().mean() + (variance - 1).square().mean()


def _centres(points: Tensor, rng: np.random.Generator, *, rounds: int = 10) -> Tensor:
    """K-means (Lloyd 1982) of (n, c) points, started from ``CODES`` of them."""
    centres = points[torch.from_numpy(rng.permutation(len(points))[:CODES])].clone()
    for _ in range(rounds):
        nearest = torch.cdist(points, centres).argmin(1)
        count = torch.bincount(nearest, minlength=CODES).clamp(min=1).unsqueeze(1)
        total = torch.zeros_like(centres).index_add_(0, nearest, points)
        empty = torch.bincount(nearest, minlength=CODES) == 0
        centres = torch.where(empty.unsqueeze(1), centres, total / count)
    return centres


def load(settings: Settings) -> tuple[Any, Record]:
    """Averaged weights of the last checkpoint."""
    task = Tokens(settings)
    record = load_average(task, settings)
    return task.model, record


@torch.inference_mode()
def encode(model: Any, images: NDArray[np.uint8]) -> Tensor:
    """Tokens (n, 64), row by row, of RGB levels (n, 64, 64, 3)."""
    parts = []
    for start in range(0, len(images), 128):
        hidden = model.encode(to_tensor(images[start : start + 128])).latents
        flat = hidden.permute(0, 2, 3, 1).reshape(-1, hidden.shape[1])
        nearest = torch.cdist(flat, model.quantize.embedding.weight).argmin(1)
        parts.append(nearest.view(len(hidden), -1))
    return torch.cat(parts)


@torch.inference_mode()
def decode(model: Any, tokens: Tensor) -> NDArray[np.uint8]:
    """Pictures (n, 64, 64, 3) of tokens (n, 64)."""
    side = int(tokens.shape[1] ** 0.5)
    hidden = functional.embedding(tokens, model.quantize.embedding.weight).view(len(tokens), side, side, -1)
    image = model.decoder(model.post_quant_conv(hidden.permute(0, 3, 1, 2).contiguous()))
    levels: NDArray[np.uint8] = image.add(1).mul(127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
    return levels


def export(settings: Settings) -> Path:
    """Nothing is shipped of its own: the recurrent model carries the token autoencoder in its folder."""
    return settings.work / "tokens.pt"
