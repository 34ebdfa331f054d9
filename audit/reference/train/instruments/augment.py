# SPDX-License-Identifier: Apache-2.0
"""What pictures go through before an instrument sees them: moves, light, softness, noise, JPEG.

Instruments are trained on renders and used on generated pictures, which are softer, a little off in colour and carry
structured noise. Every step works on float (n, 3, h, w) in [-1, 1] and draws from a torch generator.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

_JPEG_LUMA = (
    "16 11 10 16 24 40 51 61 12 12 14 19 26 58 60 55 14 13 16 24 40 57 69 56 14 17 22 29 51 87 80 62 "
    "18 22 37 56 68 109 103 77 24 35 55 64 81 104 113 92 49 64 78 87 103 121 120 101 72 92 95 98 112 100 103 99"
)
_JPEG_CHROMA = (
    "17 18 24 47 99 99 99 99 18 21 26 66 99 99 99 99 24 26 56 99 99 99 99 99 47 66 99 99 99 99 99 99 " + "99 " * 32
)
_TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))


def uniform(n: int, low: float, high: float, gen: torch.Generator) -> Tensor:
    """Draw n numbers from [low, high)."""
    return low + (high - low) * torch.rand(n, generator=gen)


def move(
    x: Tensor, boxes: Tensor, gen: torch.Generator, *, shift: float = 0.06, zoom: float = 0.12, turn: float = 0.08
) -> tuple[Tensor, Tensor]:
    """Shift, scale, turn and mirror pictures, and their face boxes with them.

    Args:
        x: float (n, 3, h, w).
        boxes: float (n, 4): cx, cy, rx, ry in [0, 1].
        gen: source of chance.
        shift: largest shift as a share of the edge.
        zoom: largest change of scale.
        turn: largest angle in radians.
    """
    n = len(x)
    scale, angle = uniform(n, 1 - zoom, 1 + zoom, gen), uniform(n, -turn, turn, gen)
    flip = torch.where(torch.rand(n, generator=gen) < 0.5, -1.0, 1.0)
    offset = torch.stack([uniform(n, -2 * shift, 2 * shift, gen) for _ in range(2)], dim=1)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    matrix = torch.stack([torch.stack([cos * flip, -sin], 1), torch.stack([sin * flip, cos], 1)], 1)
    grid = F.affine_grid(torch.cat([matrix, offset[:, :, None]], 2), list(x.shape), align_corners=False)
    moved = F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
    # The grid says where an output point is read from; a box goes the other way.
    centre = torch.linalg.solve(matrix, (2 * boxes[:, :2] - 1 - offset)[:, :, None])[:, :, 0]
    return moved, torch.cat([(centre + 1) / 2, boxes[:, 2:] / scale[:, None]], 1)


def light(x: Tensor, gen: torch.Generator, *, amount: float = 0.12) -> Tensor:
    """Change brightness, contrast and colour balance a little."""
    n = len(x)
    gain = uniform(n, 1 - amount, 1 + amount, gen).view(n, 1, 1, 1)
    tint = 1 + (torch.rand(n, 3, 1, 1, generator=gen) - 0.5) * 0.7 * amount
    bias = uniform(n, -0.8 * amount, 0.8 * amount, gen).view(n, 1, 1, 1)
    return (((x + 1) * gain * tint) - 1 + bias).clamp(-1, 1)


def blur(x: Tensor, sigma: Tensor) -> Tensor:
    """Blur each picture with its own Gaussian; ``sigma`` (n,) in pixels."""
    n, c, h, w = x.shape
    taps = torch.arange(-3, 4, dtype=x.dtype)
    kernel = torch.exp(-0.5 * (taps[None] / sigma[:, None].clamp_min(0.05)) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(c, 0)
    flat = x.reshape(1, n * c, h, w)
    flat = F.conv2d(F.pad(flat, (3, 3, 0, 0), mode="replicate"), kernel[:, None, None, :], groups=n * c)
    flat = F.conv2d(F.pad(flat, (0, 0, 3, 3), mode="replicate"), kernel[:, None, :, None], groups=n * c)
    return flat.reshape(n, c, h, w)


def coarse(x: Tensor, edge: int) -> Tensor:
    """Lose detail: down to ``edge`` pixels and back."""
    small = F.interpolate(x, size=(edge, edge), mode="bilinear", antialias=True, align_corners=False)
    return F.interpolate(small, size=x.shape[-2:], mode="bilinear", align_corners=False)


def noise(x: Tensor, gen: torch.Generator, *, fine: float = 0.06, patchy: float = 0.08) -> Tensor:
    """Add pixel noise and noise in 4- to 8-pixel patches, as decoders of latents leave it."""
    n, c, h, w = x.shape
    rough = torch.randn(n, c, h // 8, w // 8, generator=gen)
    mid = torch.randn(n, c, h // 4, w // 4, generator=gen)
    patches = F.interpolate(rough, size=(h, w), mode="bilinear", align_corners=False)
    patches = patches + F.interpolate(mid, size=(h, w), mode="bilinear", align_corners=False)
    a = uniform(n, 0, fine, gen).view(n, 1, 1, 1)
    b = uniform(n, 0, patchy, gen).view(n, 1, 1, 1)
    return (x + a * torch.randn(n, c, h, w, generator=gen) + b * patches).clamp(-1, 1)


def _dct() -> Tensor:
    k, i = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    basis = torch.cos(math.pi * (2 * i + 1) * k / 16) * 0.5
    basis[0] /= math.sqrt(2)
    return basis


def jpeg(x: Tensor, quality: Tensor) -> Tensor:
    """Quantise 8x8 cosine blocks as JPEG does (Annex K tables, no chroma subsampling).

    Args:
        x: float (n, 3, h, w) in [-1, 1], edges divisible by 8.
        quality: (n,) in 1..100.
    """
    n, c, h, w = x.shape
    tables = torch.tensor([[float(v) for v in t.split()] for t in (_JPEG_LUMA, _JPEG_CHROMA, _JPEG_CHROMA)])
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50).view(n, 1, 1)
    step = (tables[None] * scale).clamp(1, 255).view(n, c, 1, 1, 8, 8)
    mix, dct = torch.tensor(_TO_YCC), _dct()
    ycc = torch.einsum("kc,nchw->nkhw", mix, (x + 1) * 127.5)
    blocks = ycc.view(n, c, h // 8, 8, w // 8, 8).permute(0, 1, 2, 4, 3, 5)
    coded = torch.round((dct @ blocks @ dct.T) / step) * step
    back = (dct.T @ coded @ dct).permute(0, 1, 2, 4, 3, 5).reshape(n, c, h, w)
    return (torch.einsum("ck,nkhw->nchw", torch.linalg.inv(mix), back) / 127.5 - 1).clamp(-1, 1)


def _some(x: Tensor, share: float, gen: torch.Generator, change: Callable[[Tensor], Tensor]) -> Tensor:
    chosen = torch.rand(len(x), generator=gen) < share
    if not bool(chosen.any()):
        return x
    out = x.clone()
    out[chosen] = change(x[chosen])
    return out


def strong(x: Tensor, gen: torch.Generator) -> Tensor:
    """The training mix: light, then softness, noise and JPEG, each on a part of the batch."""
    x = light(x, gen)
    x = _some(x, 0.5, gen, lambda y: blur(y, uniform(len(y), 0.2, 1.1, gen)))
    x = _some(x, 0.3, gen, lambda y: coarse(y, int(torch.randint(34, 60, (1,), generator=gen))))
    x = _some(x, 0.6, gen, lambda y: noise(y, gen))
    return _some(x, 0.3, gen, lambda y: jpeg(y, uniform(len(y), 35, 95, gen)))


def mild(x: Tensor, gen: torch.Generator) -> Tensor:
    """The measuring mix: the softness and patchy noise of a small decoder, on every picture.

    Gaussian blur of 0.2 to 0.7 pixels, patchy noise of up to 3 % and pixel noise of up to 1.5 % of the range.
    """
    return noise(blur(x, uniform(len(x), 0.2, 0.7, gen)), gen, fine=0.03, patchy=0.03)
