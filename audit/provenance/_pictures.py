# SPDX-License-Identifier: Apache-2.0
"""Pictures that are written anew - because a watermark goes into the pixels, or another format is wanted.

What a file says about itself stays: EXIF (with the orientation applied to the pixels), colour profile, text chunks,
resolution. Its XMP is put in by the caller.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, JpegImagePlugin, PngImagePlugin, TiffImagePlugin

from audit.images import MAX_PIXELS, encode_png

__all__ = ["FORMATS", "LOSSLESS", "Picture", "encode", "open_file", "open_image", "open_pixels"]

#: Media types that can be written, and Pillow's names of them.
FORMATS: Final = {
    "image/avif": "AVIF",
    "image/gif": "GIF",
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/tiff": "TIFF",
    "image/webp": "WEBP",
}
#: Those that keep every level of every pixel.
LOSSLESS: Final = ("image/png", "image/tiff")
_OPAQUE: Final = ("image/jpeg", "image/gif")
_DEEP: Final = ("I;16", "I;16B", "I;16L", "I", "F")
# What Pillow's plug-ins raise on damaged files.
_BROKEN: Final = (OSError, SyntaxError, EOFError, LookupError, ValueError, struct.error, Image.DecompressionBombError)
_ORIENTATION: Final = 0x0112
_TIFF_TEXTS: Final = (269, 270, 271, 272, 305, 306, 315, 33432)  # name, description, ... artist, copyright


@dataclass(frozen=True, slots=True)
class Picture:
    """Pixels, and what goes with them.

    Attributes:
        rgb: uint8 (height, width, 3), upright.
        alpha: uint8 (height, width), None where every pixel is opaque.
        extras: arguments of Pillow's ``save``: exif, icc_profile, dpi, text, subsampling, lossless.
        xmp: packet that it brought along.
    """

    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None = None
    extras: Mapping[str, Any] = field(default_factory=dict)
    xmp: bytes | None = None


def open_pixels(rgb: NDArray[np.uint8]) -> Picture:
    """An array as a picture. Raises ValueError for another type or shape than uint8 (height, width, 3)."""
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
        raise ValueError(f"pixels are {rgb.dtype} {rgb.shape}, not uint8 (height, width, 3)")
    return Picture(np.ascontiguousarray(rgb))


def open_file(data: bytes) -> Picture:
    """A file as a picture. Raises ValueError: not a whole image, too large, animated, or over 8 bits a colour."""
    try:
        with Image.open(io.BytesIO(data), formats=tuple(FORMATS.values())) as image:
            picture = open_image(image)
            lossless = image.format == "WEBP" and data[12:16] != b"VP8 " and b"VP8L" in data
    except _BROKEN as error:
        raise ValueError(str(error)) from None
    return replace(picture, extras={**picture.extras, "lossless": True}) if lossless else picture


def open_image(image: Image.Image) -> Picture:
    """A Pillow image as a picture; it is left as it is.

    Raises:
        ValueError: it has too many pixels, several frames, or more than 8 bits a colour; or its file is damaged.
    """
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(f"image claims {image.width}x{image.height} pixels")
    if getattr(image, "n_frames", 1) > 1:
        raise ValueError("an animation (or a file of several pages) cannot be written anew without losing frames")
    if image.mode in _DEEP:
        raise ValueError(f"pixels of more than 8 bits (mode {image.mode}) cannot be written anew without loss")
    try:
        upright = ImageOps.exif_transpose(image)
        rgb, alpha = _channels(upright)
        return Picture(rgb, alpha, _extras(image, upright), _packet(image))
    except _BROKEN as error:
        raise ValueError(str(error)) from None


def _channels(upright: Image.Image) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    if "A" not in upright.getbands() and "transparency" not in upright.info:
        return np.asarray(upright.convert("RGB")), None
    rgba = np.asarray(upright.convert("RGBA"))
    return np.ascontiguousarray(rgba[..., :3]), np.ascontiguousarray(rgba[..., 3])


def encode(picture: Picture, kind: str, *, quality: int, xmp: bytes | None = None) -> bytes:
    """The picture as a file.

    Args:
        picture: what to write; where the format knows no transparency it is put on white.
        kind: media type.
        quality: 1 to 100, of the formats that lose something.
        xmp: packet; only AVIF takes it here.
    """
    rgb = picture.rgb
    if picture.alpha is not None and kind in _OPAQUE:
        weight = picture.alpha[..., None] / 255.0
        rgb = np.rint(weight * rgb + (1 - weight) * 255).astype(np.uint8)
    if kind == "image/png" and picture.alpha is None and not picture.extras:
        return encode_png(rgb)
    image = Image.fromarray(rgb)
    if picture.alpha is not None and kind not in _OPAQUE:
        image.putalpha(Image.fromarray(picture.alpha))
    sink = io.BytesIO()
    image.save(sink, FORMATS[kind], **_arguments(picture.extras, kind, quality=quality, xmp=xmp))
    return sink.getvalue()


def _packet(image: Image.Image) -> bytes | None:
    found = image.info.get("xmp", image.info.get("XML:com.adobe.xmp"))
    return found.encode() if isinstance(found, str) else found


def _extras(image: Image.Image, upright: Image.Image) -> dict[str, Any]:
    extras: dict[str, Any] = {}
    exif = image.info.get("exif")
    if exif and image.getexif().get(_ORIENTATION, 1) != 1:
        exif = upright.getexif().tobytes()
    if exif:
        extras["exif"] = exif
    if image.info.get("icc_profile") and image.mode != "CMYK":  # a profile of inks says nothing about RGB
        extras["icc_profile"] = image.info["icc_profile"]
    if image.info.get("dpi"):
        extras["dpi"] = image.info["dpi"]
    text = getattr(image, "text", None)
    if text:
        extras["text"] = {key: value for key, value in text.items() if key != "XML:com.adobe.xmp"}
    if image.info.get("comment"):
        extras["comment"] = image.info["comment"]
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        extras["tiffinfo"] = {tag: image.tag_v2[tag] for tag in _TIFF_TEXTS if tag in image.tag_v2}
    if isinstance(image, JpegImagePlugin.JpegImageFile) and (kept := JpegImagePlugin.get_sampling(image)) >= 0:
        extras["subsampling"] = kept
    return extras


_TAKES: Final = {
    "PNG": ("exif", "icc_profile", "dpi"),
    "JPEG": ("exif", "icc_profile", "dpi", "comment", "subsampling"),
    "WEBP": ("exif", "icc_profile", "lossless"),
    "AVIF": ("exif", "icc_profile"),
    "TIFF": ("exif", "icc_profile", "dpi", "tiffinfo"),
    "GIF": ("comment",),
}


def _arguments(extras: Mapping[str, Any], kind: str, *, quality: int, xmp: bytes | None) -> dict[str, Any]:
    name = FORMATS[kind]
    arguments = {key: extras[key] for key in _TAKES[name] if key in extras}
    if name == "PNG":
        arguments |= {"compress_level": 3, "pnginfo": _png_text(extras.get("text", {}))}
    if name in {"JPEG", "WEBP", "AVIF"}:
        arguments["quality"] = quality
    if name == "TIFF":
        arguments["compression"] = "tiff_adobe_deflate"
    if name == "AVIF" and xmp:
        arguments["xmp"] = xmp
    return arguments


def _png_text(text: Mapping[str, Any]) -> PngImagePlugin.PngInfo:
    """Text chunks as they were: tEXt where Latin-1 holds them, else iTXt."""
    info = PngImagePlugin.PngInfo()
    for key, value in text.items():
        if isinstance(value, PngImagePlugin.iTXt):
            info.add_itxt(key, value, value.lang or "", value.tkey or "")
        else:
            info.add_text(key, value)
    return info
