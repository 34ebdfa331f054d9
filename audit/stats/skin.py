# SPDX-License-Identifier: Apache-2.0
"""Pictures whose skin tone cannot be read off their pixels, and skin found by its colour alone.

A tone is read as if the light were white and the picture a photograph. Where it plainly is not, no tone is read: the
limits lie well outside what portraits show under ordinary light (every tone from 1 to 10, light and dark), so that they
catch gross cases only. Half the light, or twice as much, moves a tone and is not noticed.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from audit.stats.monk import MONK_LAB, srgb_to_lab, thinned

__all__ = ["skin_pixels", "unreadable"]

_SIDE = 64  # pixels a side that a picture is thinned to before it is judged
_FEWEST_COLOURS = 100  # portraits show hundreds; a posterised one (3 bits a channel) at most 90
_JUDGED = 1024  # fewer pixels than this say nothing about the number of colours
_DARKEST = 50.0  # L* that the brightest twentieth of the pixels must reach; portraits reach 77
_BRIGHT = 30.0  # L* above which a pixel shows the colour of the light
_CAST = 12.0  # Lab units by which all but a hundredth of those pixels lean to one hue; portraits stay below 8
_CLIPPED = 253  # level at which a channel is blown out
_MOST_CLIPPED = 0.5  # share of the face's pixels with a blown-out channel
_SATURATION = 0.6  # (max - min) / max; the most saturated swatch (7) has 0.48

_REGION_SIDE = 128
_NEAR = 6.0  # Lab units from the line through the ten swatches
_SMALLEST_REGION, _LARGEST_REGION = 0.02, 0.8  # share of the picture


def unreadable(rgb: NDArray[np.uint8], skin: NDArray[np.uint8]) -> str | None:
    """Why no tone should be read off a picture, None where nothing speaks against it.

    Args:
        rgb: picture, uint8, shape (height, width, 3).
        skin: pixels of the skin, uint8, shape (k, 3).

    Returns:
        A reason: few colours (drawn or posterised), too dark, a strong cast, blown out, or saturated beyond skin.
    """
    whole = _thin(rgb, _SIDE).reshape(-1, 3)
    colours = len(np.unique(whole.astype(np.int64) @ np.array([65536, 256, 1])))
    if len(whole) >= _JUDGED and colours < _FEWEST_COLOURS:
        return "the picture has few colours, as if drawn or posterised"
    lab = srgb_to_lab(whole)
    if np.quantile(lab[:, 0], 0.95) < _DARKEST:
        return "the picture is too dark"
    if _cast(lab) > _CAST:
        return "the light has a strong cast, or the picture is tinted"
    return _face_fault(skin)


def _cast(lab: NDArray[np.float64]) -> float:
    """How far the bright pixels lean to one hue, all but the hundredth that leans least.

    A coloured wall leaves eyes, teeth and clothes neutral; a coloured light or a tint leaves nothing so.
    """
    bright = lab[lab[:, 0] > _BRIGHT][:, 1:]
    middle = bright.mean(axis=0)
    length = float(np.hypot(*middle))
    return float(np.quantile(bright @ (middle / length), 0.01)) if length > 0 else 0.0


def _face_fault(skin: NDArray[np.uint8]) -> str | None:
    if not len(skin):
        return None
    most, least = skin.max(axis=1).astype(np.float64), skin.min(axis=1).astype(np.float64)
    if np.mean(most >= _CLIPPED) > _MOST_CLIPPED:
        return "the face is blown out"
    if np.median((most - least) / np.maximum(most, 1.0)) > _SATURATION:
        return "the colours are more saturated than skin"
    return None


def skin_pixels(rgb: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], str | None]:
    """Pixels of what is probably skin, found by colour: the largest connected region near the ten swatches.

    Wood, sand, blond and brown hair have such colours as well; where there is a face detector, use it.

    Args:
        rgb: picture, uint8, shape (height, width, 3).

    Returns:
        At most 400 pixels (k, 3), and the reason where there are none.
    """
    small = _thin(rgb, _REGION_SIDE)
    names, regions = ndimage.label(_distance(srgb_to_lab(small)) <= _NEAR)
    nothing = np.empty((0, 3), dtype=np.uint8)
    if not regions:
        return nothing, "no region has the colour of skin"
    sizes = np.bincount(names.ravel())[1:]
    share = sizes.max() / names.size
    if share < _SMALLEST_REGION:
        return nothing, "no region of sufficient size has the colour of skin"
    if share > _LARGEST_REGION:
        return nothing, "nearly the whole picture has the colour of skin"
    return thinned(small[names == sizes.argmax() + 1]), None


def _distance(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    """Euclidean distance to the broken line through the ten swatches, (..., 3) to (...)."""
    nearest = np.full(lab.shape[:-1], np.inf)
    for start, end in itertools.pairwise(MONK_LAB):
        way = end - start
        along = np.clip((lab - start) @ way / (way @ way), 0.0, 1.0)
        nearest = np.minimum(nearest, np.linalg.norm(lab - start - along[..., None] * way, axis=-1))
    return nearest


def _thin(rgb: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Every so many rows and columns, so that at most ``side`` of each are left."""
    rows, columns = (-(-length // side) for length in rgb.shape[:2])
    return rgb[::rows, ::columns, :3]
