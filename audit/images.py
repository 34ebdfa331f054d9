# SPDX-License-Identifier: Apache-2.0
"""Decoding and thumbnails: one way for generated images, reference images and enrolled ones, or they would differ."""

from __future__ import annotations

import functools
import io
import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

__all__ = ["FORMATS", "MAX_PIXELS", "decode", "thumbnail"]

MAX_PIXELS = 100_000_000  # a header may claim any size; nothing we audit is larger
# Pillow reads more, but some of that runs other programs (EPS) or is no format that picture sets come in.
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "MPO", "PNG", "PPM", "TIFF", "WEBP")
_LONG_EDGE = 256
# What Pillow's plug-ins raise on damaged files.
_BROKEN = (OSError, SyntaxError, EOFError, IndexError, struct.error, zlib.error, Image.DecompressionBombError)


def decode(data: bytes) -> NDArray[np.uint8]:
    """RGB pixels, uint8 (h, w, 3), EXIF orientation applied, transparency on white.

    Raises:
        ValueError: the bytes are not a whole image, or claim more than MAX_PIXELS.
    """
    try:
        with Image.open(io.BytesIO(data), formats=_formats()) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"image claims {image.width}x{image.height} pixels")
            upright = ImageOps.exif_transpose(image)
            if "A" in upright.getbands() or "transparency" in upright.info:
                rgba = upright.convert("RGBA")
                upright = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
            return np.asarray(upright.convert("RGB"))
    except _BROKEN as error:
        raise ValueError(f"image cannot be decoded: {error}") from None


@functools.cache
def _formats() -> tuple[str, ...]:
    """Those of ``FORMATS`` that this build of Pillow reads."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def thumbnail(rgb: NDArray[np.uint8]) -> bytes:
    """A WebP of at most 256 pixels on the long edge."""
    image = Image.fromarray(rgb)
    image.thumbnail((_LONG_EDGE, _LONG_EDGE))
    sink = io.BytesIO()
    image.save(sink, "WEBP", quality=88, method=2)
    return sink.getvalue()
