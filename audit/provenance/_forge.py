# SPDX-License-Identifier: Apache-2.0
"""Mutations of bytes and containers for `audit.provenance.tamper`; each gives None where it does not apply."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from functools import partial
from typing import Self

import numpy as np

from audit.provenance._boxes import Box, Oddity, parse
from audit.provenance._paste import overwrite, paste
from audit.provenance._wrapping import KINDS, Located, locate


@dataclass(frozen=True, slots=True)
class Target:
    """A signed file, taken apart.

    Attributes:
        data: the whole file.
        kind: its media type.
        found: its store, None where it cannot be found.
        top: boxes of the store.
        other: the file that parts are taken from.
    """

    data: bytes
    kind: str
    found: Located | None
    top: Box | None
    other: Target | None = None

    @classmethod
    def of(cls, data: bytes, kind: str, other: bytes | None = None) -> Self:
        """Take a file apart."""
        found = locate(data, kind) if kind in KINDS else None
        try:
            top = parse(found.store) if found else None
        except Oddity:
            top = None
        return cls(data, kind, found, top, cls.of(other, kind) if other is not None else None)

    def with_store(self, store: bytes) -> bytes:
        """The file with another store: in place if it has the same length, else around a new wrapping."""
        assert self.found is not None
        if len(store) == len(self.found.store):
            return overwrite(self.data, self.kind, store)
        return paste(self.data, self.kind, store)

    def part(self, *kinds: str) -> Box | None:
        """A box of the active manifest, by kind and kind below it."""
        box = self.top.children[-1] if self.top and self.top.children else None
        for kind in kinds:
            box = next(iter(box.of(kind)), None) if box else None
        return box


Rng = np.random.Generator


def _int(rng: Rng, low: int, high: int) -> int:
    """From low to high - 1."""
    return int(rng.integers(low, max(high, low + 1)))


def _span(target: Target, rng: Rng, most: int) -> tuple[int, int]:
    """A range of the file; half of the time within the store, which is small in most files."""
    low, high = 0, len(target.data)
    if target.found and rng.random() < 0.5:
        low, high = target.found.pieces[0][0] - 12, target.found.pieces[-1][1] + 4
    at = _int(rng, max(low, 0), min(high, len(target.data)))
    return at, min(at + _int(rng, 1, most + 1), len(target.data))


def _replaced(data: bytes, at: int, end: int, new: bytes) -> bytes:
    return data[:at] + new + data[end:]


# Any bytes.


def flip(target: Target, rng: Rng) -> bytes | None:
    """One bit."""
    at, end = _span(target, rng, 1)
    return _replaced(target.data, at, end, bytes(b ^ (1 << _int(rng, 0, 8)) for b in target.data[at:end]))


def flips(target: Target, rng: Rng) -> bytes | None:
    """Two to sixty-four bits, anywhere."""
    changed = bytearray(target.data)
    for _ in range(_int(rng, 2, 65)):
        at, end = _span(target, rng, 1)
        for where in range(at, end):
            changed[where] ^= 1 << _int(rng, 0, 8)
    return bytes(changed)


def set_byte(target: Target, rng: Rng) -> bytes | None:
    """One byte to any value."""
    at, end = _span(target, rng, 1)
    return _replaced(target.data, at, end, rng.bytes(end - at))


def overwrite_random(target: Target, rng: Rng) -> bytes | None:
    """Up to 64 bytes to any values."""
    at, end = _span(target, rng, 64)
    return _replaced(target.data, at, end, rng.bytes(end - at))


def zero(target: Target, rng: Rng) -> bytes | None:
    """Up to 256 bytes to zero."""
    at, end = _span(target, rng, 256)
    return _replaced(target.data, at, end, bytes(end - at))


def insert(target: Target, rng: Rng) -> bytes | None:
    """Up to 64 bytes more."""
    at, _ = _span(target, rng, 1)
    return _replaced(target.data, at, at, rng.bytes(_int(rng, 1, 65)))


def delete(target: Target, rng: Rng) -> bytes | None:
    """Up to 64 bytes less."""
    at, end = _span(target, rng, 64)
    return _replaced(target.data, at, end, b"")


def truncate(target: Target, rng: Rng) -> bytes | None:
    """The end is missing; often only a few bytes of it."""
    most = len(target.data) if rng.random() < 0.5 else 32
    return target.data[: max(len(target.data) - _int(rng, 1, most + 1), 0)]


def append(target: Target, rng: Rng) -> bytes | None:
    """Bytes after the end, zeros half of the time."""
    size = _int(rng, 1, 65)
    return target.data + (bytes(size) if rng.random() < 0.5 else rng.bytes(size))


def swap(target: Target, rng: Rng) -> bytes | None:
    """Two neighbouring blocks change places."""
    at, middle = _span(target, rng, 128)
    end = min(middle + _int(rng, 1, 129), len(target.data))
    return _replaced(target.data, at, end, target.data[middle:end] + target.data[at:middle])


def duplicate(target: Target, rng: Rng) -> bytes | None:
    """A block comes twice, in place of what followed or before it."""
    at, end = _span(target, rng, 128)
    block = target.data[at:end]
    return _replaced(target.data, end, end + (len(block) if rng.random() < 0.5 else 0), block)


# The container.


def checksum(target: Target, rng: Rng) -> bytes | None:
    """A byte of the checksum of the chunk with the store (PNG)."""
    if target.kind != "image/png" or target.found is None:
        return None
    at = target.found.pieces[-1][1] + _int(rng, 0, 4)
    return _replaced(target.data, at, at + 1, rng.bytes(1))


def wrapping(target: Target, rng: Rng) -> bytes | None:
    """A bit of what stands right before or after a piece of the store; in AVIF also of the file type."""
    if target.found is None:
        return None
    start, end = target.found.pieces[_int(rng, 0, len(target.found.pieces))]
    places = [*range(max(start - 45, 0), start), *range(end, min(end + 4, len(target.data)))]
    places += range(32) if target.kind == "image/avif" else ()
    at = places[_int(rng, 0, len(places))]
    return _replaced(target.data, at, at + 1, bytes([target.data[at] ^ (1 << _int(rng, 0, 8))]))


def second_manifest(target: Target, rng: Rng) -> bytes | None:
    """A second store beside the first: its own, or that of another file."""
    source = target.other if target.other is not None and rng.random() < 0.5 else target
    if target.found is None or source.found is None or target.kind == "image/tiff":
        return None
    block = _block(source.found.store, target.kind)
    end = target.found.pieces[-1][1] + {"image/png": 4, "image/gif": 1}.get(target.kind, 0)
    return _sized(_replaced(target.data, end, end, block), target.kind)


def manifest_of_another(target: Target, _rng: Rng) -> bytes | None:
    """This picture with the credentials of another."""
    if target.found is None or target.other is None or target.other.found is None:
        return None
    return target.with_store(target.other.found.store)


def pixels_of_another(target: Target, _rng: Rng) -> bytes | None:
    """Another picture, signed itself, with these credentials."""
    if target.found is None or target.other is None or target.other.found is None:
        return None
    return target.other.with_store(target.found.store)


def drawn_again(target: Target, rng: Rng) -> bytes | None:
    """Decoded, a little brighter or the same, encoded again, and the old credentials pasted in."""
    from PIL import Image

    if target.found is None or target.kind == "image/tiff":
        return None
    name = target.kind.partition("/")[2].upper()
    picture = Image.open(io.BytesIO(target.data)).convert("RGB")
    add = _int(rng, 0, 9)
    sink = io.BytesIO()
    picture.point(partial(_brighter, add)).save(sink, name, quality=_int(rng, 60, 100))
    return paste(sink.getvalue(), target.kind, target.found.store)


def _brighter(add: int, level: int) -> int:
    return min(level + add, 255)


def metadata(target: Target, rng: Rng) -> bytes | None:
    """A text added after signing, as an editor would."""
    text = b"Comment\0" + rng.bytes(8).hex().encode()
    if target.kind == "image/png":
        chunk = struct.pack(">I", len(text)) + b"tEXt" + text + struct.pack(">I", zlib.crc32(b"tEXt" + text))
        at = 33 if rng.random() < 0.5 else len(target.data) - 12
        return _replaced(target.data, at, at, chunk)
    if target.kind == "image/jpeg":
        at = 2 if rng.random() < 0.5 else target.data.rfind(b"\xff\xda")
        return _replaced(target.data, at, at, b"\xff\xfe" + struct.pack(">H", len(text) + 2) + text)
    if target.kind == "image/webp":
        return _sized(target.data + b"EXIF" + struct.pack("<I", len(text)) + text, target.kind)
    if target.kind == "image/gif":
        comment = b"\x21\xfe" + bytes([len(text)]) + text + b"\0"
        return _replaced(target.data, len(target.data) - 1, len(target.data) - 1, comment)
    name = (b"free", b"mfra", b"uuid")[_int(rng, 0, 3)]  # an index of fragments is not hashed
    return target.data + struct.pack(">I", len(text) + 8) + name + text


def _block(store: bytes, kind: str) -> bytes:
    """A store with the wrapping of a format."""
    empty = {"image/png": bytes(33), "image/jpeg": bytes(2), "image/webp": bytes(12), "image/gif": bytes(13)}
    before = empty.get(kind, struct.pack(">I", 8) + b"ftyp")
    return paste(before, kind, store)[len(before) :]


def _sized(data: bytes, kind: str) -> bytes:
    return data[:4] + struct.pack("<I", len(data) - 8) + data[8:] if kind == "image/webp" else data
