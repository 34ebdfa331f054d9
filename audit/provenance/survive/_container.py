# SPDX-License-Identifier: Apache-2.0
"""PNG, JPEG and WebP files as lists of parts, so that metadata can be read, dropped and put in without a new encoding.

Formats: PNG (ISO/IEC 15948), JPEG segments (ITU-T T.81, annex B), the WebP container (RFC 9649, section 2).
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["Container", "Part", "Role", "exif_part", "read_container", "text_part", "xmp_packet", "xmp_part"]

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_XMP_PNG: Final = b"XML:com.adobe.xmp"
_XMP_JPEG: Final = b"http://ns.adobe.com/xap/1.0/\0"
_EXIF: Final = b"Exif\0\0"
_PNG_PICTURE: Final = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT"})
_PNG_TEXT: Final = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_WEBP_PICTURE: Final = frozenset({b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF"})
_SOS, _COM, _APP0, _APP1, _APP11, _APP14, _APP15 = 0xDA, 0xFE, 0xE0, 0xE1, 0xEB, 0xEE, 0xEF
_WEBP_EXIF, _WEBP_XMP, _WEBP_ALPHA, _WEBP_ICC = 0x08, 0x04, 0x10, 0x20
_MOST_TEXT: Final = 8 * 2**20  # a compressed text chunk may claim to be anything


class Role(StrEnum):
    """What a part is for."""

    PICTURE = "picture"
    CREDENTIALS = "credentials"
    XMP = "xmp"
    EXIF = "exif"
    TEXT = "text"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Part:
    """One chunk or segment: its name (PNG and WebP: four letters, JPEG: the marker byte) and its content."""

    name: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Container:
    """A file in parts.

    Attributes:
        kind: "png", "jpeg" or "webp".
        parts: in the order of the file.
        tail: of JPEG, everything from the start of the scan on; else what follows the end of the picture.
    """

    kind: str
    parts: tuple[Part, ...]
    tail: bytes = b""

    def role(self, part: Part) -> Role:
        """What ``part`` is for."""
        return {"png": _png_role, "jpeg": _jpeg_role, "webp": _webp_role}[self.kind](part)

    def of(self, role: Role) -> Iterator[Part]:
        """Parts for one purpose."""
        return (part for part in self.parts if self.role(part) is role)

    def without(self, *roles: Role) -> Container:
        """A copy that lacks the parts for these purposes."""
        return Container(self.kind, tuple(p for p in self.parts if self.role(p) not in roles), self.tail)

    def with_part(self, part: Part) -> Container:
        """A copy with one more part, where parts of its kind belong."""
        at = {"png": 1, "jpeg": _after_jfif(self.parts), "webp": len(self.parts)}[self.kind]
        return Container(self.kind, (*self.parts[:at], part, *self.parts[at:]), self.tail)

    def data(self) -> bytes:
        """The file."""
        return {"png": _png_file, "jpeg": _jpeg_file, "webp": _webp_file}[self.kind](self)

    def texts(self) -> dict[str, str]:
        """Text for people and tools: PNG text chunks by keyword, JPEG comments, EXIF user comments and descriptions."""
        found: dict[str, str] = {}
        for part in self.of(Role.TEXT):
            keyword, text = _png_text(part) if self.kind == "png" else ("comment", _latin(part.body))
            found[keyword] = text
        for part in self.of(Role.EXIF):
            found |= _exif_texts(part.body)
        return found


def read_container(data: bytes) -> Container:
    """A file in parts. Raises ValueError where it is no whole PNG, JPEG or WebP."""
    if data.startswith(_PNG):
        return _read_png(data)
    if data.startswith(b"\xff\xd8\xff"):
        return _read_jpeg(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _read_webp(data)
    raise ValueError("neither PNG, JPEG nor WebP")


def xmp_packet(container: Container) -> bytes | None:
    """The XMP packet of a file; None where there is none."""
    part = next(container.of(Role.XMP), None)
    if part is None:
        return None
    if container.kind == "png":
        return _itxt(part.body)[1]
    return part.body.removeprefix(_XMP_JPEG)


def xmp_part(kind: str, packet: bytes) -> Part:
    """A part that carries an XMP packet."""
    if kind == "png":
        return Part(b"iTXt", _XMP_PNG + b"\0\0\0\0\0" + packet)
    return Part(bytes([_APP1]), _XMP_JPEG + packet) if kind == "jpeg" else Part(b"XMP ", packet)


def exif_part(kind: str, tiff: bytes) -> Part:
    """A part that carries EXIF (a TIFF block, with or without its leading ``Exif``)."""
    block = tiff.removeprefix(_EXIF)
    if kind == "png":
        return Part(b"eXIf", block)
    return Part(bytes([_APP1]), _EXIF + block) if kind == "jpeg" else Part(b"EXIF", block)


def text_part(kind: str, keyword: str, text: str) -> Part:
    """A text chunk (PNG, Latin-1) or comment (JPEG). Raises ValueError for WebP, which has neither."""
    if kind == "png":
        return Part(b"tEXt", keyword.encode("latin-1", "replace") + b"\0" + text.encode("latin-1", "replace"))
    if kind == "jpeg":
        return Part(bytes([_COM]), text.encode())
    raise ValueError("WebP has no text chunks")


# -- PNG -------------------------------------------------------------------------------------------------------


def _read_png(data: bytes) -> Container:
    parts, at = [], len(_PNG)
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        name, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        if len(body) != length or at + 12 + length > len(data):
            raise ValueError("PNG ends within a chunk")
        parts.append(Part(name, body))
        at += 12 + length
        if name == b"IEND":
            return Container("png", tuple(parts), data[at:])
    raise ValueError("PNG has no end")


def _png_file(container: Container) -> bytes:
    chunks = (
        struct.pack(">I", len(p.body)) + p.name + p.body + struct.pack(">I", zlib.crc32(p.name + p.body))
        for p in container.parts
    )
    return _PNG + b"".join(chunks) + container.tail


def _png_role(part: Part) -> Role:
    if part.name in _PNG_PICTURE:
        return Role.PICTURE
    if part.name in _PNG_TEXT:
        return Role.XMP if part.name == b"iTXt" and part.body.startswith(_XMP_PNG + b"\0") else Role.TEXT
    return {b"caBX": Role.CREDENTIALS, b"eXIf": Role.EXIF}.get(part.name, Role.OTHER)


def _png_text(part: Part) -> tuple[str, str]:
    keyword, _, rest = part.body.partition(b"\0")
    if part.name == b"tEXt":
        return _latin(keyword), _latin(rest)
    if part.name == b"zTXt":
        return _latin(keyword), _latin(_inflate(rest[1:]))
    keyword, text = _itxt(part.body)
    return _latin(keyword), text.decode("utf-8", "replace")


def _itxt(body: bytes) -> tuple[bytes, bytes]:
    """Keyword and text of an iTXt chunk: keyword, 0, compressed?, method, language, 0, translated keyword, 0, text."""
    keyword, _, rest = body.partition(b"\0")
    compressed = rest[:1] == b"\1"
    text = rest[2:].split(b"\0", 2)[-1] if rest.count(b"\0", 2) >= 2 else b""
    return keyword, _inflate(text) if compressed else text


def _inflate(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, _MOST_TEXT)
    except zlib.error:
        return b""


# -- JPEG ------------------------------------------------------------------------------------------------------


def _read_jpeg(data: bytes) -> Container:
    parts: list[Part] = []
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            raise ValueError("JPEG has no marker where one belongs")
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker == _SOS:
            return Container("jpeg", tuple(parts), data[at:])
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        body = data[at + 4 : at + 2 + length]
        if length < 2 or len(body) != length - 2:
            raise ValueError("JPEG ends within a segment")
        parts.append(Part(bytes([marker]), body))
        at += 2 + length
    raise ValueError("JPEG has no scan")


def _jpeg_file(container: Container) -> bytes:
    segments = (b"\xff" + p.name + struct.pack(">H", len(p.body) + 2) + p.body for p in container.parts)
    return b"\xff\xd8" + b"".join(segments) + container.tail


def _jpeg_role(part: Part) -> Role:
    marker = part.name[0]
    if marker == _COM:
        return Role.TEXT
    if marker == _APP1:
        return Role.XMP if part.body.startswith(_XMP_JPEG) else _exif_or_other(part)
    if marker == _APP11 and part.body.startswith(b"JP"):
        return Role.CREDENTIALS
    needed = not _APP0 <= marker <= _APP15 or marker == _APP14 or part.body.startswith(b"JFIF\0")
    return Role.PICTURE if needed else Role.OTHER


def _exif_or_other(part: Part) -> Role:
    return Role.EXIF if part.body.startswith(_EXIF) else Role.OTHER


def _after_jfif(parts: Sequence[Part]) -> int:
    return 1 if parts and parts[0].name == bytes([_APP0]) else 0


# -- WebP ------------------------------------------------------------------------------------------------------


def _read_webp(data: bytes) -> Container:
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise ValueError("WebP ends early")
    parts, at = [], 12
    while at + 8 <= end:
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        body = data[at + 8 : at + 8 + length]
        if len(body) != length:
            raise ValueError("WebP ends within a chunk")
        parts.append(Part(data[at : at + 4], body))
        at += 8 + length + length % 2
    return Container("webp", tuple(parts), data[end:])


def _webp_file(container: Container) -> bytes:
    parts = _flagged(container)
    chunks = (p.name + struct.pack("<I", len(p.body)) + p.body + b"\0" * (len(p.body) % 2) for p in parts)
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body + container.tail


def _flagged(container: Container) -> Sequence[Part]:
    """Parts with a header that names what is there; metadata needs the extended form of the file."""
    names = {part.name for part in container.parts}
    flags = (_WEBP_EXIF if b"EXIF" in names else 0) | (_WEBP_XMP if b"XMP " in names else 0)
    head = container.parts[0]
    if head.name == b"VP8X":
        kept = head.body[0] & ~(_WEBP_EXIF | _WEBP_XMP | (0 if b"ICCP" in names else _WEBP_ICC))
        return (Part(b"VP8X", bytes([kept | flags]) + head.body[1:]), *container.parts[1:])
    if names <= {head.name}:
        return container.parts
    width, height, alpha = _webp_size(container)
    flags |= _WEBP_ALPHA if alpha else 0
    body = bytes([flags, 0, 0, 0]) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return (Part(b"VP8X", body), *container.parts)


def _webp_size(container: Container) -> tuple[int, int, bool]:
    from PIL import Image

    plain = Container("webp", container.parts[:1])
    with Image.open(io.BytesIO(plain.data()), formats=("WEBP",)) as image:
        return image.width, image.height, "A" in image.getbands()


def _webp_role(part: Part) -> Role:
    if part.name in _WEBP_PICTURE:
        return Role.PICTURE
    return {b"C2PA": Role.CREDENTIALS, b"XMP ": Role.XMP, b"EXIF": Role.EXIF}.get(part.name, Role.OTHER)


# -- text inside EXIF ------------------------------------------------------------------------------------------


def _exif_texts(block: bytes) -> dict[str, str]:
    from PIL import Image

    exif = Image.Exif()
    try:
        exif.load(block)
        found = {"description": exif.get(0x010E), "usercomment": exif.get_ifd(0x8769).get(0x9286)}
    except Exception:  # noqa: BLE001 - EXIF of anybody's making: Pillow raises whatever its parts raise
        return {}
    return {name: _comment(value) for name, value in found.items() if value}


def _comment(value: object) -> str:
    """Text of a user comment: eight bytes name its character set; writers disagree about the order of UTF-16 bytes."""
    if not isinstance(value, bytes):
        return str(value)
    code, text = value[:8], value[8:]
    if code.startswith(b"UNICODE"):
        big = text[:1] == b"\0" or text[:2] == b"\xfe\xff"
        return text.decode("utf-16-be" if big else "utf-16-le", "replace")
    return (text if code.startswith((b"ASCII", b"JIS", b"\0")) else value).decode("utf-8", "replace").rstrip("\0")


def _latin(text: bytes) -> str:
    return text.decode("latin-1")
