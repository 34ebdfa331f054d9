# SPDX-License-Identifier: Apache-2.0
"""Edits of files as such: copies, metadata tools, lossless optimisers. None where an edit does not fit the format."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator
from typing import Final

from PIL import Image, PngImagePlugin

from audit.provenance.survive._container import (
    Container,
    Part,
    Role,
    exif_part,
    read_container,
    text_part,
    xmp_packet,
    xmp_part,
)
from audit.provenance.survive._pixels import open_rgb

__all__ = [
    "append",
    "copy",
    "exif_insert",
    "png_copied",
    "recompress",
    "strip",
    "text_edit",
    "truncate",
    "xmp_edit",
]

_ARTIST: Final = 0x013B
_SOURCE: Final = re.compile(rb"digitalsourcetype/\w+", re.IGNORECASE)
_PACKET: Final = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about=""/></rdf:RDF></x:xmpmeta>'
)
_RATING: Final = b'<rdf:Description xmlns:rated="http://ns.adobe.com/xap/1.0/" rated:Rating="5"'
_CAMERA: Final = (
    b'<rdf:Description xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    b'Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"'
)


def copy(data: bytes) -> bytes:
    """The file as it is."""
    return data


def append(data: bytes, *, count: int) -> bytes:
    """``count`` zero bytes after the end."""
    return data + bytes(count)


def truncate(data: bytes, *, share: float) -> bytes:
    """Without the last ``share`` of the file."""
    return data[: len(data) - max(1, round(len(data) * share))]


def strip(data: bytes, *, what: str) -> bytes | None:
    """Metadata dropped, the coded picture untouched.

    Args:
        data: file.
        what: "all" (all that decoding does not need) or "credentials".
    """
    container = _open(data)
    if container is None:
        return None
    roles = [role for role in Role if role is not Role.PICTURE] if what == "all" else [Role.CREDENTIALS]
    stripped = container.without(*roles)
    return Container(stripped.kind, stripped.parts, stripped.tail if stripped.kind == "jpeg" else b"").data()


def recompress(data: bytes, *, keep: str) -> bytes | None:
    """The pixel stream of a PNG compressed again, as lossless optimisers do.

    Args:
        data: file.
        keep: "all" chunks; "safe": those whose name says that they may be copied into a changed file (PNG 5.4, fourth
            letter small); "none": only what decoding needs.
    """
    container = _open(data)
    if container is None or container.kind != "png":
        return None
    kept = [p for p in container.parts if _stays(container, p, keep)]
    packed = b"".join(p.body for p in kept if p.name == b"IDAT")
    try:
        stream = zlib.compress(zlib.decompress(packed), 9)
    except zlib.error:
        return None
    at = next(i for i, p in enumerate(kept) if p.name == b"IDAT")
    before, after = kept[:at], [p for p in kept[at:] if p.name != b"IDAT"]
    return Container("png", (*before, Part(b"IDAT", stream), *after)).data()


def _stays(container: Container, part: Part, keep: str) -> bool:
    if keep == "all" or container.role(part) is Role.PICTURE:
        return True
    return keep == "safe" and part.name[3:4].islower()


def exif_insert(data: bytes, *, artist: str) -> bytes | None:
    """EXIF with one more tag, spliced in as metadata tools do; the coded picture stays."""
    container = _open(data)
    if container is None:
        return None
    exif = Image.Exif()
    for part in container.of(Role.EXIF):
        exif.load(part.body)
    exif[_ARTIST] = artist
    return container.without(Role.EXIF).with_part(exif_part(container.kind, exif.tobytes())).data()


def xmp_edit(data: bytes, *, what: str) -> bytes | None:
    """The XMP packet changed, or put in where there was none.

    Args:
        data: file.
        what: "rating" (a property is added) or "forged" (the digital source type becomes that of a camera).
    """
    container = _open(data)
    if container is None:
        return None
    packet = xmp_packet(container) or _PACKET
    if what == "forged" and _SOURCE.search(packet):
        changed = _SOURCE.sub(b"digitalsourcetype/digitalCapture", packet)
    else:
        changed = packet.replace(b"<rdf:Description", _RATING if what == "rating" else _CAMERA, 1)
    return container.without(Role.XMP).with_part(xmp_part(container.kind, changed)).data()


def text_edit(data: bytes) -> bytes | None:
    """The first text chunk or comment says something else; one is put in where there was none. Not for WebP."""
    container = _open(data)
    if container is None or container.kind == "webp":
        return None
    parts = list(container.parts)
    at = next((i for i, part in enumerate(parts) if container.role(part) is Role.TEXT), None)
    if at is None:
        return container.with_part(text_part(container.kind, "Comment", "edited")).data()
    keyword = parts[at].body.partition(b"\0")[0].decode("latin-1")
    parts[at] = text_part(container.kind, keyword, "edited")
    return Container(container.kind, tuple(parts), container.tail).data()


def png_copied(data: bytes) -> bytes | None:
    """Saved anew as PNG by a script that takes the trouble to carry text and XMP over."""
    container = _open(data)
    if container is None:
        return None
    info = PngImagePlugin.PngInfo()
    for keyword, text in _carried(container):
        info.add_itxt(keyword, text)
    sink = io.BytesIO()
    open_rgb(data).save(sink, "PNG", pnginfo=info, compress_level=3)
    return sink.getvalue()


def _carried(container: Container) -> Iterator[tuple[str, str]]:
    yield from container.texts().items()
    packet = xmp_packet(container)
    if packet is not None:
        yield "XML:com.adobe.xmp", packet.decode("utf-8", "replace")


def _open(data: bytes) -> Container | None:
    try:
        return read_container(data)
    except ValueError:
        return None
