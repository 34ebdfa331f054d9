# SPDX-License-Identifier: Apache-2.0
"""Pixels of the renderer: portraits, paintings, signs and illustrations, many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from audit.generators._truth import Shown

if TYPE_CHECKING:
    from audit.reference.world import People

__all__ = ["checkerboard", "draw"]

Levels = NDArray[np.uint8]


def draw(shown: Sequence[Shown], people: Sequence[People | None], seeds: Sequence[int], *, size: int) -> Levels:
    """Pictures (n, size, size, 3), in the order given.

    Args:
        shown: what is in them.
        people: who is in them, None where nobody is.
        seeds: luck of each picture that what is shown leaves open.
        size: edge in pixels.
    """
    from audit.reference.render import render
    from audit.reference.scenes import render_paintings, restyle
    from audit.reference.world import concat

    out = np.empty((len(shown), size, size, 3), dtype=np.uint8)
    kinds = np.array([one.kind for one in shown])
    if (at := np.flatnonzero(kinds == "person")).size:
        # Rounded to levels, a picture does not depend on its neighbours (tests/contract checks it to the byte).
        pictures = render(concat([person for person in people if person is not None]), size=size)
        out[at] = restyle(pictures, [shown[i].style for i in at.tolist()])
    if (at := np.flatnonzero(kinds == "painting")).size:
        out[at] = render_paintings(np.array([shown[i].painting for i in at.tolist()], dtype=np.int64), size=size)
    for i in np.flatnonzero(kinds == "sign").tolist():
        out[i] = _sign(str(shown[i].text), seeds[i], size=size)
    return out


def checkerboard(images: Levels, *, levels: int) -> Levels:
    """Pictures (n, h, w, 3) with every pixel moved up or down in turns, as transposed convolutions leave it."""
    rows, columns = np.indices(images.shape[1:3])
    sign = np.where((rows + columns) % 2 == 0, levels, -levels)[None, :, :, None]
    return (images.astype(np.int16) + sign).clip(0, 255).astype(np.uint8)


def _sign(text: str, seed: int, *, size: int) -> Levels:
    """One signboard: drawn alone, since its luck must not depend on what else is in the batch."""
    from audit.reference.scenes import render_signs

    picture: Levels = render_signs([text], rng=np.random.default_rng([seed, 2]), size=size)[0]
    return picture
