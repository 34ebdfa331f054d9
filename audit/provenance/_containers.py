# SPDX-License-Identifier: Apache-2.0
"""What a finished image file holds beside pixels, and how an XMP packet gets in without touching them.

Where XMP lies: XMP specification part 3 (PNG iTXt "XML:com.adobe.xmp", JPEG APP1, GIF application extension, TIFF tag
700), the WebP container specification ("XMP " chunk and a flag in VP8X), for AVIF see `_heif`. Where credentials lie:
C2PA specification 2.2, appendix A (PNG caBX, JPEG APP11, WebP "C2PA", GIF "C2PA_GIF", TIFF tag 0xCD41, BMFF uuid box).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from audit.provenance._heif import xmp_of

__all__ = ["Layout", "scan"]

_PNG_XMP: Final = b"XML:com.adobe.xmp"
_JPEG_XMP: Final = b"http://ns.adobe.com/xap/1.0/\x00"
_JPEG_MOST: Final = 65533
_GIF_XMP: Final = b"XMP DataXMP"
# 258 bytes that lead any reader of sub-blocks, wherever it falls out of the packet, to the end.
_GIF_TRAILER: Final = b"\x01" + bytes(range(255, -1, -1)) + b"\x00"
_C2PA_BOX: Final = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_TIFF_XMP, _TIFF_C2PA = 700, 0xCD41
_MOST: Final = 16 * 2**20
_BROKEN: Final = (ValueError, IndexError, KeyError, struct.error, zlib.error)


@dataclass(frozen=True, slots=True)
class Layout:
    """One file.

    Attributes:
        credentials: False: surely none; True: it holds a manifest store, points to one elsewhere, or cannot be told.
        packet: its XMP, None where it has none.
        put: the file with another packet in place of that one; raises ValueError where it does not fit. None where the
            container does not allow it.
        why: the reason for that.
    """

    credentials: bool
    packet: bytes | None = None
    put: Callable[[bytes], bytes] | None = None
    why: str = ""


def scan(data: bytes, kind: str) -> Layout:
    """Where things are in a file of media type ``kind``; never raises, and never looks at pixels."""
    try:
        layout = _SCANS[kind](data)
    except _BROKEN:
        return Layout(credentials=True, why="its structure cannot be followed")
    # A packet may point to credentials elsewhere (dcterms:provenance).
    credentials = layout.credentials or b"provenance" in (layout.packet or b"")
    put = layout.put
    return Layout(credentials, layout.packet, put and (lambda new: _careful(put, new)), layout.why)


def _careful(put: Callable[[bytes], bytes], new: bytes) -> bytes:
    try:
        return put(new)
    except _BROKEN as error:
        raise ValueError(str(error) or "its structure cannot be followed") from None


def _spliced(data: bytes, span: tuple[int, int], part: bytes) -> bytes:
    return b"".join((memoryview(data)[: span[0]], part, memoryview(data)[span[1] :]))


def _one(spans: list[tuple[int, int]], new: int) -> tuple[int, int]:
    """The span of the packet, or the empty one where a new packet goes. Raises ValueError for several packets."""
    if len(spans) > 1:
        raise ValueError("several XMP packets")
    return spans[0] if spans else (new, new)


# PNG


def _png(data: bytes) -> Layout:
    spans, packet, credentials = [], None, False
    for name, start, end in _png_chunks(data):
        if name == b"caBX":
            credentials = True
        elif name == b"iTXt" and data.startswith(_PNG_XMP + b"\0", start + 8):
            spans.append((start, end))
            packet = _itxt(data[start + 8 : end - 4])
        elif name in {b"tEXt", b"zTXt"} and data.startswith(b"Raw profile type xmp", start + 8):
            return Layout(credentials=True, why="its XMP is written in a way of ImageMagick's")
    span = _one(spans, 33)  # behind IHDR
    return Layout(credentials, packet, lambda new: _spliced(data, span, _png_chunk(new)))


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    at, name = 8, b""
    while name != b"IEND":
        size, name = struct.unpack_from(">I4s", data, at)
        end = at + 12 + size
        if end > len(data):
            raise ValueError("cut off")
        yield name, at, end
        at = end


def _itxt(body: bytes) -> bytes:
    _, _, rest = body.partition(b"\0")
    compressed, rest = rest[0], rest[2:]
    text = rest.split(b"\0", 2)[2]
    if not compressed:
        return text
    reader = zlib.decompressobj()
    plain = reader.decompress(text, _MOST)
    if reader.unconsumed_tail:
        raise ValueError("packet too large")
    return plain


def _png_chunk(packet: bytes) -> bytes:
    body = b"iTXt" + _PNG_XMP + b"\0\0\0\0\0" + packet
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


# JPEG


def _jpeg(data: bytes) -> Layout:
    spans, packet, credentials, head, leading = [], None, False, 2, True
    for marker, start, end in _jpeg_segments(data):
        credentials |= marker == 0xEB
        if marker == 0xE1 and data.startswith(_JPEG_XMP, start + 4):
            spans.append((start, end))
            packet = data[start + 4 + len(_JPEG_XMP) : end]
        leading &= marker == 0xE0 or (marker == 0xE1 and data.startswith(b"Exif\0", start + 4))
        head = end if leading else head  # behind JFIF and Exif, which readers want first
    span = _one(spans, head)
    return Layout(credentials, packet, lambda new: _spliced(data, span, _jpeg_segment(new)))


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of each segment up to the first scan."""
    at = 2
    while True:
        if data[at] != 0xFF:
            raise ValueError("no marker")
        while data[at + 1] == 0xFF:  # fill bytes
            at += 1
        marker = data[at + 1]
        if marker == 0xDA:
            return
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if end > len(data) or end < at + 4:
            raise ValueError("cut off")
        yield marker, at, end
        at = end


