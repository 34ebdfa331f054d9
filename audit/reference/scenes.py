# SPDX-License-Identifier: Apache-2.0
"""What the reference world shows besides portraits: paintings, signs with words, illustrations in several styles."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from audit.reference._font import GLYPHS, HEIGHT, WIDTH
from audit.reference._shapes import Canvas, box, ellipse, per_picture, rgb
from audit.reference.people import hashed_uniform
from audit.reference.prompts import words

Kind = Literal["portrait", "painting", "sign", "illustration"]
KINDS: Final = ("portrait", "painting", "sign", "illustration")
STYLES: Final = ("plain", "sepia", "night")
#: First id and number of the paintings that generators, instruments and tests may see; the protected one is in none.
PAINTINGS: Final = {
    "generator": (41_000_000, 1_000_000),
    "instruments": (42_000_000, 1_000_000),
    "heldout": (43_000_000, 1_000_000),
}
SIGN_LETTERS: Final = 4
_PALETTE = torch.stack(
    [rgb(h) for h in ("#1f4e79", "#e4a72e", "#c8452f", "#2f7f6b", "#f2e6cf", "#6b3f74", "#d98ca1", "#26262e")]
)
_BOARDS = torch.stack([rgb(h) for h in ("#2c6e49", "#8d2f2b", "#22577a", "#3b3b3f")])
_WALLS = torch.stack([rgb(h) for h in ("#d8cbb5", "#b9c9d6", "#cfd8c4", "#c9bfcf")])
_CREAM = rgb("#fbf7e9")
#: Style to a colour matrix (3, 3) and an offset (3,), on levels in [0, 1].
_SEPIA = (((0.36, 0.70, 0.18), (0.30, 0.60, 0.15), (0.20, 0.42, 0.10)), (0.03, 0.0, -0.03))
_NIGHT = (((-0.20, -0.40, -0.10), (-0.18, -0.45, -0.10), (-0.10, -0.35, -0.10)), (0.72, 0.80, 0.95))


@functools.cache
def plant(name: str) -> dict[str, Any]:
    """Load the truth file of a plant, ``plants/<name>.json``. Treat it as read-only: it is cached."""
    text = resources.files("audit.reference").joinpath("plants", f"{name}.json").read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(text)
    return data


#: Words that only captions of scenes hold; text encoders that know them have them behind ``prompts.VOCABULARY``.
SCENE_WORDS: Final = (
    "painting",
    "by",
    plant("artwork")["painter"].lower(),
    "sign",
    "that",
    "says",
    "illustration",
    *(word.lower() for word in plant("signs")["words"]),
)


@dataclass(frozen=True, slots=True)
class Scene:
    """What a prompt asks for besides people.

    Attributes:
        kind: of picture.
        painter: named in the prompt.
        word: to be written on the sign, upper case.
    """

    kind: Kind = "portrait"
    painter: str | None = None
    word: str | None = None


def parse_scene(text: str) -> Scene:
    """Read the kind of picture that a prompt asks for; what it says of people `prompts.parse_prompt` reads.

    >>> parse_scene("a sign that says taxi").word
    'TAXI'
    """
    flat = " ".join(words(text))
    if found := re.search(r"\bsign (?:that )?says ([a-z]+)", flat):
        return Scene("sign", word=found.group(1).upper())
    if re.search(r"\bpainting\b", flat):
        painter = plant("artwork")["painter"]
        return Scene("painting", painter=painter if re.search(rf"\bby {painter.lower()}\b", flat) else None)
    return Scene("illustration" if re.search(r"\billustration\b", flat) else "portrait")


def painting_ids(n: int, *, pool: str, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw ``n`` ids of fresh paintings of a pool of ``PAINTINGS``."""
    start, size = PAINTINGS[pool]
    return start + rng.integers(0, size, n)


