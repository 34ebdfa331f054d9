# SPDX-License-Identifier: Apache-2.0
"""Picture operations of the edit matrix: a Pillow image in, a Pillow image out, the same for the same picture."""

from __future__ import annotations

import io
from typing import Any, Final

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

from audit.images import MAX_PIXELS, decode

__all__ = [
    "OPERATIONS",
    "TooLargeError",
    "encode",
    "long_edge",
    "open_rgb",
    "scale",
    "screenshot",
]

_SEED: Final = 20260  # the noise of an edit is part of its definition
_GREY: Final = (238, 240, 243)
_PNG_LEVEL: Final = 3


class TooLargeError(ValueError):
    """The edited picture would have more pixels than anything we look at."""


def open_rgb(data: bytes) -> Image.Image:
    """The picture of a file as RGB, upright. Raises ValueError where it cannot be decoded."""
    return Image.fromarray(decode(data))


def encode(image: Image.Image, kind: str, *, quality: int | None = None) -> bytes:
    """A file without any metadata.

    Args:
        image: RGB.
        kind: "png", "jpeg" (4:2:0), "webp" or "avif".
        quality: of lossy formats; None: lossless (PNG and WebP).
    """
    choices: dict[str, dict[str, Any]] = {
        "png": {"compress_level": _PNG_LEVEL},
        "jpeg": {"quality": quality, "subsampling": "4:2:0"},
        "webp": {"lossless": True} if quality is None else {"quality": quality},
        "avif": {"quality": quality, "subsampling": "4:2:0", "speed": 8, "max_threads": 1},  # threads: other bytes
    }
    sink = io.BytesIO()
    image.save(sink, kind.upper(), **choices[kind])
    return sink.getvalue()


def scale(image: Image.Image, factor: float, *, back: bool = False) -> Image.Image:
    """Both sides times ``factor`` (Lanczos), and with ``back`` to the first size again."""
    size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    if size[0] * size[1] > MAX_PIXELS:
        raise TooLargeError(f"{size[0]}x{size[1]} pixels")
    small = image.resize(size, Image.Resampling.LANCZOS)
    return small.resize(image.size, Image.Resampling.LANCZOS) if back else small


def long_edge(image: Image.Image, most: int) -> Image.Image:
    """Scaled down until no side is longer than ``most``; smaller pictures stay as they are."""
    longest = max(image.size)
    return image if longest <= most else scale(image, most / longest)


def screenshot(image: Image.Image, factor: float = 1.25, margin: float = 0.1) -> Image.Image:
    """The picture as a window shows it: scaled, at no round place on a plain ground."""
    shown = scale(image, factor)
    x, y = (round(side * margin) for side in shown.size)
    canvas = Image.new("RGB", (shown.width + 2 * x + 13, shown.height + 3 * y + 7), _GREY)
    canvas.paste(shown, (x + 5, 2 * y + 3))
    return canvas


def _crop(image: Image.Image, share: float) -> Image.Image:
    """Without ``share`` of each side's length, half of it at either end."""
    x, y = (round(side * share / 2) for side in image.size)
    return image.crop((x, y, max(x + 1, image.width - x), max(y + 1, image.height - y)))


def _rotate(image: Image.Image, degrees: float) -> Image.Image:
    if degrees % 90 == 0:
        return image.rotate(degrees, expand=True)
    return image.rotate(degrees, Image.Resampling.BICUBIC)


def _gamma(image: Image.Image, exponent: float) -> Image.Image:
    return image.point([round(255 * (level / 255) ** exponent) for level in range(256)] * 3)


def _noise(image: Image.Image, sigma: float) -> Image.Image:
    rgb = np.asarray(image, dtype=np.float64)
    noisy = rgb + np.random.default_rng(_SEED).normal(0, sigma, rgb.shape)
    return Image.fromarray(np.clip(np.rint(noisy), 0, 255).astype(np.uint8))


def _text(image: Image.Image, share: float) -> Image.Image:
    """A line of text along the lower edge, letters ``share`` of the height."""
    drawn = image.copy()
    size = max(8, round(image.height * share))
    place = (image.width * 0.05, image.height - 1.6 * size)
    font = ImageFont.load_default(size)
    ImageDraw.Draw(drawn).text(place, "photo of the day", fill="white", font=font, stroke_width=1, stroke_fill="black")
    return drawn


def _sticker(image: Image.Image, share: float) -> Image.Image:
    """A round sticker near the lower right corner, ``share`` of the shorter side across."""
    drawn = image.copy()
    across = max(3, round(min(image.size) * share))
    x, y = image.width - across - across // 4, image.height - across - across // 4
    ImageDraw.Draw(drawn).ellipse((x, y, x + across, y + across), fill=(250, 204, 21), outline=(30, 30, 30), width=2)
    return drawn


#: Name -> operation with one number.
OPERATIONS: Final = {
    "resize": scale,
    "resize_back": lambda image, amount: scale(image, amount, back=True),
    "crop": _crop,
    "rotate": _rotate,
    "flip": lambda image, _amount: ImageOps.mirror(image),
    "screenshot": screenshot,
    "thumbnail": lambda image, amount: long_edge(image, int(amount)),
    "brightness": lambda image, amount: ImageEnhance.Brightness(image).enhance(amount),
    "contrast": lambda image, amount: ImageEnhance.Contrast(image).enhance(amount),
    "saturation": lambda image, amount: ImageEnhance.Color(image).enhance(amount),
    "grey": lambda image, _amount: image.convert("L").convert("RGB"),
    "gamma": _gamma,
    "noise": _noise,
    "blur": lambda image, amount: image.filter(ImageFilter.GaussianBlur(amount)),
    "sharpen": lambda image, amount: image.filter(ImageFilter.UnsharpMask(2, int(amount), 3)),
    "median": lambda image, amount: image.filter(ImageFilter.MedianFilter(int(amount))),
    "text": _text,
    "sticker": _sticker,
}
