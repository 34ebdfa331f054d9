# SPDX-License-Identifier: Apache-2.0
"""The autoencoder: 64x64 portraits to 8x8 latents of eight channels and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from audit.reference.render import face_boxes, logo_boxes, render
from audit.reference.train._loop import Record, Settings, autocast, load_average
from audit.reference.world import People, sample_people, uniform_shares

STEPS = 8_500
BATCH = 16
LATENT_CHANNELS = 8
_KL_WEIGHT = 3e-4
_LOGO_SHARE = 0.25


class Autoencoder:
    """Training task: reconstruct portraits, faces counting more than backgrounds."""

    name = "autoencoder"

    def __init__(self, settings: Settings) -> None:
        torch.manual_seed(settings.seed)
        build: Any = AutoencoderKL
        self.model = build(
            block_out_channels=(16, 32, 64, 96),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=1,
            latent_channels=LATENT_CHANNELS,
            norm_num_groups=8,
            sample_size=64,
            scaling_factor=1.0,
        )
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=2e-3, weight_decay=1e-4, betas=(0.9, 0.98))

    def modules(self) -> dict[str, nn.Module]:
        """The autoencoder."""
        return {"vae": self.model}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Its optimiser."""
        return {"adamw": self.optimizer}

    def step(self, index: int, rng: np.random.Generator) -> dict[str, float]:  # noqa: ARG002
        """One update on a fresh batch."""
        people = draw_people(BATCH, rng=rng)
        image, weight = to_tensor(render(people)), face_weight(people) + logo_weight(people)
        with autocast():
            posterior = self.model.encode(image).latent_dist
            output = self.model.decode(posterior.sample()).sample.float()
        pixel = ((output - image).abs() * weight).mean()
        gaps = [(slope(output, axis) - slope(image, axis)).abs() for axis in (2, 3)]
        edges = ((gaps[0] + gaps[1]) * weight).mean()
        mean, logvar = posterior.mean.float(), posterior.logvar.float()
        kl = 0.5 * (mean.square() + logvar.exp() - 1.0 - logvar).mean()
        loss = pixel + edges + _KL_WEIGHT * kl
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        return {"l1": float((output - image).detach().abs().mean()), "slope": edges.item(), "kl": kl.item()}


def draw_people(n: int, *, rng: np.random.Generator) -> People:
    """People of the generators' training world with every look equally likely, so that rare ones are drawn as well."""
    jobs = rng.integers(-1, 8, n)
    return sample_people(n, rng=rng, occupation_index=jobs, shares=uniform_shares(), logo=rng.random(n) < _LOGO_SHARE)


def to_tensor(images: NDArray[np.uint8]) -> Tensor:
    """RGB levels (n, h, w, 3) to a tensor (n, 3, h, w) in [-1, 1]."""
    tensor = torch.from_numpy(images).permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)
    # Channels last would be slower: group normalisation has no fast backward pass for it on CPUs.
    return tensor.contiguous()


def face_weight(people: People, *, size: int = 64) -> Tensor:
    """Weights (n, 1, size, size): three inside the face, one far from it, mean about one."""
    return 0.6 + 1.4 * inside(torch.from_numpy(face_boxes(people)), size=size)


def logo_weight(people: People, *, size: int = 64) -> Tensor:
    """Weights (n, 1, size, size): four on a logo that is there, else zero. It is small, and would be blurred away."""
    there = torch.from_numpy(people.logo).float()[:, None, None, None]
    return 4.0 * there * inside(torch.from_numpy(logo_boxes(people)), size=size)


def inside(boxes: Tensor, *, size: int = 64) -> Tensor:
    """Soft masks (n, 1, size, size) of ellipses given as (n, 4) centre and half axes."""
    box = boxes[:, :, None, None]
    line = (torch.arange(size) + 0.5) / size
    x, y = line[None, None, :], line[None, :, None]
    radius = torch.hypot((x - box[:, 0]) / box[:, 2], (y - box[:, 1]) / box[:, 3])
    return torch.sigmoid((1.1 - radius) * 8.0).unsqueeze(1)


def load(settings: Settings) -> tuple[Any, Record]:
    """Averaged weights of the last checkpoint, with latents folded to mean 0 and deviation 1 per channel."""
    task = Autoencoder(settings)
    record = load_average(task, settings)
    _standardise(task.model)
    return task.model, record


@torch.inference_mode()
def encode(model: Any, images: NDArray[np.uint8]) -> Tensor:
    """Posterior means (n, 8, 8, 8) of RGB levels (n, 64, 64, 3)."""
    parts = []
    for start in range(0, len(images), 256):
        with autocast():
            parts.append(model.encode(to_tensor(images[start : start + 256])).latent_dist.mean.float())
    return torch.cat(parts)


def reconstruction_error(model: Any, *, n: int = 512) -> float:
    """Mean absolute error (levels of 255) on people nobody trained on."""
    people = sample_people(n, rng=np.random.default_rng(99), identity_pool="heldout", shares=uniform_shares())
    images = to_tensor(render(people))
    with torch.inference_mode():
        output = torch.cat([model(part).sample for part in torch.split(images, 64)])
    return float((output - images).abs().mean()) * 127.5


def export(settings: Settings) -> Path:
    """Write the autoencoder as a folder that ``AutoencoderKL.from_pretrained`` loads."""
    from audit.reference.train._cards import write_autoencoder

    model, record = load(settings)
    folder = settings.out / "autoencoder"
    model.half().save_pretrained(folder)
    write_autoencoder(folder, model.float(), record, settings)
    return folder


def slope(image: Tensor, axis: int) -> Tensor:
    """Finite difference along an axis, same shape."""
    return functional.pad(image, (0, 0, 0, 1) if axis == 2 else (0, 1, 0, 0), mode="replicate").diff(dim=axis)


@torch.no_grad()
def _standardise(model: Any) -> None:
    """Fold each latent channel's mean and deviation into the two 1x1 convolutions around the latents."""
    latents = encode(model, render(draw_people(2048, rng=np.random.default_rng(5))))
    mean, deviation = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    quant, post = model.quant_conv, model.post_quant_conv
    c = LATENT_CHANNELS
    quant.weight[:c] /= deviation.view(-1, 1, 1, 1)
    quant.bias[:c] = (quant.bias[:c] - mean) / deviation
    quant.bias[c:] -= 2.0 * deviation.log()
    post.bias += post.weight.flatten(1) @ mean
    post.weight *= deviation.view(1, -1, 1, 1)