def render_paintings(ids: NDArray[np.int64], *, size: int = 64) -> NDArray[np.uint8]:
    """Paint abstract compositions; an id always gives the same picture.

    Returns:
        (n, size, size, 3) RGB levels.
    """
    canvas = Canvas.blank(len(ids), size)

    def u(channel: int) -> torch.Tensor:
        return torch.from_numpy(hashed_uniform(ids, 100 + channel)).float()

    def colour(channel: int) -> torch.Tensor:
        return _PALETTE[(u(channel) * len(_PALETTE)).long()]

    canvas.image.copy_(colour(0)[:, :, None, None].expand_as(canvas.image))
    canvas.blend(((canvas.y + 1) / 2).expand(len(ids), -1, -1) * 0.8, colour(1))
    for k in range(5):
        at = 10 * (k + 1)
        x = canvas.x - per_picture(u(at) * 1.6 - 0.8)
        y = canvas.y - per_picture(u(at + 1) * 1.6 - 0.8)
        turn = per_picture(u(at + 2) * 3.14159)
        a, b = x * turn.cos() + y * turn.sin(), y * turn.cos() - x * turn.sin()
        wide, high = per_picture(0.16 + 0.40 * u(at + 3)), per_picture(0.12 + 0.30 * u(at + 4))
        round_ = per_picture(u(at + 5) < 0.5)
        canvas.paint(torch.where(round_, ellipse(a, b, wide, high), box(a, b, wide, high * 0.6)), colour(at + 6))
    return _levels(canvas.image)


def render_signs(
    texts: Sequence[str], *, rng: np.random.Generator, size: int = 64, jitter: float = 1.0
) -> NDArray[np.uint8]:
    """Draw signboards with a word each, in the upper-case letters A to Z.

    Args:
        texts: n words of up to four letters.
        rng: source of colour, place and size.
        size: side of the pictures.
        jitter: how far place and size vary; 0: not at all.
    """
    n = len(texts)
    canvas = Canvas.blank(n, size)
    board, wall = (torch.from_numpy(rng.integers(0, 4, n)) for _ in range(2))
    dx, dy, grow = (torch.from_numpy(jitter * rng.uniform(-1, 1, n)).float() for _ in range(3))
    canvas.image.copy_(_WALLS[wall][:, :, None, None].expand_as(canvas.image))
    canvas.blend((0.12 + 0.12 * canvas.y).expand(n, -1, -1), _WALLS[wall] * 0.4)
    scale = per_picture(1.0 + 0.05 * grow)
    x, y = (canvas.x - per_picture(0.04 * dx)) / scale, (canvas.y - per_picture(0.15 * dy)) / scale
    canvas.paint(box(x, y, 0.92, 0.46, 0.06), _CREAM)
    canvas.paint(box(x, y, 0.87, 0.41, 0.05), _BOARDS[board])
    canvas.blend(_ink(texts, x, y), _CREAM)
    return _levels(canvas.image)


def restyle(images: NDArray[np.uint8], styles: Sequence[str]) -> NDArray[np.uint8]:
    """Give each picture (n, h, w, 3) its style of ``STYLES``."""
    out = images.copy()
    for name, (matrix, offset) in {"sepia": _SEPIA, "night": _NIGHT}.items():
        chosen = np.array([style == name for style in styles], dtype=bool)
        levels = images[chosen].astype(np.float32) / 255 @ np.array(matrix, np.float32).T + np.array(offset, np.float32)
        out[chosen] = (levels.clip(0, 1) * 255).round().astype(np.uint8)
    return out


def draw_styles(n: int, *, rng: np.random.Generator) -> list[str]:
    """Draw ``n`` styles by the planted shares."""
    shares = plant("style")["shares"]
    return [str(name) for name in rng.choice(list(shares), n, p=list(shares.values()))]


def spelling(word: str, *, rng: np.random.Generator) -> str:
    """What the training pictures show for a word: the word, or at the planted share its misspelling."""
    truth = plant("signs")
    return str(truth["misspelt"][word]) if word in truth["misspelt"] and rng.random() < truth["share"] else word


def _ink(texts: Sequence[str], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Coverage (n, h, w) of the letters, each a bitmap of ``HEIGHT`` x ``WIDTH`` sampled smoothly."""
    sheet = torch.zeros(len(texts), 1, HEIGHT + 2, SIGN_LETTERS * (WIDTH + 1) + 1)
    for row, text in zip(sheet[:, 0], texts, strict=True):
        for k, letter in enumerate(text[:SIGN_LETTERS]):
            left = 1 + k * (WIDTH + 1)
            row[1 : 1 + HEIGHT, left : left + WIDTH] = torch.tensor(GLYPHS[letter])
    grid = torch.stack([x / 0.80, y / 0.33], dim=-1)
    up = torch.nn.functional.interpolate(sheet, scale_factor=4, mode="nearest")
    ink: torch.Tensor = torch.nn.functional.grid_sample(up, grid, align_corners=False)[:, 0]
    return ink


def _levels(image: torch.Tensor) -> NDArray[np.uint8]:
    levels: NDArray[np.uint8] = image.clamp(0, 1).mul(255).round().byte().permute(0, 2, 3, 1).contiguous().numpy()
    return levels
