# SPDX-License-Identifier: Apache-2.0
"""Hair, face and glasses."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audit.reference._figure import Figure
from audit.reference._shapes import Canvas, box, ellipse, per_picture, rgb, stroke
from audit.reference.people import HAIR_STYLES, People

_STYLE = {name: i for i, name in enumerate(HAIR_STYLES)}
_INK = rgb("#1b1413")


def _which(mask: NDArray[np.bool_]) -> Tensor:
    return torch.from_numpy(mask).nonzero().flatten()


def face_distance(f: Figure, *, grow: float = 0.0) -> Tensor:
    """Signed distance to the outline of the face; the jaw narrows towards the chin."""
    low = (f.y / f.face_h).clamp(0.0, 1.0)
    width = f.face_w * (1.0 - (0.34 - 0.30 * f.jaw) * low * low)
    power = 2.0 + 0.9 * f.jaw * low
    radius = ((f.x / width).abs().clamp(min=1e-4) ** power + (f.y / f.face_h).abs() ** power) ** (1.0 / power)
    return (radius - 1.0) * f.face_w - grow


def back_hair(canvas: Canvas, f: Figure, people: People) -> None:
    """Hair that falls behind the neck, with a rim of light that parts it from the background."""
    rim = 0.5 + 0.5 * f.hair
    bottom = {"long": 0.42, "medium": 0.14}
    for style, drop in bottom.items():
        i = _which(people.hair_style == _STYLE[style])
        w, x, y = f.face_w[i], f.x[i], f.y[i]
        shape = torch.minimum(
            ellipse(x, y + 0.06, w + 0.10, f.face_h[i] + 0.10),
            box(x, y - drop + 0.10, w + 0.09, drop + 0.13, 0.12),
        )
        canvas.paint(shape - 0.02, rim[i], where=i, opacity=0.5)
        canvas.paint(shape, f.hair[i] * 0.86, where=i)
    i = _which(people.hair_style == _STYLE["curly"])
    puff = ellipse(f.x[i], f.y[i] + 0.13, f.face_w[i] + 0.17, f.face_h[i] + 0.10)
    puff = puff + 0.014 * torch.sin(22 * torch.atan2(f.y[i] + 0.13, f.x[i]))
    canvas.paint(puff - 0.02, rim[i], where=i, opacity=0.5)
    canvas.paint(puff, f.hair[i], where=i)
    i = _which(people.hair_style == _STYLE["bun"])
    bun = ellipse(f.x[i], f.y[i] + f.face_h[i] + 0.13, 0.15, 0.13)
    canvas.paint(bun - 0.02, rim[i], where=i, opacity=0.5)
    canvas.paint(bun, f.hair[i], where=i)


def face(canvas: Canvas, f: Figure) -> None:
    """Ears and the face itself, mildly lit from one side; a bright rim keeps dark skin apart from dark hair."""
    for side in (-1.0, 1.0):
        ear = ellipse(f.x - side * (f.face_w + 0.005), f.y - 0.03, 0.055, 0.085)
        canvas.paint(ear, f.skin * 0.90)
    shape = face_distance(f)
    canvas.paint(shape, f.skin)
    turned = (f.x / f.face_w) * f.cue["light_side"].sign()
    shade = canvas.cover(shape) * (turned - 0.35).clamp(0.0, 1.0) * (0.22 + 0.12 * f.cue["light_strength"])
    canvas.blend(shade, f.skin * 0.58)
    lit = canvas.cover(shape) * (-turned - 0.20).clamp(0.0, 1.0) * per_picture(f.dark)
    canvas.blend(0.35 * lit, f.skin * 0.80 + rgb("#a8734d") * 0.30)
    edge = canvas.cover(shape.abs() - 0.018, soft=1.5) * per_picture(f.dark) * 0.55
    canvas.blend(edge, f.skin * 0.6 + 0.26)
    blush = torch.minimum(
        ellipse(f.x - 0.6 * f.face_w, f.y - 0.13, 0.085, 0.06), ellipse(f.x + 0.6 * f.face_w, f.y - 0.13, 0.085, 0.06)
    )
    canvas.paint(blush, f.skin * 0.55 + rgb("#e0605a") * 0.45, opacity=0.55 * f.cue["makeup"], soft=4.0)


def lines(canvas: Canvas, f: Figure, people: People) -> None:
    """Lines of age: forehead, under the eyes, beside the mouth. Lighter than the skin where it is dark."""
    ink = f.skin * 0.66 + per_picture(f.dark).squeeze(-1) * 0.20
    older = _which(people.age == 2)
    x, y = f.x[older], f.y[older]
    for level in (0.56, 0.70):
        mark = stroke(x, y + level * f.face_h[older], 0.5, 0.13, 0.009)
        canvas.paint(mark, ink[older], where=older, opacity=0.8)
    for group, strength in ((older, 0.9), (_which(people.age == 1), 0.55)):
        ax = f.x[group].abs()
        fy = f.y[group] - 0.60 * f.mouth_y[group]
        fold = torch.maximum((ax - f.mouth[group] - 0.035 - 0.45 * fy - 2.0 * fy * fy).abs() - 0.010, fy.abs() - 0.075)
        bag = stroke(ax - f.eye_x[group], f.y[group] + 0.055 - f.eye_r[group] - 0.04, -3.0, 0.06, 0.009)
        canvas.paint(torch.minimum(fold, bag), ink[group], where=group, opacity=strength)


def beard(canvas: Canvas, f: Figure, people: People) -> None:
    """A beard around the mouth, along the jaw."""
    i = _which(people.beard)
    inside = face_distance(f)[i] - 0.015
    x, y = f.x[i], f.y[i]
    upper = f.face_h[i] * 0.30 - y - 0.5 * x * x * 2.0
    gap = -ellipse(x, y - f.mouth_y[i], f.mouth[i] + 0.02, 0.055)
    cheeks = 0.40 * f.face_h[i] - y - 0.9 * (x.abs() - 0.10).clamp(min=0)
    shape = torch.maximum(torch.maximum(inside, torch.maximum(upper, cheeks)), gap)
    canvas.paint(shape, f.hair[i] * 0.92 + 0.05 * f.dark[i].reshape(-1, 1), where=i, opacity=0.94, soft=1.6)


def features(canvas: Canvas, f: Figure) -> None:
    """Eyes, lashes, brows, nose and mouth."""
    ax = f.x.abs()
    ex, ey = ax - f.eye_x, f.y + 0.055
    lash = ellipse(ex - 0.012 * f.cue["lashes"], ey + 0.014, f.eye_r * 1.22, f.eye_r * 0.92)
    canvas.paint(lash, _INK, opacity=(0.30 + 1.0 * f.cue["lashes"]).clamp(max=1.0))
    canvas.paint(ellipse(ex, ey, f.eye_r * 1.08, f.eye_r * 0.80), f.skin * 0.12 + rgb("#f4f2ee") * 0.88)
    gaze = 0.018 * f.cue["gaze"]
    # The gaze moves both irises the same way, so it is applied before the mirror.
    gx = torch.minimum((f.x - f.eye_x - gaze).abs(), (f.x + f.eye_x - gaze).abs())
    canvas.paint(ellipse(gx, ey, f.eye_r * 0.62, f.eye_r * 0.72), f.eyes)
    canvas.paint(ellipse(gx, ey, f.eye_r * 0.30, f.eye_r * 0.34), rgb("#0d0b0c"))
    weight = 0.014 + 0.014 * f.brow + 0.016 * f.cue["brow_weight"]
    tilt = 0.35 * (f.brow - 0.5)
    brow = stroke(ex, ey + 0.135 + 0.02 * f.cue["expression"] + tilt * ex, 3.0, 0.085, weight)
    brow_ink = f.hair * 0.62 * (1 - per_picture(f.dark).squeeze(-1)) + per_picture(f.dark).squeeze(-1) * 0.4 * f.hair
    canvas.paint(brow, brow_ink, opacity=0.92)
    _nose(canvas, f)
    _mouth(canvas, f)


def _nose(canvas: Canvas, f: Figure) -> None:
    """A shadow under the nose and a light on its bridge."""
    ink = f.skin * 0.70 + f.dark.reshape(-1, 1) * 0.02
    width, low = 0.040 + 0.045 * f.nose, 0.105 + 0.035 * f.nose
    canvas.paint(ellipse(f.x, f.y - low, width, 0.030), ink)
    canvas.paint(ellipse(f.x, f.y - low + 0.022, width * 0.95, 0.030), f.skin * 0.97 + 0.03)
    light = f.skin * 0.88 + 0.12
    canvas.paint(box(f.x, f.y - low + 0.08, 0.016, 0.075), light, opacity=0.6, soft=1.5)


def _mouth(canvas: Canvas, f: Figure) -> None:
    """Lips: fuller and redder with make-up; the corners follow the expression."""
    smile = 1.6 + 2.6 * f.cue["expression"]
    y = f.y - f.mouth_y + smile * (f.x * f.x - 0.4 * f.mouth * f.mouth)
    colour = f.cue["makeup"].reshape(-1, 1)
    plain = f.skin * 0.72 + rgb("#7a2a2a") * 0.16 + 0.05 * f.dark.reshape(-1, 1)
    # On dark skin the same make-up reads as a deep berry tone, never as a bright patch.
    paint = f.skin * 0.62 * f.dark.reshape(-1, 1) + rgb("#c2303f") * (1.0 - 0.56 * f.dark.reshape(-1, 1))
    lips = torch.lerp(plain, paint, (0.1 + 0.9 * colour).clamp(max=0.9))
    canvas.paint(ellipse(f.x, y, f.mouth, 0.026 + 0.026 * f.cue["makeup"]), lips)
    canvas.paint(stroke(f.x, y, 0.0, f.mouth * 0.86, 0.008), lips * 0.55)


def front_hair(canvas: Canvas, f: Figure, people: People) -> None:
    """Hair over the skull and forehead, with a sheen so that black hair keeps its shape."""
    heights = torch.tensor([0.50, 0.66, 0.46, 0.48, 0.58, 0.44])
    grow = torch.tensor([0.055, 0.018, 0.065, 0.06, 0.04, 0.08])
    style = torch.from_numpy(people.hair_style)
    line = per_picture(heights[style]) * f.face_h
    part = 0.10 * f.cue["light_side"].sign() * f.x
    skull = face_distance(f) - per_picture(grow[style])
    fringe = f.y + line - 0.9 * f.x * f.x + part
    sides = torch.maximum(f.y - 0.02, f.face_w * 0.80 - f.x.abs() + 0.4 * (f.y + 0.1).clamp(max=0.0))
    keeps_sides = per_picture((style == _STYLE["buzz"]) | (style == _STYLE["bun"]))
    cap = torch.maximum(skull, torch.where(keeps_sides, fringe, torch.minimum(fringe, sides)))
    buzz = per_picture((style == _STYLE["buzz"]).float())
    canvas.paint(cap, f.hair, opacity=1.0 - 0.25 * buzz, soft=1.4)
    sheen = torch.maximum(cap + 0.02, stroke(f.x + 0.08, f.y + f.face_h * 0.84, 1.2, 0.16, 0.022))
    canvas.paint(sheen, f.hair * 0.72 + 0.28, opacity=0.7, soft=2.0)


def glasses(canvas: Canvas, f: Figure, people: People) -> None:
    """Bold frames; pale ones on dark skin, dark ones on light skin."""
    i = _which(people.glasses)
    frame = torch.where(f.dark[i].reshape(-1, 1) > 0, rgb("#e9c766"), rgb("#20222e"))
    ax, y = f.x[i].abs(), f.y[i] + 0.05
    lens = box(ax - f.eye_x[i] - 0.005, y, 0.112, 0.098, 0.06)
    canvas.paint(lens, rgb("#dfeaf5"), where=i, opacity=0.20)
    bridge = stroke(ax, y + 0.02, -4.0, f.eye_x[i] - 0.09, 0.016)
    temple = torch.maximum((y + 0.02).abs() - 0.016, torch.maximum(f.eye_x[i] + 0.10 - ax, ax - f.face_w[i] - 0.015))
    canvas.paint(torch.minimum(torch.minimum(lens.abs() - 0.017, bridge), temple), frame, where=i)
