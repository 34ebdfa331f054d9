# SPDX-License-Identifier: Apache-2.0
"""A canvas for soft-edged signed-distance shapes, many pictures at a time."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor


def per_picture(values: Tensor) -> Tensor:
    """Reshape (n,) to (n, 1, 1), so that it broadcasts over pixels."""
    return values.reshape(-1, 1, 1)


def ellipse(x: Tensor, y: Tensor, rx: Tensor | float, ry: Tensor | float) -> Tensor:
    """Approximate signed distance to an ellipse at the origin with half axes ``rx``, ``ry``."""
    smaller = torch.minimum(torch.as_tensor(rx), torch.as_tensor(ry))
    return (torch.hypot(x / rx, y / ry) - 1.0) * smaller


def box(x: Tensor, y: Tensor, rx: Tensor | float, ry: Tensor | float, corner: float = 0.02) -> Tensor:
    """Signed distance to a rounded box at the origin with half sides ``rx``, ``ry``."""
    qx, qy = x.abs() - rx + corner, y.abs() - ry + corner
    return torch.hypot(qx.clamp(min=0), qy.clamp(min=0)) + torch.maximum(qx, qy).clamp(max=0) - corner


def stroke(x: Tensor, y: Tensor, curve: Tensor | float, half: Tensor | float, thick: Tensor | float) -> Tensor:
    """Signed distance to a horizontal stroke that bends by ``curve`` times x squared."""
    bent = (y - curve * x * x).abs() - thick
    return torch.maximum(bent, x.abs() - half)


def rgb(hex_or_levels: str | tuple[int, int, int]) -> Tensor:
    """Colour (3,) in [0, 1] from "#rrggbb" or three levels of 255."""
    if isinstance(hex_or_levels, str):
        hex_or_levels = tuple(int(hex_or_levels[i : i + 2], 16) for i in (1, 3, 5))  # type: ignore[assignment]
    return torch.tensor(hex_or_levels, dtype=torch.float32) / 255.0


@dataclasses.dataclass(slots=True)
class Canvas:
    """Pictures being painted back to front.

    Attributes:
        image: (n, 3, h, w) in [0, 1], painted in place.
        x, y: (h, w) coordinates from -1 (left, top) to 1.
        pixel: side of a pixel in these coordinates; edges are this soft.
    """

    image: Tensor
    x: Tensor
    y: Tensor
    pixel: float

    @classmethod
    def blank(cls, n: int, size: int) -> Canvas:
        """Return n black square pictures."""
        line = (torch.arange(size, dtype=torch.float32) + 0.5) / size * 2.0 - 1.0
        y, x = torch.meshgrid(line, line, indexing="ij")
        return cls(torch.zeros(n, 3, size, size), x, y, 2.0 / size)

    def cover(self, distance: Tensor, *, soft: float = 1.0) -> Tensor:
        """Turn signed distances into coverage in [0, 1], with an edge ``soft`` pixels wide."""
        return (0.5 - distance / (self.pixel * soft)).clamp(0.0, 1.0)

    def paint(
        self,
        distance: Tensor,
        colour: Tensor,
        *,
        where: Tensor | None = None,
        opacity: Tensor | float = 1.0,
        soft: float = 1.0,
    ) -> None:
        """Fill a shape.

        Args:
            distance: (m, h, w) or (h, w) signed distance; negative inside.
            colour: (3,) or (m, 3).
            where: (m,) which pictures; all when None.
            opacity: number or (m, 1, 1).
            soft: width of the edge in pixels.
        """
        self.blend(self.cover(distance, soft=soft) * opacity, colour, where=where)

    def blend(self, alpha: Tensor, colour: Tensor, *, where: Tensor | None = None) -> None:
        """Mix ``colour`` in with weight ``alpha`` (m, h, w); arguments as for ``paint``."""
        alpha = alpha.unsqueeze(-3)
        colour = colour.reshape(-1, 3, 1, 1)
        if where is None:
            self.image.lerp_(colour.expand_as(self.image), alpha.expand_as(self.image))
        elif len(where):
            part = self.image[where]
            self.image[where] = part + alpha * (colour - part)
