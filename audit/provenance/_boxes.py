# SPDX-License-Identifier: Apache-2.0
"""The boxes of a manifest store, read so strictly that writing them again would give the same bytes.

ISO/IEC 19566-5 (JUMBF), annexes A and B: a superbox ``jumb`` holds a description ``jumd`` (type, toggles, label, and a
private box, where C2PA puts a salt), then content boxes or further superboxes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

__all__ = ["Box", "Oddity", "parse"]

_DEPTH: Final = 8
_TAIL: Final = bytes.fromhex("00110010800000aa00389b71")  # of every type but that of embedded files
_FILE: Final = bytes.fromhex("40cb0c32bb8a489da70b2ad6f47f4369")
_PLAIN: Final = 0x03  # may be asked for, has a label
_SALTED: Final = 0x13  # and has a private box


class Oddity(Exception):  # noqa: N818 - not an error of ours: what it names was found in a file
    """What a strict reader refuses; the message is a code."""


@dataclass(frozen=True, slots=True)
class Box:
    """One box of a store.

    Attributes:
        name: four characters.
        start: of its header, in the store.
        body: where its contents start.
        end: in the store.
        kind: of a superbox: "c2pa", "c2ma", "cbor" ..., "file" for embedded files, else the type in hex.
        label: of a superbox.
        children: contents of a superbox after its description.
    """

    name: bytes
    start: int
    body: int
    end: int
    kind: str = ""
    label: bytes = b""
    children: tuple[Box, ...] = ()

    def of(self, kind: str) -> list[Box]:
        """Children of one kind."""
        return [box for box in self.children if box.kind == kind]

    def walk(self) -> Iterator[Box]:
        """This box and all below it."""
        yield self
        for box in self.children:
            yield from box.walk()


def parse(store: bytes) -> Box:
    """The superbox that fills ``store`` exactly.

    Raises:
        Oddity: lengths that do not add up, a description with unusual toggles or anything left over.
    """
    boxes = _boxes(store, 0, len(store), _DEPTH)
    if len(boxes) != 1 or boxes[0].name != b"jumb":
        raise Oddity("genaudit.jumbf.store")
    return boxes[0]


def _boxes(store: bytes, at: int, end: int, depth: int) -> tuple[Box, ...]:
    found = []
    while at < end:
        if at + 8 > end:
            raise Oddity("genaudit.jumbf.length")
        size, name = struct.unpack_from(">I4s", store, at)
        # Sizes 0 (to the end) and 1 (64 bits follow) are other ways to write the same box.
        if size < 8 or at + size > end:
            raise Oddity("genaudit.jumbf.length")
        found.append(_super(store, at, at + size, depth) if name == b"jumb" else Box(name, at, at + 8, at + size))
        at += size
    return tuple(found)


def _super(store: bytes, start: int, end: int, depth: int) -> Box:
    if depth == 0:
        raise Oddity("genaudit.jumbf.depth")
    size, name = struct.unpack_from(">I4s", store, start + 8) if start + 16 <= end else (0, b"")
    if name != b"jumd" or start + 8 + size > end or size < 26:
        raise Oddity("genaudit.jumbf.description")
    kind, label = _description(store[start + 16 : start + 8 + size])
    children = _boxes(store, start + 8 + size, end, depth - 1)
    return Box(b"jumb", start, start + 8, end, kind, label, children)


def _description(body: bytes) -> tuple[str, bytes]:
    toggles = body[16]
    stop = body.find(b"\0", 17)
    if stop <= 17 or toggles not in {_PLAIN, _SALTED}:
        raise Oddity("genaudit.jumbf.description")
    private = body[stop + 1 :]
    salted = private[4:8] == b"c2sh" and struct.unpack_from(">I", private)[0] == len(private)
    if (toggles == _SALTED) != salted or bool(private) != salted:
        raise Oddity("genaudit.jumbf.description")
    return _kind(body[:16]), body[17:stop]


def _kind(uuid: bytes) -> str:
    if uuid == _FILE:
        return "file"
    return uuid[:4].decode("latin-1") if uuid[4:] == _TAIL else uuid.hex()
