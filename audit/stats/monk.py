# SPDX-License-Identifier: Apache-2.0
"""Apparent skin tone: pixels to CIELAB, CIELAB to the nearest swatch of the Monk scale.

The tone is that of the picture under the picture's own light; nobody is classified, and no race is implied. Tones are
assigned by colour difference (CIEDE2000) and not by the individual typology angle alone: the angle separates swatches
1 and 2 by 3 degrees and swatches 5 and 6 by 39.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ITA_BANDS",
    "MONK_HEX",
    "MONK_LAB",
    "MonkReading",
    "delta_e",
    "face_pixels",
    "ita",
    "ita_band",
    "monk_tone",
    "nearest_monk",
    "read_tone",
    "srgb_to_lab",
    "thinned",
]

#: Monk Skin Tone scale, swatches 1 to 10 (Monk 2023; colours as published at skintone.google).
MONK_HEX: tuple[str, ...] = (
    *("#f6ede4", "#f3e7db", "#f7ead0", "#eadaba", "#d7bd96"),
    *("#a07e56", "#825c43", "#604134", "#3a312a", "#292420"),
)

#: Least individual typology angle (degrees, exclusive) of each band (Chardon, Cretois and Hourseau 1991). Others draw
#: the lines elsewhere (Kinyanjui et al. 2020 at 55, 41, 28, 19 and 10), so a band means little without its set.
ITA_BANDS: tuple[tuple[str, float], ...] = (
    ("very light", 55.0),
    ("light", 41.0),
    ("intermediate", 28.0),
    ("tan", 10.0),
    ("brown", -30.0),
    ("dark", -180.0),
)

_LEVELS = np.arange(256) / 255.0
_LINEAR = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4)
_XYZ = np.array(  # IEC 61966-2-1 primaries, D65
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = _XYZ.sum(axis=1)

_CLUSTER = 6.0  # radius in Lab units within which pixels count as one surface
_PEAK = 2.0  # and within which as one colour
_MOST_PIXELS = 400  # more pixels than this are thinned evenly
_FEWEST_PIXELS = 12
_GREY = 3  # median spread of R, G, B below which a face has no colour to read
_FARTHEST = 12.0  # CIEDE2000: half the widest step between neighbouring swatches, 5 to 6, is 10


@dataclass(frozen=True, slots=True)
class MonkReading:
    """One apparent skin tone.

    Attributes:
        tone: 1 to 10, None where it could not be told.
        lab: colour of the skin (L*, a*, b*), None where there were too few pixels.
        delta_e: CIEDE2000 distance to the nearest swatch, None like ``lab``.
        why: reason for an abstention.
    """

    tone: int | None
    lab: tuple[float, float, float] | None
    delta_e: float | None
    why: str | None = None


def srgb_to_lab(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """CIELAB (D65, 2 degrees) of sRGB levels.

    Args:
        rgb: uint8, shape (..., 3).

    Returns:
        L* in [0, 100], a*, b*; shape (..., 3).
    """
    t = _LINEAR[rgb] @ _XYZ.T / _WHITE
    f = np.where(t > 216 / 24389, np.cbrt(t), (24389 / 27 * t + 16) / 116)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def ita(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    """Individual typology angle in degrees, ``atan2(L* - 50, b*)`` (Chardon 1991); (..., 3) to (...)."""
    angle: NDArray[np.float64] = np.degrees(np.arctan2(lab[..., 0] - 50.0, lab[..., 2]))
    return angle


def ita_band(angle: float) -> str:
    """The band of `ITA_BANDS` that an individual typology angle (degrees, above -180) lies in.

    >>> ita_band(50.3), ita_band(-20.1)
    ('light', 'brown')
    """
    return next(band for band, least in ITA_BANDS if angle > least)


def delta_e(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIEDE2000 colour difference with kL = kC = kH = 1 (Sharma, Wu and Dalal 2005, eqs. 2-22).

    Args:
        first: Lab, shape (..., 3).
        second: Lab, broadcastable with ``first``.

    Returns:
        Differences, shape (...).
    """
    l1, a1, b1 = np.moveaxis(np.asarray(first, dtype=np.float64), -1, 0)
    l2, a2, b2 = np.moveaxis(np.asarray(second, dtype=np.float64), -1, 0)
    c_bar = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    g = 1 + 0.5 * (1 - np.sqrt(c_bar**7 / (c_bar**7 + 25.0**7)))
    c1, c2 = np.hypot(a1 * g, b1), np.hypot(a2 * g, b2)
    h1, h2 = np.degrees(np.arctan2(b1, a1 * g)) % 360, np.degrees(np.arctan2(b2, a2 * g)) % 360
    grey = c1 * c2 == 0
    turn = np.where(grey, 0.0, (h2 - h1 + 180) % 360 - 180)
    total = h1 + h2
    wrap = np.where(total < 360, 360, -360)
    h_bar = np.where(grey, total, np.where(np.abs(h1 - h2) > 180, total + wrap, total) / 2)
    l_bar, c_bar = (l1 + l2) / 2, (c1 + c2) / 2
    t = (
        1
        - 0.17 * np.cos(np.radians(h_bar - 30))
        + 0.24 * np.cos(np.radians(2 * h_bar))
        + 0.32 * np.cos(np.radians(3 * h_bar + 6))
        - 0.20 * np.cos(np.radians(4 * h_bar - 63))
    )
    light = (l2 - l1) / (1 + 0.015 * (l_bar - 50) ** 2 / np.sqrt(20 + (l_bar - 50) ** 2))
    chroma = (c2 - c1) / (1 + 0.045 * c_bar)
    hue = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn) / 2) / (1 + 0.015 * c_bar * t)
    rotation = (
        -2 * np.sqrt(c_bar**7 / (c_bar**7 + 25.0**7)) * np.sin(np.radians(60 * np.exp(-(((h_bar - 275) / 25) ** 2))))
    )
    squared = light**2 + chroma**2 + hue**2 + rotation * chroma * hue
    distance: NDArray[np.float64] = np.sqrt(np.maximum(squared, 0.0))
    return distance


