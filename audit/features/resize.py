# SPDX-License-Identifier: Apache-2.0
"""How pictures are brought to the size that a network reads: the kernels that the field uses, each under its name.

They differ by up to 161 of 255 levels on the same picture, so features made with one are never compared with features
made with another: the kernel is part of an extractor's identity.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "KERNELS",
    "Preparation",
    "bicubic_no_antialias",
    "pil_bicubic_clean",
    "pil_bicubic_uint8",
    "pil_bilinear_uint8",
    "tf1_bilinear",
    "torch_bilinear",
    "torch_bilinear_antialias",
]

Pixels: TypeAlias = NDArray[np.uint8]
Levels: TypeAlias = NDArray[np.float32]
Kernel: TypeAlias = Callable[[Pixels, tuple[int, int]], Levels]

_LONGEST: Final = 8  # times the shorter side: beyond that a strip of one pixel would ask for gigabytes


def pil_bicubic_clean(rgb: Pixels, size: tuple[int, int]) -> Levels:
    """Pillow's bicubic, widened when it shrinks, each channel in float32 and never rounded to levels.

    That of clean-fid (Parmar, Zhang and Zhu 2022). May overshoot 0 and 255 a little.

    Args:
        rgb: uint8 (h, w, 3).
        size: height and width of the result.

    Returns:
        float32 (3, height, width), in levels.
    """
    from PIL import Image  # here and below: looking an instrument up need not load Pillow

    height, width = size
    planes = np.ascontiguousarray(rgb.transpose(2, 0, 1), dtype=np.float32)
    small = (Image.fromarray(plane).resize((width, height), Image.Resampling.BICUBIC) for plane in planes)
    return np.stack([np.asarray(plane) for plane in small])


def pil_bicubic_uint8(rgb: Pixels, size: tuple[int, int]) -> Levels:
    """Pillow's bicubic on levels, widened when it shrinks: that of the CLIP and DINOv2 processors.

    Arguments and result as of `pil_bicubic_clean`; whole levels from 0 to 255.
    """
    return _pil(rgb, size, "BICUBIC")


def pil_bilinear_uint8(rgb: Pixels, size: tuple[int, int]) -> Levels:
    """Pillow's bilinear on levels, widened when it shrinks: that of SSCD.

    Arguments and result as of `pil_bicubic_clean`; whole levels from 0 to 255.
    """
    return _pil(rgb, size, "BILINEAR")


def tf1_bilinear(rgb: Pixels, size: tuple[int, int]) -> Levels:
    """Bilinear as TensorFlow 1 did it, by which FID was first published, and as torch-fidelity does it.

    Corner pixels are at 0 and the step is in / out, so the picture is shifted by half a pixel; nothing is widened, so
    shrinking aliases (``align_corners=False``, ``half_pixel_centers=False``). Arguments and result as of
    `pil_bicubic_clean`.
    """
    (top, bottom, down), (left, right, across) = (_tf1_grid(n, m) for n, m in zip(rgb.shape[:2], size, strict=True))
    across, down = across[:, None], down[:, None, None]
    upper, lower = (_mix(rows[:, left], rows[:, right], across) for rows in (rgb[top], rgb[bottom]))
    return np.ascontiguousarray(_mix(upper, lower, down).transpose(2, 0, 1))


def torch_bilinear(rgb: Pixels, size: tuple[int, int]) -> Levels:
    """Bilinear of torch without widening, so that shrinking aliases: that of pytorch-fid.

    Arguments and result as of `pil_bicubic_clean`.
    """
    return _torch(rgb, size, mode="bilinear")


def torch_bilinear_antialias(rgb: Pixels, size: tuple[int, int]) -> Levels:
    """Bilinear of torch, widened when it shrinks: that of torchmetrics since 1.8.

    Arguments and result as of `pil_bicubic_clean`.
    """
    return _torch(rgb, size, mode="bilinear", antialias=True)


def bicubic_no_antialias(rgb: Pixels, size: tuple[int, int]) -> Levels:
    """Bicubic of torch without widening, so that shrinking aliases: that of CMMD (Jayasumana et al. 2024).

    Arguments and result as of `pil_bicubic_clean`; overshoots 0 and 255.
    """
    return _torch(rgb, size, mode="bicubic")


KERNELS: Final[Mapping[str, Kernel]] = {
    kernel.__name__: kernel
    for kernel in (
        bicubic_no_antialias,
        pil_bicubic_clean,
        pil_bicubic_uint8,
        pil_bilinear_uint8,
        tf1_bilinear,
        torch_bilinear,
        torch_bilinear_antialias,
    )
}


@dataclass(frozen=True, slots=True)
class Preparation:
    """From a picture to what a network reads; it can be handed to another process.

    Attributes:
        kernel: one of `KERNELS`.
        size: of the result, in pixels.
        keep: "square": both sides become ``size``, whatever the shape was; "shape": the shorter side does and the
            longer one follows, up to eight times as long.
    """

    kernel: str
    size: int
    keep: Literal["square", "shape"] = "square"

    def __call__(self, rgb: Pixels) -> Levels:
        """float32 (3, height, width), in levels."""
        return KERNELS[self.kernel](rgb, self.target(rgb.shape[0], rgb.shape[1]))

    def target(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the result for a picture of that size."""
        if self.keep == "square":
            return self.size, self.size
        short = min(height, width)
        long = min(self.size * max(height, width) // short, _LONGEST * self.size)
        return (self.size, long) if height <= width else (long, self.size)

    @property
    def words(self) -> str:
        """For descriptions, e.g. "pil_bicubic_clean to 299x299"."""
        return f"{self.kernel} to " + (
            f"{self.size}x{self.size}" if self.keep == "square" else f"a side of {self.size}"
        )


def _pil(rgb: Pixels, size: tuple[int, int], method: str) -> Levels:
    from PIL import Image

    height, width = size
    small = np.asarray(Image.fromarray(np.ascontiguousarray(rgb)).resize((width, height), Image.Resampling[method]))
    return np.ascontiguousarray(small.transpose(2, 0, 1), dtype=np.float32)


def _tf1_grid(n: int, m: int) -> tuple[NDArray[np.int64], NDArray[np.int64], Levels]:
    """For each of m results the two of n sources, and the share of the second.

    In float32 as TensorFlow computes it (resize_bilinear_op.cc, compute_interpolation_weights): rounding of the
    product decides which source is meant where it falls on a whole number.
    """
    place = np.arange(m, dtype=np.float32) * np.float32(n / m)
    low = place.astype(np.int64)
    return low, np.minimum(low + 1, n - 1), place - low.astype(np.float32)


def _mix(first: NDArray[Any], second: NDArray[Any], share: Levels) -> Levels:
    start = first.astype(np.float32)
    return start + (second.astype(np.float32) - start) * share


def _torch(rgb: Pixels, size: tuple[int, int], *, mode: str, antialias: bool = False) -> Levels:
    import torch
    import torch.nn.functional as F

    planes = torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1), dtype=np.float32))[None]
    out: Levels = F.interpolate(planes, size=size, mode=mode, align_corners=False, antialias=antialias)[0].numpy()
    return out