def _jpeg_segment(packet: bytes) -> bytes:
    if len(packet) + len(_JPEG_XMP) > _JPEG_MOST:
        raise ValueError("longer than a JPEG segment")
    return b"\xff\xe1" + struct.pack(">H", len(packet) + len(_JPEG_XMP) + 2) + _JPEG_XMP + packet


# WebP


def _webp(data: bytes) -> Layout:
    chunks = list(_riff(data))
    names = [data[start : start + 4] for start, _ in chunks]
    spans = [span for span, name in zip(chunks, names, strict=True) if name == b"XMP "]
    packet = None
    if spans:
        size = int.from_bytes(data[spans[0][0] + 4 : spans[0][0] + 8], "little")
        packet = data[spans[0][0] + 8 : spans[0][0] + 8 + size]
    end = chunks[-1][1]
    span = _one(spans, end)
    return Layout(b"C2PA" in names, packet, lambda new: _webp_with(data[:end], span, new))


def _riff(data: bytes) -> Iterator[tuple[int, int]]:
    at, end = 12, 8 + int.from_bytes(data[4:8], "little")
    if end > len(data) or end <= at:
        raise ValueError("cut off")
    while at < end:
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        stop = at + 8 + size + size % 2
        if stop > len(data):
            raise ValueError("cut off")
        yield at, stop
        at = stop


def _webp_with(data: bytes, span: tuple[int, int], packet: bytes) -> bytes:
    chunk = b"XMP " + struct.pack("<I", len(packet)) + packet + b"\0" * (len(packet) % 2)
    body = _spliced(data, span, chunk)[12:]
    if body[:4] == b"VP8X":
        body = body[:8] + bytes([body[8] | 0x04]) + body[9:]
    else:
        width, height, alpha = _webp_size(body)
        flags = 0x04 | (0x10 if alpha else 0)
        sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        body = b"VP8X" + struct.pack("<I", 10) + bytes([flags, 0, 0, 0]) + sizes + body
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _webp_size(body: bytes) -> tuple[int, int, bool]:
    """Width, height and alpha of a simple file: RFC 6386 section 9.1, and the lossless bitstream's header."""
    if body[:4] == b"VP8L" and body[8] == 0x2F:
        bits = int.from_bytes(body[9:13], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1)
    if body[:4] == b"VP8 " and body[11:14] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", body, 14)
        return width & 0x3FFF, height & 0x3FFF, False
    raise ValueError("no VP8 frame")


