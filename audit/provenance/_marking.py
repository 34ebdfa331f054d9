# SPDX-License-Identifier: Apache-2.0
"""The steps between a picture and what is signed: decode, watermark, XMP. What cannot be done is told, not hidden."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from audit.errors import StoreError
from audit.images import decode
from audit.provenance._containers import Layout
from audit.provenance._xmp import SOURCE_TYPE, merge, packet, properties
from audit.provenance.claim import Claim
from audit.provenance.watermark import Watermark

if TYPE_CHECKING:
    from PIL import Image

    from audit.provenance._pictures import Picture

__all__ = ["AnyPicture", "decoded", "embedded", "merged", "opened", "put", "read_back", "where_of", "with_xmp"]

_SOURCE: Final = re.compile(rb"newscodes/digitalsourcetype/(\w+)")
AnyPicture: TypeAlias = "bytes | bytearray | memoryview | NDArray[np.uint8] | Image.Image"


def where_of(claim: Claim) -> str:
    """Names the image in messages."""
    return f"request {claim.request_id}"


def decoded(data: bytes, claim: Claim) -> None:
    """Raises StoreError unless ``data`` is a whole image."""
    try:
        decode(data)
    except ValueError as error:
        raise _no_picture(error, claim) from None


def opened(picture: AnyPicture, claim: Claim) -> Picture:
    """Pixels and what goes with them. Raises StoreError where they cannot be had without loss."""
    from audit.provenance import _pictures

    try:
        if isinstance(picture, bytes | bytearray | memoryview):
            return _pictures.open_file(bytes(picture))
        if isinstance(picture, np.ndarray):
            return _pictures.open_pixels(picture)
        if not hasattr(picture, "getbands"):
            raise ValueError(f"{type(picture).__name__} is neither pixels, nor a Pillow image, nor a file's bytes")
        return _pictures.open_image(picture)
    except ValueError as error:
        raise _no_picture(error, claim) from None


def _no_picture(error: Exception, claim: Claim) -> StoreError:
    hint = "only whole images are signed: make it anew, or leave it out"
    return StoreError(f"the image cannot be stamped: {error}", where=where_of(claim), hint=hint)


def embedded(watermark: Watermark, rgb: NDArray[np.uint8], payload: bytes, claim: Claim) -> NDArray[np.uint8]:
    """Marked pixels. Raises StoreError where the watermark says no."""
    try:
        return watermark.embed(rgb, payload)
    except ValueError as error:
        hint = f"{watermark.spec.name} needs {watermark.spec.min_side} pixels on the short side; or stamp without it"
        message = f"the watermark cannot be put into it: {error}"
        raise StoreError(message, where=where_of(claim), hint=hint) from None


def read_back(watermark: Watermark, rgb: NDArray[np.uint8], payload: bytes, claim: Claim) -> None:
    """A manifest must not declare a watermark that encoding has already destroyed."""
    if watermark.read(rgb).payload != payload:
        message = "the watermark cannot be read back from the encoded picture"
        hint = "raise the quality, write PNG, or stamp without a watermark"
        raise StoreError(message, where=where_of(claim), hint=hint)


def with_xmp(layout: Layout, data: bytes, claim: Claim, notes: list[str]) -> bytes:
    """The file with our properties in its XMP; as it came, with a note, where that cannot be had."""
    if layout.put is None:
        notes.append(f"no XMP written: {layout.why}")
        return data
    xmp = merged(layout.packet, claim, notes)
    return data if xmp is None or xmp == layout.packet else put(layout, data, xmp, notes)


def merged(old: bytes | None, claim: Claim, notes: list[str]) -> bytes | None:
    """The packet with our properties; the old one, with a note, where that cannot be read."""
    said = properties(claim)
    if old is None:
        return packet(said)
    try:
        made = merge(old, said)
    except ValueError as error:
        notes.append(f"no XMP written: {error}")
        return old
    other = sorted(set(_SOURCE.findall(old)) - {SOURCE_TYPE.rpartition("/")[2].encode()})
    if other:
        notes.append(f"its XMP said {b', '.join(other).decode()}, and says trainedAlgorithmicMedia now")
    return made


def put(layout: Layout, data: bytes, xmp: bytes, notes: list[str]) -> bytes:
    """The file with a packet; as it came, with a note, where that does not fit."""
    try:
        return layout.put(xmp) if layout.put is not None else data
    except ValueError as error:
        notes.append(f"no XMP written: the packet does not fit ({error})")
        return data
