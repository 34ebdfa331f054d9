# SPDX-License-Identifier: Apache-2.0
"""Portraits of people that never existed: every attribute is known, the same people give the same pixels."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from audit.reference import _clothes, _head
from audit.reference._figure import BODY_Y, Figure, figure, head_pose
from audit.reference._shapes import Canvas, ellipse, per_picture, rgb
from audit.reference.people import People

_GROUND = torch.stack([rgb(h) for h in ("#9cc4e4", "#a5cfa3", "#c3c7cb", "#efd98b", "#efb9c4", "#c3b1e1")])
_CHUNK = 64


def render(people: People, *, size: int = 64) -> NDArray[np.uint8]:
    """Draw people.

    Args:
        people: n people.
        size: side of the square pictures in pixels; 64, 128 and 256 look well.

    Returns:
        (n, size, size, 3) RGB levels, deterministic.
    """
    out = np.empty((len(people), size, size, 3), dtype=np.uint8)
    with torch.inference_mode():
        for start in range(0, len(people), _CHUNK):
            part = people[start : start + _CHUNK]
            image = _draw(part, size).clamp(0.0, 1.0).mul(255.0).round().to(torch.uint8)
            out[start : start + len(part)] = image.permute(0, 2, 3, 1).numpy()
    return out


def face_boxes(people: People) -> NDArray[np.float32]:
    """Where the faces are: (n, 4) centre x, centre y, half width, half height, as shares of the picture's side."""
    pose = head_pose(people)
    box = np.stack([(pose["x"] + 1) / 2, (pose["y"] + 1) / 2, pose["rx"] / 2, pose["ry"] / 2], axis=1)
    return box.astype(np.float32)


def logo_boxes(people: People) -> NDArray[np.float32]:
    """Where a logo on the clothes is, or would be: (n, 4) as `face_boxes`."""
    pose = head_pose(people)
    x = _clothes.LOGO_X * pose["scale"] + 0.6 * pose["x"]
    y = (_clothes.SHOULDER + _clothes.LOGO_Y - BODY_Y) * pose["scale"] + pose["y"]
    radius = _clothes.LOGO_RADIUS * pose["scale"] / 2
    return np.stack([(x + 1) / 2, (y + 1) / 2, radius, radius], axis=1).astype(np.float32)


def render_logo(*, size: int = 64) -> NDArray[np.uint8]:
    """Draw the planted logo alone on white: (size, size, 3)."""
    canvas = Canvas.blank(1, size)
    canvas.image.fill_(1.0)
    _clothes.logo(canvas, canvas.x[None], canvas.y[None], scale=5.0)
    image: NDArray[np.uint8] = canvas.image[0].mul(255.0).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return image


def _draw(people: People, size: int) -> torch.Tensor:
    """Paint back to front; (n, 3, size, size) in [0, 1]."""
    canvas = Canvas.blank(len(people), size)
    f = figure(people, canvas)
    _background(canvas, f, people)
    _head.back_hair(canvas, f, people)
    _clothes.body(canvas, f, people)
    _clothes.clothes(canvas, f, people)
    _head.face(canvas, f)
    _head.lines(canvas, f, people)
    _head.beard(canvas, f, people)
    _head.features(canvas, f)
    _head.front_hair(canvas, f, people)
    _head.glasses(canvas, f, people)
    _clothes.hats(canvas, f, people)
    return canvas.image


def _background(canvas: Canvas, f: Figure, people: People) -> None:
    """One colour, lighter around the head and darker below, with the light's side a little brighter."""
    ground = _GROUND[torch.from_numpy(people.background)]
    canvas.image.copy_(ground[:, :, None, None].expand_as(canvas.image))
    glow = canvas.cover(ellipse(f.x, f.y, 0.85, 0.85), soft=0.7 / canvas.pixel)
    canvas.blend(0.35 * glow, ground * 0.4 + 0.6)
    fall = (0.10 + 0.10 * canvas.y - 0.06 * f.cue["light_side"] * canvas.x).clamp(0.0, 1.0)
    canvas.blend(fall * (1.0 + 0.0 * per_picture(f.dark)), ground * 0.45)