# GIF


def _gif(data: bytes) -> Layout:
    spans, packet, credentials, end = [], None, False, len(data)
    for start, stop in _gif_blocks(data):
        application = data[start + 3 : start + 14] if data[start : start + 2] == b"\x21\xff" else b""
        credentials |= application.startswith(b"C2PA_GIF")
        if application == _GIF_XMP:
            spans.append((start, stop))
            packet = data[start + 14 : stop - len(_GIF_TRAILER)]
        end = stop
    span = _one(spans, end)  # last, so that the loop count keeps its place behind the palette
    extension = b"\x21\xff\x0b" + _GIF_XMP
    return Layout(
        credentials,
        packet,
        lambda new: b"GIF89a" + _spliced(data, span, extension + new + _GIF_TRAILER)[6:],
    )


def _gif_blocks(data: bytes) -> Iterator[tuple[int, int]]:
    """Start and end of each extension and image, up to the trailer."""
    at = 13 + _palette(data[10])
    while data[at] != 0x3B:
        start = at
        if data[at] == 0x21:
            at += 2
        elif data[at] == 0x2C:
            at += 11 + _palette(data[at + 9])
        else:
            raise ValueError("no block")
        while data[at]:
            at += 1 + data[at]
        at += 1
        yield start, at


def _palette(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


# TIFF


def _tiff(data: bytes) -> Layout:
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, at)
    entries = [data[at + 2 + 12 * i : at + 14 + 12 * i] for i in range(count)]
    (following,) = struct.unpack_from(f"{order}I", data, at + 2 + 12 * count)
    tags = [struct.unpack_from(f"{order}H", entry)[0] for entry in entries]
    packet, old = None, (8, 8)
    if _TIFF_XMP in tags:
        kind, size, where = struct.unpack(f"{order}2xHII", entries[tags.index(_TIFF_XMP)])
        if kind not in {1, 7} or size <= 4 or where < 8 or where + size > len(data):
            raise ValueError("not bytes")
        packet, old = data[where : where + size], (where, where + size)
    rest = [entry for entry, tag in zip(entries, tags, strict=True) if tag != _TIFF_XMP]
    # A page behind this one is not looked into, and may hold credentials.
    credentials = _TIFF_C2PA in tags or following != 0
    # Readers that look for packets without following the directory must not find the old one, too.
    return Layout(
        credentials,
        packet,
        lambda new: _tiff_with(_spliced(data, old, b"\0" * (old[1] - old[0])), order, rest, following, new),
    )


def _tiff_with(data: bytes, order: str, entries: list[bytes], following: int, packet: bytes) -> bytes:
    """The packet and a new directory at the end of the file; nothing that is there moves."""
    padded = data + b"\0" * (len(data) % 2)
    entry = struct.pack(f"{order}HHII", _TIFF_XMP, 1, len(packet), len(padded))
    where = len(padded) + len(packet) + len(packet) % 2
    entries = sorted([*entries, entry], key=lambda e: int(struct.unpack_from(f"{order}H", e)[0]))
    directory = struct.pack(f"{order}H", len(entries)) + b"".join(entries) + struct.pack(f"{order}I", following)
    head = padded[:4] + struct.pack(f"{order}I", where)
    return b"".join((head, memoryview(padded)[8:], packet, b"\0" * (len(packet) % 2), directory))


# AVIF


def _avif(data: bytes) -> Layout:
    credentials = _C2PA_BOX in data or b"provenance" in data
    try:
        packet, put = xmp_of(data)
    except _BROKEN as error:
        return Layout(credentials, why=f"its boxes are laid out in another way than known here ({error})")
    return Layout(credentials, packet, put)


_SCANS: Final[dict[str, Callable[[bytes], Layout]]] = {
    "image/avif": _avif,
    "image/gif": _gif,
    "image/jpeg": _jpeg,
    "image/png": _png,
    "image/tiff": _tiff,
    "image/webp": _webp,
}
