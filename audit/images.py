# SPDX-License-Identifier: Apache-2.0
"""Decoding, thumbnails, hashes: one way for generated images, reference images and enrolled ones, or they differ."""

from __future__ import annotations

import functools
import hashlib
import io
import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from audit.types import Generation

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "decode",
    "encode_png",
    "file_of",
    "is_constant",
    "perceptual_hash",
    "pixel_digest",
    "pixels_of",
    "thumbnail",
]

MAX_PIXELS = 100_000_000  # a header may claim any size; nothing we audit is larger
# Pillow reads more, but some of that runs other programs (EPS) or is no format that picture sets come in.
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "MPO", "PNG", "PPM", "TIFF", "WEBP")
_LONG_EDGE = 256
_HASH_SIDE, _HASH_KEPT = 32, 8
_FLAT = 2  # levels
# Level 3 writes photographs about five times faster than 9 and makes them about 2 % larger.
_PNG_LEVEL = 3
# What Pillow's plug-ins raise on damaged files.
_BROKEN = (OSError, SyntaxError, EOFError, IndexError, struct.error, zlib.error, Image.DecompressionBombError)


def pixel_digest(rgb: NDArray[np.uint8]) -> str:
    """sha256 (hex) of what a picture shows: files that carry credentials always differ."""
    whole = hashlib.sha256(f"{rgb.shape}".encode())
    whole.update(np.ascontiguousarray(rgb).data)
    return whole.hexdigest()


def perceptual_hash(rgb: NDArray[np.uint8]) -> str:
    """A hash of 64 bits that hardly changes when a picture is compressed, resized or brightened.

    Signs of the 8 by 8 lowest frequencies of the picture at 32 by 32 pixels, against their median (Zauner 2010). Bit by
    bit that of ``imagehash.phash``, row by row, most significant bit first. A crop changes it like another picture.

    Args:
        rgb: (h, w, 3) levels.

    Returns:
        16 hexadecimal digits.
    """
    from scipy.fft import dctn

    small = Image.fromarray(rgb).convert("L").resize((_HASH_SIDE, _HASH_SIDE), Image.Resampling.LANCZOS)
    low = dctn(np.asarray(small, dtype=np.float64))[:_HASH_KEPT, :_HASH_KEPT]
    return np.packbits(low > np.median(low)).tobytes().hex()


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


def encode_png(rgb: NDArray[np.uint8]) -> bytes:
    """The pixels as a PNG file; same pixels, same bytes.

    Args:
        rgb: uint8 (height, width, 3).
    """
    sink = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(rgb)).save(sink, "PNG", compress_level=_PNG_LEVEL)
    return sink.getvalue()


def file_of(generation: Generation) -> tuple[bytes, str]:
    """The picture of a generation as a file, with its media type. Raises ValueError where there is no picture."""
    if generation.image is not None:
        return generation.image, generation.media_type or "image/png"
    return encode_png(pixels_of(generation)), "image/png"


def pixels_of(generation: Generation) -> NDArray[np.uint8]:
    """The picture of a generation as uint8 (height, width, 3).

    Raises:
        ValueError: there is no picture, the file is damaged, or the pixels have another shape or type.
    """
    if generation.image is not None:
        return decode(generation.image)
    pixels = generation.pixels
    if pixels is None:
        raise ValueError(f"generation {generation.request_id} is {generation.outcome}: no picture")
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ValueError(f"pixels are {pixels.dtype} {pixels.shape}, not uint8 (height, width, 3)")
    return pixels


def is_constant(rgb: NDArray[np.uint8]) -> bool:
    """Whether each colour stays within two levels over the whole picture, (height, width, 3)."""
    flat = rgb.reshape(-1, rgb.shape[-1])
    return all(int(high) - int(low) <= _FLAT for low, high in zip(flat.min(0), flat.max(0), strict=True))


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
