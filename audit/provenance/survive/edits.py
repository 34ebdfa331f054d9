# SPDX-License-Identifier: Apache-2.0
"""What happens to images on their way: a table of edits, each a deterministic function from file to file.

The chains are built after what platforms are known to do; they are measured from nobody's platform. Edits of the
picture start from decoded pixels and save PNG without metadata, so that each shows one thing alone.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any, Final

from audit.errors import ConfigError
from audit.provenance.survive import _files, _pixels
from audit.types import Scalar

__all__ = ["EDITS", "EDITS_VERSION", "Edit", "Family", "edits_digest", "select_edits"]

#: Raised whenever an edit of the table does something else than before.
EDITS_VERSION: Final = "1"


class Family(StrEnum):
    """Kinds of edits, in the order they are shown."""

    COPY = "copy"
    CONTAINER = "container"
    COMPRESSION = "compression"
    GEOMETRY = "geometry"
    COLOUR = "colour"
    NOISE = "noise"
    CHAIN = "chain"


@dataclass(frozen=True, slots=True)
class Edit:
    """One thing that happens to a file.

    Attributes:
        id: short name.
        title: for people.
        family: kind.
        changes_picture: whether decoded pixels may differ afterwards.
        parameters: in numbers and words.
        function: file in, file out; None where the edit does not fit the file, e.g. its format. A function that can be
            pickled: it is sent to worker processes.
    """

    id: str
    title: str
    family: Family
    changes_picture: bool
    parameters: Mapping[str, Scalar]
    function: Callable[[bytes], bytes | None]

    def __call__(self, data: bytes, /) -> bytes | None:
        """The edited file, None where the edit cannot be done on this one."""
        try:
            return self.function(data)
        except (ValueError, OSError, KeyError):  # not decodable, too large, or a codec that this Pillow lacks
            return None


def _encoded(data: bytes, *, kind: str, quality: int | None) -> bytes:
    return _pixels.encode(_pixels.open_rgb(data), kind, quality=quality)


def _operated(data: bytes, *, operation: str, amount: float) -> bytes:
    return _pixels.encode(_pixels.OPERATIONS[operation](_pixels.open_rgb(data), amount), "png")


def _chained(data: bytes, *, steps: Sequence[tuple[str, float]], kind: str, quality: int) -> bytes:
    image = _pixels.open_rgb(data)
    for operation, amount in steps:
        image = _pixels.OPERATIONS[operation](image, amount)
    return _pixels.encode(image, kind, quality=quality)


def _file(name: str, title: str, function: Callable[..., bytes | None], **parameters: Scalar) -> Edit:
    family = Family.COPY if name == "copy" else Family.CONTAINER
    whole = partial(function, **parameters) if parameters else function
    return Edit(name, title, family, name == "truncate", parameters, whole)


def _save(name: str, title: str, kind: str, quality: int | None = None) -> Edit:
    parameters: dict[str, Scalar] = {"format": kind, "quality": "lossless" if quality is None else quality}
    function = partial(_encoded, kind=kind, quality=quality)
    return Edit(name, title, Family.COMPRESSION, quality is not None, parameters, function)


def _picture(name: str, title: str, family: Family, operation: str, amount: float = 0.0) -> Edit:
    parameters: dict[str, Scalar] = {"operation": operation} | ({"amount": amount} if amount else {})
    return Edit(name, title, family, True, parameters, partial(_operated, operation=operation, amount=amount))


def _chain(name: str, title: str, steps: Sequence[tuple[str, float]], kind: str, quality: int) -> Edit:
    said = ", ".join(f"{operation} {amount:g}" for operation, amount in steps)
    parameters: dict[str, Scalar] = {"steps": said, "format": kind, "quality": quality}
    function = partial(_chained, steps=tuple(steps), kind=kind, quality=quality)
    return Edit(name, title, Family.CHAIN, True, parameters, function)


_G, _C, _N = Family.GEOMETRY, Family.COLOUR, Family.NOISE

EDITS: Final[tuple[Edit, ...]] = (
    _file("copy", "Copied", _files.copy),
    _file("append", "64 bytes appended", _files.append, count=64),
    _file("truncate", "Last 5 % cut off", _files.truncate, share=0.05),
    _file("exif-insert", "EXIF artist added, as metadata tools do", _files.exif_insert, artist="somebody"),
    _file("xmp-rating", "XMP rating added", _files.xmp_edit, what="rating"),
    _file("xmp-forged", "XMP source type changed to a camera", _files.xmp_edit, what="forged"),
    _file("text-edit", "Text chunk or comment changed", _files.text_edit),
    _file("recompress", "PNG recompressed, all chunks kept", _files.recompress, keep="all"),
    _file("recompress-safe", "PNG recompressed, safe-to-copy chunks kept", _files.recompress, keep="safe"),
    _file("recompress-strip", "PNG recompressed, all chunks dropped", _files.recompress, keep="none"),
    _file("strip-credentials", "Credentials cut out", _files.strip, what="credentials"),
    _file("strip", "All metadata cut out", _files.strip, what="all"),
    _save("png", "Saved as PNG", "png"),
    Edit("png-copied", "Saved as PNG, text and XMP carried over", Family.COMPRESSION, False, {}, _files.png_copied),
    _save("jpeg-95", "JPEG 95", "jpeg", 95),
    _save("jpeg-90", "JPEG 90", "jpeg", 90),
    _save("jpeg-75", "JPEG 75", "jpeg", 75),
    _save("jpeg-50", "JPEG 50", "jpeg", 50),
    _save("jpeg-30", "JPEG 30", "jpeg", 30),
    _save("webp-lossless", "WebP lossless", "webp"),
    _save("webp-90", "WebP 90", "webp", 90),
    _save("webp-50", "WebP 50", "webp", 50),
    _save("avif-80", "AVIF 80", "avif", 80),
    _save("avif-50", "AVIF 50", "avif", 50),
    _picture("resize-2", "Resized to 200 %", _G, "resize", 2.0),
    _picture("resize-1.5", "Resized to 150 %", _G, "resize", 1.5),
    _picture("resize-0.75", "Resized to 75 %", _G, "resize", 0.75),
    _picture("resize-0.5", "Resized to 50 %", _G, "resize", 0.5),
    _picture("resize-0.25", "Resized to 25 %", _G, "resize", 0.25),
    _picture("resize-0.5-back", "Resized to 50 % and back", _G, "resize_back", 0.5),
    _picture("resize-0.25-back", "Resized to 25 % and back", _G, "resize_back", 0.25),
    _picture("thumbnail-256", "Thumbnail, long edge 256", _G, "thumbnail", 256),
    _picture("crop-5", "Cropped by 5 % a side", _G, "crop", 0.05),
    _picture("crop-10", "Cropped by 10 % a side", _G, "crop", 0.1),
    _picture("crop-25", "Cropped by 25 % a side", _G, "crop", 0.25),
    _picture("crop-50", "Cropped by 50 % a side", _G, "crop", 0.5),
    _picture("rotate-90", "Turned by 90°", _G, "rotate", 90),
    _picture("rotate-1", "Turned by 1°", _G, "rotate", 1),
    _picture("rotate-5", "Turned by 5°", _G, "rotate", 5),
    _picture("flip", "Mirrored", _G, "flip"),
    _picture("screenshot", "Screenshot at 125 %", _G, "screenshot", 1.25),
    _picture("brightness-1.2", "Brightness +20 %", _C, "brightness", 1.2),
    _picture("brightness-0.8", "Brightness −20 %", _C, "brightness", 0.8),
    _picture("contrast-1.3", "Contrast +30 %", _C, "contrast", 1.3),
    _picture("saturation-1.5", "Saturation +50 %", _C, "saturation", 1.5),
    _picture("gamma-0.8", "Gamma 0.8", _C, "gamma", 0.8),
    _picture("grey", "Grey", _C, "grey"),
    _picture("noise-5", "Noise, 5 levels", _N, "noise", 5),
    _picture("noise-15", "Noise, 15 levels", _N, "noise", 15),
    _picture("blur-1", "Blurred, 1 pixel", _N, "blur", 1),
    _picture("blur-2", "Blurred, 2 pixels", _N, "blur", 2),
    _picture("sharpen", "Sharpened", _N, "sharpen", 150),
    _picture("median-3", "Median of 3x3", _N, "median", 3),
    _picture("text-overlay", "Line of text drawn on it", _N, "text", 0.06),
    _picture("sticker", "Sticker on it", _N, "sticker", 0.2),
    _chain("social", "Like a social network: 1080, JPEG 85", [("thumbnail", 1080)], "jpeg", 85),
    _chain("messenger", "Like a messenger: 1280, JPEG 70", [("thumbnail", 1280)], "jpeg", 70),
    _chain("cms", "Like a web site: 50 %, WebP 80", [("resize", 0.5)], "webp", 80),
    _chain("print", "Like a print shop: 200 %, JPEG 90", [("resize", 2.0)], "jpeg", 90),
    _chain("screenshot-jpeg", "Screenshot, then JPEG 80", [("screenshot", 1.25)], "jpeg", 80),
    _chain("meme", "Cropped, text, JPEG 60", [("crop", 0.1), ("text", 0.06)], "jpeg", 60),
)


def select_edits(names: Sequence[str] | None = None) -> tuple[Edit, ...]:
    """Edits by id or family, in the order of the table; None: all.

    Raises:
        ConfigError: a name that is neither.
    """
    if names is None:
        return EDITS
    known = {edit.id for edit in EDITS} | {str(family) for family in Family}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, sorted(known), 3)
            hint = f"did you mean {', '.join(near)}?" if near else f"families are {', '.join(Family)}"
            raise ConfigError(f"there is no edit or family {name!r}", where="--edits", hint=hint)
    return tuple(edit for edit in EDITS if edit.id in names or edit.family in names)


def edits_digest(edits: Sequence[Edit]) -> str:
    """sha256 (hex) of what the edits are called and do: numbers of other edits are not comparable."""
    said: list[Any] = [[e.id, e.family, e.changes_picture, dict(e.parameters)] for e in edits]
    return hashlib.sha256(json.dumps([EDITS_VERSION, said], sort_keys=True).encode()).hexdigest()
