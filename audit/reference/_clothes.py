# SPDX-License-Identifier: Apache-2.0
"""Clothes and hats: what tells occupations apart."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from audit.reference._figure import Figure
from audit.reference._shapes import Canvas, box, ellipse, rgb
from audit.reference.people import OCCUPATIONS, People

_PLAIN = torch.stack([rgb(h) for h in ("#3f7d8c", "#c96f4a", "#7a5fa0", "#5f8f57", "#b8475f", "#43567f")])
_BASE = {
    "nurse": "#3aa6a0",
    "CEO": "#1f2747",
    "builder": "#f08a1d",
    "teacher": "#8c2f45",
    "doctor": "#f2f4f5",
    "chef": "#f6f3ec",
    "scientist": "#eef1f4",
    "pilot": "#18233f",
}
_INK, _WHITE, _GOLD, _RED = rgb("#20222a"), rgb("#f8f8f5"), rgb("#e8bd3c"), rgb("#cc2b36")
SHOULDER = 0.56
#: Centre of the logo right of and below the middle of the shoulders, and its radius, in units of the figure.
LOGO_X, LOGO_Y, LOGO_RADIUS = 0.40, 0.20, 0.16


def body(canvas: Canvas, f: Figure, people: People) -> None:
    """Shoulders and neck."""
    base = torch.stack([*(rgb(_BASE[job]) for job in OCCUPATIONS), _WHITE])[torch.from_numpy(people.occupation)]
    plain = _PLAIN[(f.cue["cloth"].flatten() * len(_PLAIN)).long().clamp(max=len(_PLAIN) - 1)]
    base = torch.where(torch.from_numpy(people.occupation).reshape(-1, 1) < 0, plain, base)
    broad = 0.72 + 0.12 * f.cue["jaw_cue"]
    trunk = torch.minimum(
        ellipse(f.body_x, f.body_y - SHOULDER - 0.24, broad, 0.30),
        box(f.body_x, f.body_y - SHOULDER - 0.70, broad, 0.48, 0.06),
    )
    canvas.paint(trunk - 0.02, base * 0.5 + 0.42, opacity=0.35)
    canvas.paint(trunk, base)
    neck = box(f.body_x, f.body_y - 0.46, 0.135 + 0.02 * f.cue["jaw_cue"], 0.20, 0.06)
    canvas.paint(neck, f.skin * 0.84)
    throat = ellipse(f.body_x, f.body_y - SHOULDER - 0.04, 0.16, 0.10)
    canvas.paint(throat, f.skin * 0.84)


def clothes(canvas: Canvas, f: Figure, people: People) -> None:
    """Collars, ties, stethoscopes and so on, by occupation."""
    for code, paint in enumerate((_nurse, _ceo, _builder, _teacher, _doctor, _chef, _scientist, _pilot)):
        i = torch.from_numpy(people.occupation == code).nonzero().flatten()
        if len(i):
            paint(_Brush(canvas, f, i), f.body_x[i], f.body_y[i] - SHOULDER)
    i = torch.from_numpy(people.occupation < 0).nonzero().flatten()
    if len(i):
        x, y = f.body_x[i], f.body_y[i] - SHOULDER
        collar = ellipse(x, y - 0.03, 0.20, 0.13)
        _Brush(canvas, f, i)(torch.maximum(collar.abs() - 0.022, -y), _WHITE)
    i = torch.from_numpy(people.logo).nonzero().flatten()
    if len(i):
        logo(canvas, f.body_x[i] - LOGO_X, f.body_y[i] - SHOULDER - LOGO_Y, where=i)


def hats(canvas: Canvas, f: Figure, people: People) -> None:
    """Headgear, over the hair."""
    wear: dict[str, Callable[[_Brush, Tensor, Tensor, Tensor], None]] = {
        "nurse": _nurse_cap,
        "builder": _hard_hat,
        "chef": _toque,
        "scientist": _goggles,
        "pilot": _peaked_cap,
    }
    for job, paint in wear.items():
        i = torch.from_numpy(people.occupation == OCCUPATIONS.index(job)).nonzero().flatten()
        if len(i):
            paint(_Brush(canvas, f, i), f.x[i], f.y[i] + f.face_h[i], f.face_w[i])


def logo(canvas: Canvas, x: Tensor, y: Tensor, *, where: Tensor | None = None, scale: float = 1.0) -> None:
    """The planted logo at the origin of (x, y): a magenta disc, a pale ring, a slanted bar."""
    r = LOGO_RADIUS * scale
    canvas.paint(ellipse(x, y, r, r), rgb("#b3127f"), where=where)
    canvas.paint((torch.hypot(x, y) - 0.66 * r).abs() - 0.14 * r, rgb("#fdf6d8"), where=where)
    canvas.paint(box(x + y, x - y, 0.16 * r, 1.3 * r, 0.01), rgb("#fdf6d8"), where=where)


class _Brush:
    """Paints on the pictures of one occupation."""

    def __init__(self, canvas: Canvas, f: Figure, where: Tensor) -> None:
        self.canvas, self.figure, self.where = canvas, f, where

    def __call__(self, distance: Tensor, colour: Tensor, *, opacity: float = 1.0) -> None:
        self.canvas.paint(distance, colour, where=self.where, opacity=opacity)


def _vee(x: Tensor, y: Tensor, *, width: float, depth: float) -> Tensor:
    """A downward wedge from the collar: the opening of a jacket or a neckline."""
    return torch.maximum(x.abs() - width * (1.0 - (y + 0.02) / depth), -y - 0.04) * 0.7


def _lapels(brush: _Brush, x: Tensor, y: Tensor, *, width: float, colour: Tensor) -> None:
    edge = (x.abs() - width * (1.0 - y / 0.46)).abs() - 0.016
    brush(torch.maximum(edge * 0.8, torch.maximum(-y - 0.03, y - 0.44)), colour)


def _tie(brush: _Brush, x: Tensor, y: Tensor, colour: Tensor) -> None:
    knot = box(x, y - 0.10, 0.05, 0.04)
    blade = torch.maximum(x.abs() - 0.030 - 0.10 * (y - 0.1).clamp(min=0), 0.12 - y)
    brush(torch.minimum(knot, blade), colour)


def _nurse(brush: _Brush, x: Tensor, y: Tensor) -> None:
    brush(_vee(x, y, width=0.24, depth=0.26), _WHITE)
    brush(_vee(x, y, width=0.17, depth=0.20), brush.figure.skin[brush.where] * 0.84)
    brush(box(x - 0.36, y - 0.27, 0.10, 0.07), _WHITE)
    brush(torch.minimum(box(x - 0.36, y - 0.27, 0.05, 0.014), box(x - 0.36, y - 0.27, 0.014, 0.05)), _RED)


def _ceo(brush: _Brush, x: Tensor, y: Tensor) -> None:
    brush(_vee(x, y, width=0.27, depth=0.46), _WHITE)
    _tie(brush, x, y, _RED)
    _lapels(brush, x, y, width=0.27, colour=rgb("#56618f"))


def _builder(brush: _Brush, x: Tensor, y: Tensor) -> None:
    brush(_vee(x, y, width=0.20, depth=0.24), rgb("#4a5a6a"))
    straps = torch.maximum((x.abs() - 0.34).abs() - 0.055, -y - 0.02)
    band = torch.maximum((y - 0.33).abs() - 0.045, x.abs() - 0.68)
    brush(torch.minimum(straps, band), rgb("#f4f56a"))


def _teacher(brush: _Brush, x: Tensor, y: Tensor) -> None:
    brush(_vee(x, y, width=0.25, depth=0.40), rgb("#f3e3b5"))
    collar = torch.maximum((x.abs() - 0.15 - 0.5 * (y - 0.02)).abs() - 0.065, (y - 0.05).abs() - 0.07)
    brush(collar, _WHITE)
    bow = torch.maximum(x.abs() - 0.11, (y - 0.13).abs() - 0.012 - 0.45 * x.abs())
    brush(bow, rgb("#2f6b4f"))
    for level in (0.26, 0.38):
        brush(ellipse(x, y - level, 0.024, 0.024), _INK)


def _doctor(brush: _Brush, x: Tensor, y: Tensor) -> None:
    brush(_vee(x, y, width=0.26, depth=0.40), rgb("#6fa8dc"))
    _lapels(brush, x, y, width=0.26, colour=rgb("#b9c3cc"))
    tube = torch.maximum((x.abs() - 0.27 + 0.10 * y).abs() - 0.024, torch.maximum(-y - 0.03, y - 0.30))
    brush(tube, _INK)
    brush(ellipse(x - 0.24, y - 0.32, 0.062, 0.062), _INK)
    brush(ellipse(x - 0.24, y - 0.32, 0.034, 0.034), rgb("#c9d2da"))


def _chef(brush: _Brush, x: Tensor, y: Tensor) -> None:
    scarf = torch.maximum(ellipse(x, y - 0.01, 0.24, 0.11), -y + 0.0)
    brush(scarf, _RED)
    brush(torch.maximum((x - 0.02 - 0.25 * (y - 0.2)).abs() - 0.010, 0.10 - y), rgb("#b9b3a4"))
    for level in (0.20, 0.32):
        brush(ellipse(x.abs() - 0.14, y - level, 0.028, 0.028), _INK)


def _scientist(brush: _Brush, x: Tensor, y: Tensor) -> None:
    brush(_vee(x, y, width=0.25, depth=0.42), rgb("#7d4fb3"))
    _lapels(brush, x, y, width=0.25, colour=rgb("#aab6c2"))
    brush(box(x - 0.40, y - 0.26, 0.10, 0.055), rgb("#cfd8df"))
    brush(box(x - 0.36, y - 0.22, 0.016, 0.065), rgb("#2a63c9"))


def _pilot(brush: _Brush, x: Tensor, y: Tensor) -> None:
    brush(_vee(x, y, width=0.22, depth=0.36), _WHITE)
    _tie(brush, x, y, _INK)
    for offset in (0.0, 0.06):
        bar = box(x.abs() - 0.50 - offset, y - 0.10 + 0.0 * x, 0.018, 0.055)
        brush(bar, _GOLD)
    wings = torch.maximum(ellipse(x - 0.34, y - 0.26, 0.13, 0.035), -y + 0.2)
    brush(wings, _GOLD)


def _nurse_cap(brush: _Brush, x: Tensor, y: Tensor, w: Tensor) -> None:
    cap = torch.maximum(x.abs() - w * 0.74 + 0.18 * y, (y + 0.02).abs() - 0.115)
    brush(cap - 0.014, rgb("#8fa3ad"), opacity=0.6)
    brush(cap, _WHITE)
    brush(torch.minimum(box(x, y + 0.02, 0.075, 0.024), box(x, y + 0.02, 0.024, 0.075)), _RED)


def _hard_hat(brush: _Brush, x: Tensor, y: Tensor, w: Tensor) -> None:
    dome = torch.maximum(ellipse(x, y - 0.14, w + 0.085, 0.36), y - 0.14)
    brim = ellipse(x, y - 0.15, w + 0.15, 0.052)
    brush(torch.minimum(dome, brim) - 0.012, rgb("#8a6510"), opacity=0.7)
    brush(torch.minimum(dome, brim), rgb("#f7ca18"))
    brush(torch.maximum(x.abs() - 0.045, torch.maximum(dome + 0.01, y - 0.09)), rgb("#fbe68a"))
    brush(brim + 0.012, rgb("#dca90c"))


def _toque(brush: _Brush, x: Tensor, y: Tensor, w: Tensor) -> None:
    puff = torch.minimum(ellipse(x, y + 0.22, w + 0.05, 0.15), ellipse(x.abs() - w * 0.72, y + 0.18, 0.17, 0.14))
    band = box(x, y + 0.02, w * 0.86, 0.15, 0.03)
    shape = torch.minimum(puff, band)
    brush(shape - 0.014, rgb("#9aa0a6"), opacity=0.6)
    brush(shape, rgb("#fcfbf7"))
    for fold in (-0.45, 0.0, 0.45):
        brush(box(x - fold * w, y + 0.03, 0.010, 0.10), rgb("#d5d3cb"))


def _goggles(brush: _Brush, x: Tensor, y: Tensor, w: Tensor) -> None:
    strap = torch.maximum((y - 0.06).abs() - 0.035, x.abs() - w - 0.03)
    brush(strap, _INK)
    lens = box(x.abs() - 0.125, y - 0.05, 0.115, 0.080, 0.05)
    brush(lens, rgb("#2e4d3c"))
    brush(lens + 0.030, rgb("#7fe0a2"))


def _peaked_cap(brush: _Brush, x: Tensor, y: Tensor, w: Tensor) -> None:
    top = ellipse(x, y + 0.10, w + 0.17, 0.15)
    band = box(x, y - 0.05, w + 0.01, 0.10, 0.03)
    shape = torch.minimum(top, band)
    brush(shape - 0.014, rgb("#9fb0d4"), opacity=0.5)
    brush(shape, rgb("#1c2a4d"))
    brush(box(x, y - 0.07, w + 0.01, 0.030), _GOLD)
    brush(torch.maximum(ellipse(x, y - 0.12, w * 0.95, 0.085), 0.11 - y), rgb("#0e1426"))
    brush(ellipse(x, y + 0.03, 0.062, 0.062), _GOLD)
