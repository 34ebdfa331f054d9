# SPDX-License-Identifier: Apache-2.0
"""Declared disturbances: what happens to images on their way through the world. Pillow and numpy only."""

from __future__ import annotations

import difflib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from audit.datasets._records import Reason, Refused
from audit.errors import ConfigError

__all__ = ["TRANSFORMS", "Transform", "encoded", "parse"]

_MEDIA = {"jpeg": "JPEG", "webp": "WEBP"}
_WHERE = "--transform"
Apply = Callable[[Image.Image, Mapping[str, float], np.random.Generator], Image.Image]


@dataclass(frozen=True, slots=True)
class _Kind:
    apply: Apply
    # parameter -> default, least, most
    parameters: Mapping[str, tuple[float, float, float]]


@dataclass(frozen=True, slots=True)
class Transform:
    """One step of a chain.

    Attributes:
        name: of `TRANSFORMS`.
        ranges: parameter -> lowest and highest value; equal where it is fixed.
    """

    name: str
    ranges: Mapping[str, tuple[float, float]]

    def draw(self, rng: np.random.Generator) -> dict[str, float]:
        """Values of the parameters for one copy, uniform in their ranges."""
        return {name: float(rng.uniform(low, high)) if low < high else low for name, (low, high) in self.ranges.items()}

    def apply(self, image: Image.Image, values: Mapping[str, float], rng: np.random.Generator) -> Image.Image:
        """The disturbed picture, RGB."""
        return TRANSFORMS[self.name].apply(image, values, rng)


def parse(text: str) -> Transform:
    """``name`` or ``name:k=v,k=low..high``. Raises ConfigError naming what is known."""
    name, _, rest = text.strip().partition(":")
    if name not in TRANSFORMS:
        near = difflib.get_close_matches(name, TRANSFORMS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(TRANSFORMS)}"
        raise ConfigError(f"unknown transform {name!r}", where=_WHERE, hint=hint)
    known = TRANSFORMS[name].parameters
    ranges = {key: (default, default) for key, (default, _, _) in known.items()}
    for part in filter(None, rest.split(",")):
        key, _, value = part.partition("=")
        if key not in known:
            hint = f"{name} has: {', '.join(known) or 'no parameters'}"
            raise ConfigError(f"{name} has no parameter {key!r}", where=_WHERE, hint=hint)
        ranges[key] = _range(value, text, known[key][1:])
    return Transform(name, ranges)


def encoded(image: Image.Image, last: Transform, values: Mapping[str, float]) -> tuple[bytes, str]:
    """File and media type: a chain that ends in a codec ends in its file, any other in a PNG."""
    kind = _MEDIA.get(last.name, "PNG")
    if kind == "PNG":
        return _saved(image, "PNG"), "image/png"
    return _saved(image, kind, quality=round(values["quality"])), f"image/{last.name}"


def _range(value: str, text: str, limits: tuple[float, float]) -> tuple[float, float]:
    low, _, high = value.partition("..")
    try:
        found = float(low), float(high or low)
    except ValueError:
        raise ConfigError(f"{value!r} is no number", where=f"{_WHERE} {text}", hint="k=5, or k=1..9") from None
    if not limits[0] <= found[0] <= found[1] <= limits[1]:
        hint = f"{limits[0]:g} to {limits[1]:g}, the lower one first"
        raise ConfigError(f"{value} is out of range", where=f"{_WHERE} {text}", hint=hint)
    return found


def _saved(image: Image.Image, kind: str, **options: int) -> bytes:
    sink = io.BytesIO()
    try:
        image.save(sink, kind, **options)
    except (OSError, ValueError) as error:  # WebP ends at 16383 pixels a side, JPEG at 65535
        raise Refused(Reason.TOO_LARGE, f"{kind} cannot hold {image.width}x{image.height}: {error}") from None
    return sink.getvalue()


def _codec(kind: str) -> Apply:
    def apply(image: Image.Image, values: Mapping[str, float], _: np.random.Generator) -> Image.Image:
        with Image.open(io.BytesIO(_saved(image, kind, quality=round(values["quality"])))) as read:
            return read.convert("RGB")

    return apply


def _enhance(tool: Callable[[Image.Image], ImageEnhance._Enhance]) -> Apply:
    return lambda image, values, _: tool(image).enhance(values["factor"])


def _resize(image: Image.Image, values: Mapping[str, float], _: np.random.Generator) -> Image.Image:
    size = max(1, round(image.width * values["scale"])), max(1, round(image.height * values["scale"]))
    return image.resize(size, Image.Resampling.BICUBIC)


def _crop(image: Image.Image, values: Mapping[str, float], rng: np.random.Generator) -> Image.Image:
    """A window of ``share`` of each side, anywhere."""
    width, height = max(1, round(image.width * values["share"])), max(1, round(image.height * values["share"]))
    left, top = int(rng.integers(0, image.width - width + 1)), int(rng.integers(0, image.height - height + 1))
    return image.crop((left, top, left + width, top + height))


def _rotate(image: Image.Image, values: Mapping[str, float], _: np.random.Generator) -> Image.Image:
    """Anticlockwise about the middle; the corners become black."""
    return image.rotate(values["degrees"], Image.Resampling.BICUBIC)


def _flip(image: Image.Image, values: Mapping[str, float], rng: np.random.Generator) -> Image.Image:
    return ImageOps.mirror(image) if rng.random() < values["p"] else image


def _blur(image: Image.Image, values: Mapping[str, float], _: np.random.Generator) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(values["radius"]))


def _noise(image: Image.Image, values: Mapping[str, float], rng: np.random.Generator) -> Image.Image:
    """Independent Gaussian noise of ``sigma`` levels on every channel."""
    pixels = np.asarray(image, np.float64)
    noisy = pixels + rng.normal(0.0, values["sigma"], pixels.shape)
    return Image.fromarray(noisy.round().clip(0, 255).astype(np.uint8))


def _grey(image: Image.Image, _values: Mapping[str, float], _: np.random.Generator) -> Image.Image:
    return image.convert("L").convert("RGB")


TRANSFORMS: Mapping[str, _Kind] = {
    "blur": _Kind(_blur, {"radius": (1.0, 0.0, 100.0)}),
    "brightness": _Kind(_enhance(ImageEnhance.Brightness), {"factor": (1.2, 0.0, 10.0)}),
    "contrast": _Kind(_enhance(ImageEnhance.Contrast), {"factor": (1.2, 0.0, 10.0)}),
    "crop": _Kind(_crop, {"share": (0.9, 0.01, 1.0)}),
    "flip": _Kind(_flip, {"p": (1.0, 0.0, 1.0)}),
    "grey": _Kind(_grey, {}),
    "jpeg": _Kind(_codec("JPEG"), {"quality": (75.0, 1.0, 100.0)}),
    "noise": _Kind(_noise, {"sigma": (5.0, 0.0, 255.0)}),
    "resize": _Kind(_resize, {"scale": (0.5, 0.01, 8.0)}),
    "rotate": _Kind(_rotate, {"degrees": (5.0, -360.0, 360.0)}),
    "saturation": _Kind(_enhance(ImageEnhance.Color), {"factor": (1.2, 0.0, 10.0)}),
    "webp": _Kind(_codec("WEBP"), {"quality": (75.0, 1.0, 100.0)}),
}
