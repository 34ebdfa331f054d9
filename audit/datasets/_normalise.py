# SPDX-License-Identifier: Apache-2.0
"""Normalise: one size by one declared kernel. Which kernel was used moves a Frechet distance (Parmar et al. 2022)."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from audit.datasets._pixels import pixels, sift
from audit.datasets._records import Progress, Record
from audit.datasets._store import Summary, building, finish, open_set, put, summary
from audit.errors import ConfigError
from audit.images import encode_png

__all__ = ["Fit", "Kernel", "Levels", "Shape", "normalise", "resized"]

Fit = Literal["crop", "pad", "stretch"]
Kernel = Literal["bicubic", "bilinear", "box", "lanczos"]
Levels = Literal["0..255", "0..1", "-1..1"]
_KERNELS = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "box": Image.Resampling.BOX,
    "lanczos": Image.Resampling.LANCZOS,
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What every image becomes.

    Attributes:
        width, height: pixels.
        kernel: of Pillow's resize, which widens it where it shrinks (antialiasing).
        fit: crop the middle, pad with ``pad``, or stretch.
        levels: range that 0 to 255 stand for where the set is used; a note in each record, the PNG holds 8 bits.
        pad: colour of the margins, 0 to 255 each.
    """

    width: int
    height: int
    kernel: Kernel = "bicubic"
    fit: Fit = "crop"
    levels: Levels = "0..255"
    pad: tuple[int, int, int] = (255, 255, 255)

    def __post_init__(self) -> None:
        if not (1 <= self.width <= 8192 and 1 <= self.height <= 8192):
            raise ConfigError(f"{self.width}x{self.height} is no size", where="size", hint="1 to 8192 pixels a side")
        for name, kinds in (("kernel", Kernel), ("fit", Fit), ("levels", Levels)):
            if getattr(self, name) not in get_args(kinds):
                raise ConfigError(f"unknown: {getattr(self, name)!r}", where=name, hint=", ".join(get_args(kinds)))
        if not all(0 <= value <= 255 for value in self.pad):
            raise ConfigError(f"{self.pad} is no colour", where="pad", hint="three levels of 0 to 255")


def normalise(
    source: Path, out: Path, *, shape: Shape, force: bool = False, progress: Progress = lambda *_: None
) -> Summary:
    """Make a set of equally large PNGs of another.

    Args:
        source: folder of the set.
        out: folder of the new set.
        shape: what every image becomes.
        force: replace a set at ``out``.
        progress: told what, how many are done, of how many.

    Raises:
        ConfigError: ``out`` is taken.
        StoreError: ``source`` is no set or damaged, or the disk says no.
    """
    before = open_set(source)
    with building(out, force=force, inputs=[source]) as folder:

        def work(record: Record, data: bytes) -> Record:
            made = encode_png(resized(pixels(data), shape))
            new = _described(record, made, shape)
            put(folder, made, new)
            return new

        good, dropped = sift(before, work, step="normalise", progress=progress)
        line = finish(
            folder,
            step="normalise",
            options=asdict(shape),
            given=[record.key for record in before.records],
            origins=[record.key for record, _ in good],
            records=[made for _, made in good],
            dropped=dropped,
            before=before,
        )
    return summary(line, out)


def resized(rgb: NDArray[np.uint8], shape: Shape) -> NDArray[np.uint8]:
    """A picture (h, w, 3) at ``shape``: (height, width, 3)."""
    image, size, kernel = Image.fromarray(rgb), (shape.width, shape.height), _KERNELS[shape.kernel]
    if shape.fit == "stretch":
        return np.asarray(image.resize(size, kernel))
    ratios = size[0] / image.width, size[1] / image.height
    if shape.fit == "crop":
        seen = size[0] / max(ratios), size[1] / max(ratios)
        left, top = (image.width - seen[0]) / 2, (image.height - seen[1]) / 2
        box = (max(0.0, left), max(0.0, top), min(image.width, left + seen[0]), min(image.height, top + seen[1]))
        return np.asarray(image.resize(size, kernel, box=box))
    inner = tuple(max(1, round(side * min(ratios))) for side in image.size)
    canvas = Image.new("RGB", size, shape.pad)
    canvas.paste(image.resize((inner[0], inner[1]), kernel), ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2))
    return np.asarray(canvas)


def _described(record: Record, data: bytes, shape: Shape) -> Record:
    return replace(
        record,
        sha256=hashlib.sha256(data).hexdigest(),
        width=shape.width,
        height=shape.height,
        mode="RGB",
        media_type="image/png",
        parent=record.sha256,
        meta={**record.meta, "levels": shape.levels, "kernel": shape.kernel, "fit": shape.fit},
    )
