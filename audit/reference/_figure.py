# SPDX-License-Identifier: Apache-2.0
"""Where the parts of a portrait lie: geometry and colours of each person, as tensors."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audit.reference._shapes import Canvas, per_picture, rgb
from audit.reference.people import MONK_HEX, NUISANCE, People, hashed_uniform

_HAIR = torch.stack([rgb(h) for h in ("#211d24", "#5b3a24", "#d8b25c", "#a8452a", "#a9abb0")])
_EYES = torch.stack([rgb(h) for h in ("#4a2e1c", "#3f6b4a", "#3c6ea5", "#6e7b85")])
_MONK = torch.stack([rgb(h) for h in MONK_HEX])
HEAD_Y = -0.04
BODY_Y = 0.04
_ZOOM = 1.16


@dataclasses.dataclass(frozen=True, slots=True)
class Figure:
    """Geometry and colours of n people on a canvas. Lengths are in canvas units, shape (n, 1, 1)."""

    n: int
    x: Tensor
    y: Tensor
    body_x: Tensor
    body_y: Tensor
    face_w: Tensor
    face_h: Tensor
    jaw: Tensor
    eye_x: Tensor
    eye_r: Tensor
    brow: Tensor
    nose: Tensor
    mouth: Tensor
    skin: Tensor
    hair: Tensor
    eyes: Tensor
    age: Tensor
    dark: Tensor
    cue: dict[str, Tensor]

    @property
    def mouth_y(self) -> Tensor:
        """Height of the mouth in head coordinates."""
        return self.face_h * 0.56


def head_pose(people: People) -> dict[str, NDArray[np.float32]]:
    """Centre, scale, tilt and half axes of the faces, in canvas units (-1 to 1), each (n,)."""
    part = {key: people.nuisance[:, i] for i, key in enumerate(NUISANCE)}
    scale = _ZOOM * (1.0 + 0.06 * part["scale"])
    return {
        "x": 0.07 * part["shift_x"],
        "y": HEAD_Y + 0.04 * part["shift_y"],
        "scale": scale,
        "tilt": 0.13 * part["tilt"],
        "rx": (0.285 + 0.10 * people.identity[:, 0] + 0.012 * (people.presentation == 1)) * scale,
        "ry": (0.375 + 0.085 * people.identity[:, 1]) * scale,
    }


def figure(people: People, canvas: Canvas) -> Figure:
    """Work out the geometry of some people for a canvas that holds as many pictures."""
    pose = {key: per_picture(torch.from_numpy(np.float32(value))) for key, value in head_pose(people).items()}
    cue = {key: per_picture(torch.from_numpy(people.nuisance[:, i])) for i, key in enumerate(NUISANCE)}
    part = [per_picture(column) for column in torch.from_numpy(people.identity).unbind(1)]
    dx, dy = canvas.x - pose["x"], canvas.y - pose["y"]
    cos, sin = torch.cos(pose["tilt"]), torch.sin(pose["tilt"])
    tone = torch.from_numpy(people.tone)
    return Figure(
        n=len(people),
        x=(dx * cos + dy * sin) / pose["scale"],
        y=(dy * cos - dx * sin) / pose["scale"],
        body_x=(canvas.x - 0.6 * pose["x"]) / pose["scale"],
        body_y=(canvas.y - pose["y"]) / pose["scale"] + BODY_Y,
        face_w=pose["rx"] / pose["scale"],
        face_h=pose["ry"] / pose["scale"],
        jaw=0.55 * part[2] + 0.45 * cue["jaw_cue"],
        eye_x=0.110 + 0.065 * part[3],
        eye_r=0.048 + 0.030 * part[4],
        brow=part[5],
        nose=part[6],
        mouth=0.085 + 0.065 * part[7],
        skin=_MONK[tone - 1],
        hair=_hair(people),
        eyes=_EYES[torch.from_numpy((hashed_uniform(people.identity_id, 40) * 4).astype(np.int64))],
        age=torch.from_numpy(people.age),
        dark=(tone >= 8).float(),
        cue=cue,
    )


def _hair(people: People) -> Tensor:
    """Hair colour (n, 3): greyed by age, and lifted from black where the skin is as dark as the hair."""
    base = _HAIR[torch.from_numpy(people.hair_colour)]
    age = torch.from_numpy(people.age)
    grey = torch.tensor([0.0, 0.22, 0.85])[age].reshape(-1, 1)
    return torch.lerp(base, rgb("#c9cacf").expand_as(base), grey)
