# SPDX-License-Identifier: Apache-2.0
"""Put a manifest store into a file without signing anything: what a forger can do with any editor."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Final

from audit.provenance._boxes import Box
from audit.provenance._wrapping import locate

__all__ = ["overwrite", "paste", "splice"]

_SEGMENT: Final = 64_000
_UUID: Final = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")


def overwrite(data: bytes, kind: str, store: bytes) -> bytes:
    """``data`` with another store of the same length in the old one's place; the checksum of a PNG chunk is mended.

    Raises:
        ValueError: the file holds no store of this length.
    """
    found = locate(data, kind)
    if found is None or len(found.store) != len(store):
        raise ValueError("no store of this length")
    whole, at = bytearray(data), 0
    for start, end in found.pieces:
        whole[start:end] = store[at : at + end - start]
        at += end - start
    if kind == "image/png":
        start, end = found.pieces[0]
        whole[end : end + 4] = struct.pack(">I", zlib.crc32(whole[start - 4 : end]))
    return bytes(whole)


def paste(data: bytes, kind: str, store: bytes) -> bytes:
    """``data`` with ``store``, whatever its length, instead of the store it holds, or added where it holds none.

    Raises:
        ValueError: TIFF without a store, or no such format.
    """
    found = locate(data, kind)
    if kind == "image/tiff":
        return _into_tiff(data, store)
    start, end = _extent(data, kind, found.pieces) if found else (_place(data, kind),) * 2
    whole = data[:start] + _WRAP[kind](store) + data[end:]
    return whole[:4] + struct.pack("<I", len(whole) - 8) + whole[8:] if kind == "image/webp" else whole


def splice(store: bytes, top: Box, inside: Box, span: tuple[int, int], new: bytes) -> bytes:
    """``store`` with ``new`` in place of ``span``, which lies in the box ``inside``; all lengths around are mended."""
    start, end = span
    whole = bytearray(store)
    for box in top.walk():
        if box.start <= inside.start and inside.end <= box.end:
            whole[box.start : box.start + 4] = struct.pack(">I", box.end - box.start + len(new) - (end - start))
    whole[start:end] = new
    return bytes(whole)


def _extent(data: bytes, kind: str, pieces: tuple[tuple[int, int], ...]) -> tuple[int, int]:
    """Of the store with its wrapping."""
    start, end = pieces[0][0], pieces[-1][1]
    before, after = {
        "image/png": (8, 4),
        "image/jpeg": (12, 0),
        "image/webp": (8, end % 2),
        "image/gif": (15, 1),
        "image/avif": (8 + 16 + 4 + 9 + 8, 0),
    }[kind]
    return start - before, min(end + after, len(data))


def _place(data: bytes, kind: str) -> int:
    if kind == "image/gif":
        return 13 + (3 << (data[10] % 8 + 1) if data[10] & 0x80 else 0)
    if kind == "image/avif":
        return int.from_bytes(data[:4], "big")
    return {"image/png": 33, "image/jpeg": 2, "image/webp": len(data)}[kind]


def _png(store: bytes) -> bytes:
    return struct.pack(">I", len(store)) + b"caBX" + store + struct.pack(">I", zlib.crc32(b"caBX" + store))


def _jpeg(store: bytes) -> bytes:
    parts = [store[at : at + _SEGMENT] for at in range(0, len(store), _SEGMENT)]
    heads = [b"JP\x02\x11" + struct.pack(">I", i + 1) + (store[:8] if i else b"") for i in range(len(parts))]
    return b"".join(
        b"\xff\xeb" + struct.pack(">H", 2 + len(h) + len(p)) + h + p for h, p in zip(heads, parts, strict=True)
    )


def _webp(store: bytes) -> bytes:
    return b"C2PA" + struct.pack("<I", len(store)) + store + bytes(len(store) % 2)


def _gif(store: bytes) -> bytes:
    parts = (store[at : at + 255] for at in range(0, len(store), 255))
    return b"\x21\xff\x0bC2PA_GIF\x01\x00\x00" + b"".join(bytes([len(p)]) + p for p in parts) + b"\0"


def _avif(store: bytes) -> bytes:
    body = b"uuid" + _UUID + bytes(4) + b"manifest\0" + bytes(8) + store
    return struct.pack(">I", len(body) + 4) + body


def _into_tiff(data: bytes, store: bytes) -> bytes:
    order = "<" if data[:2] == b"II" else ">"
    tag = struct.pack(f"{order}H", 0xCD41)
    (first,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, first)
    entries = range(first + 2, first + 2 + 12 * count, 12)
    entry = next((at for at in entries if data[at : at + 2] == tag), None)
    if entry is None:
        raise ValueError("a TIFF without an entry for a store")
    whole = bytearray(data + bytes(len(data) % 2))
    struct.pack_into(f"{order}II", whole, entry + 4, len(store), len(whole))
    return bytes(whole) + store


_WRAP: Final[dict[str, Callable[[bytes], bytes]]] = {
    "image/png": _png,
    "image/jpeg": _jpeg,
    "image/webp": _webp,
    "image/gif": _gif,
    "image/avif": _avif,
}