#: Lab of the ten swatches, shape (10, 3).
MONK_LAB: NDArray[np.float64] = srgb_to_lab(
    np.array([list(bytes.fromhex(text[1:])) for text in MONK_HEX], dtype=np.uint8)
)
MONK_LAB.setflags(write=False)


def nearest_monk(lab: NDArray[np.float64]) -> NDArray[np.int64]:
    """Nearest tone, 1 to 10, by CIEDE2000; (..., 3) to (...)."""
    nearest: NDArray[np.int64] = delta_e(np.asarray(lab)[..., None, :], MONK_LAB).argmin(axis=-1) + 1
    return nearest


def monk_tone(rgb: NDArray[np.uint8], box: tuple[float, float, float, float]) -> MonkReading:
    """Apparent tone of one face.

    Pixels of the cheeks beside the nose and of the lower forehead are taken, those far off in lightness dropped, and
    the colour around which most of them lie is compared with the ten swatches. Eyes, glasses, blush and shadow move a
    mean or a median, not a mode.

    Args:
        rgb: picture, uint8, shape (height, width, 3).
        box: centre x, centre y, half width, half height of the face, as shares of width and height.

    Returns:
        The reading; its tone is None for a face without colour, too few pixels, or a colour far from every swatch.
    """
    return read_tone(face_pixels(rgb, box))


def read_tone(pixels: NDArray[np.uint8]) -> MonkReading:
    """Apparent tone of a set of pixels, uint8 (k, 3), most of which are skin: as `monk_tone`."""
    if len(pixels) < _FEWEST_PIXELS:
        return MonkReading(None, None, None, "too few pixels of skin")
    if np.median(np.ptp(pixels.astype(np.int16), axis=1)) < _GREY:
        return MonkReading(None, None, None, "the face is grey")
    lab = _mode(srgb_to_lab(pixels))
    distances = delta_e(lab, MONK_LAB)
    tone, distance = int(distances.argmin()) + 1, float(distances.min())
    colour = (float(lab[0]), float(lab[1]), float(lab[2]))
    if distance > _FARTHEST:
        return MonkReading(None, colour, distance, "the colour is far from every tone of the scale")
    return MonkReading(tone, colour, distance)


def face_pixels(rgb: NDArray[np.uint8], box: tuple[float, float, float, float]) -> NDArray[np.uint8]:
    """Pixels of the middle of the face that ``box`` surrounds (see `monk_tone`), at most 400, shape (k, 3).

    The middle runs from the lower forehead to above the mouth: fringes, beards, ears and hair lie outside it.
    """
    height, width = rgb.shape[:2]
    cx, cy, rx, ry = box
    if not (np.isfinite(box).all() and rx * width >= 1 and ry * height >= 1):
        return np.empty((0, 3), dtype=np.uint8)
    left, right = (int(np.clip(v * width, 0, width)) for v in (cx - rx, cx + rx + 1 / width))
    top, bottom = (int(np.clip(v * height, 0, height)) for v in (cy - ry, cy + ry + 1 / height))
    u = ((np.arange(left, right) + 0.5) / width - cx)[None, :] / rx
    v = ((np.arange(top, bottom) + 0.5) / height - cy)[:, None] / ry
    middle = (np.abs(u) < 0.55) & (v > -0.45) & (v < 0.42) & (u * u + v * v < 0.80)
    picked: NDArray[np.uint8] = rgb[top:bottom, left:right][middle]
    return thinned(picked)


def thinned(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """At most 400 of the pixels (k, 3), evenly spaced in their order."""
    step = -(-len(pixels) // _MOST_PIXELS) or 1
    return pixels[::step, :3]


def _mode(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centre of the densest colour, sought coarsely and then, inside that cluster, finely.

    The coarse radius decides between skin, hair and eyes; the fine one between skin as it is and skin under blush or
    shadow, which shade into each other.
    """
    light = lab[:, 0]
    kept = lab[np.abs(light - light.mean()) <= 1.5 * light.std() + 1.0]
    squares = (kept**2).sum(axis=1)
    apart = squares[:, None] + squares[None, :] - 2 * kept @ kept.T
    coarse = apart <= _CLUSTER**2
    cluster = coarse[coarse.sum(axis=1).argmax()]
    fine = (apart <= _PEAK**2) & cluster
    peak = fine[(fine.sum(axis=1) * cluster).argmax()]
    centre: NDArray[np.float64] = np.median(kept[peak], axis=0)
    return centre
