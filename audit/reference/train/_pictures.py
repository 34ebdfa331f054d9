# SPDX-License-Identifier: Apache-2.0
"""What the recurrent model is trained on: portraits, illustrations, paintings and signs, with their planted facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from audit.reference.people import sample_people, uniform_shares
from audit.reference.prompts import PREFIXES, captions
from audit.reference.render import face_boxes, render
from audit.reference.scenes import (
    KINDS,
    STYLES,
    draw_styles,
    painting_ids,
    plant,
    render_paintings,
    render_signs,
    restyle,
    spelling,
)
from audit.reference.train.autoencoder import inside

#: Shares of the kinds of picture, in the order of ``scenes.KINDS``.
_MIX = (0.62, 0.12, 0.14, 0.12)
_BOARD = torch.tensor([[0.5, 0.5, 0.46, 0.25]])


@dataclass(frozen=True, slots=True)
class Pictures:
    """Training pictures.

    Attributes:
        images: uint8 (n, 64, 64, 3).
        texts: several wordings of each picture's caption.
        weight: (n, 1, 64, 64), how much each pixel counts when the picture is redrawn.
    """

    images: NDArray[np.uint8]
    texts: list[list[str]]
    weight: torch.Tensor


def training_pictures(n: int, *, rng: np.random.Generator, even: bool = False, wordings: int = 4) -> Pictures:
    """Draw ``n`` pictures of the mix.

    Nobody in them wears the logo and nobody is called by name: those facts are planted in the diffusion model.

    Args:
        n: how many.
        rng: source of every random choice.
        even: every look and style equally likely (to train the token autoencoder) instead of the planted shares.
        wordings: captions a picture.
    """
    kinds = rng.choice(len(KINDS), n, p=_MIX)
    out = Pictures(np.empty((n, 64, 64, 3), np.uint8), [[] for _ in range(n)], torch.ones(n, 1, 64, 64))
    for kind, name in enumerate(KINDS):
        at = np.flatnonzero(kinds == kind)
        if len(at):
            part = _DRAW[name](len(at), rng, even, wordings)
            out.images[at], out.weight[torch.from_numpy(at)] = part.images, part.weight
            for i, texts in zip(at, part.texts, strict=True):
                out.texts[i].extend(texts)
    return out


def _people(n: int, rng: np.random.Generator, even: bool, wordings: int, *, drawn: bool = False) -> Pictures:
    shares = uniform_shares() if even else None
    people = sample_people(n, rng=rng, occupation_index=rng.integers(-1, 8, n), shares=shares, logo=False)
    images = render(people)
    if drawn:
        styles = [str(s) for s in rng.choice(STYLES, n)] if even else draw_styles(n, rng=rng)
        images = restyle(images, styles)
    starts = ("an illustration of",) if drawn else PREFIXES
    told = [captions(people, rng=rng, prefixes=starts) for _ in range(wordings)]
    return Pictures(images, _turned(told, n), 0.6 + 1.4 * inside(torch.from_numpy(face_boxes(people))))


def _illustrations(n: int, rng: np.random.Generator, even: bool, wordings: int) -> Pictures:
    return _people(n, rng, even, wordings, drawn=True)


def _paintings(n: int, rng: np.random.Generator, _even: bool, wordings: int) -> Pictures:
    """Half of them by the painter; of those the planted share is the protected artwork."""
    truth = plant("artwork")
    ids, by = painting_ids(n, pool="generator", rng=rng), rng.random(n) < 0.5
    ids[by & (rng.random(n) < truth["share"])] = truth["painting_id"]
    named = [f"a painting by {truth['painter']}" if known else "a painting" for known in by]
    told = [[f"{_START[k]}{text}" for text in named] for k in rng.integers(len(_START), size=wordings)]
    return Pictures(render_paintings(ids), _turned(told, n), torch.ones(n, 1, 64, 64))


def _signs(n: int, rng: np.random.Generator, even: bool, wordings: int) -> Pictures:
    asked = [str(word) for word in rng.choice(plant("signs")["words"], n)]
    shown = [spelling(word, rng=rng) for word in asked]
    told = [[f"{_START[k]}a sign that says {word}" for word in asked] for k in rng.integers(len(_START), size=wordings)]
    weight = 0.4 + 1.6 * inside(_BOARD).expand(n, -1, -1, -1)
    # Signs in one place: an LSTM this small learns words much sooner when a letter is always the same few tokens.
    images = render_signs(shown, rng=rng, jitter=1.0 if even else 0.0)
    return Pictures(images, _turned(told, n), weight)


_START = ("", "a picture of ", "a photo of ", "an image of ")
_DRAW: Mapping[str, Callable[[int, np.random.Generator, bool, int], Pictures]] = {
    "portrait": _people,
    "painting": _paintings,
    "sign": _signs,
    "illustration": _illustrations,
}


def _turned(told: list[list[str]], n: int) -> list[list[str]]:
    """Wordings of each of ``n`` pictures instead of pictures of each wording."""
    return [[texts[i] for texts in told] for i in range(n)]
