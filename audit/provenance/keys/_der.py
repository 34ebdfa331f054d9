# SPDX-License-Identifier: Apache-2.0
"""The little of DER (ITU-T X.690) that time stamps need: write values, walk through values."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

__all__ = [
    "BOOLEAN",
    "INTEGER",
    "OCTETS",
    "OID",
    "SEQUENCE",
    "children",
    "context",
    "generalized_time",
    "integer",
    "object_identifier",
    "octets",
    "sequence",
    "set_of",
    "tlv",
    "to_integer",
]

BOOLEAN: Final = 0x01
INTEGER: Final = 0x02
OCTETS: Final = 0x04
OID: Final = 0x06
SEQUENCE: Final = 0x30
_SET: Final = 0x31
_GENERALIZED_TIME: Final = 0x18


def tlv(tag: int, content: bytes) -> bytes:
    """One value: tag, length (8.1.3), content."""
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def sequence(*items: bytes) -> bytes:
    """SEQUENCE of encoded items."""
    return tlv(SEQUENCE, b"".join(items))


def set_of(*items: bytes) -> bytes:
    """SET OF encoded items, in the order that DER wants (11.6)."""
    return tlv(_SET, b"".join(sorted(items)))


def integer(value: int) -> bytes:
    """INTEGER in two's complement, as short as can be."""
    return tlv(INTEGER, value.to_bytes((value if value >= 0 else ~value).bit_length() // 8 + 1, "big", signed=True))


def octets(content: bytes) -> bytes:
    """OCTET STRING."""
    return tlv(OCTETS, content)


def object_identifier(dotted: str) -> bytes:
    """OBJECT IDENTIFIER (8.19): the first two arcs share a number, each number in base 128."""
    first, second, *rest = map(int, dotted.split("."))
    return tlv(OID, b"".join(map(_base128, (40 * first + second, *rest))))


def _base128(number: int) -> bytes:
    groups = [number & 0x7F]
    while number := number >> 7:
        groups.append(0x80 | number & 0x7F)
    return bytes(reversed(groups))


def generalized_time(moment: datetime) -> bytes:
    """GeneralizedTime in UTC to the second."""
    return tlv(_GENERALIZED_TIME, moment.astimezone(UTC).strftime("%Y%m%d%H%M%SZ").encode())


def context(number: int, content: bytes) -> bytes:
    """A constructed value with context tag ``number``."""
    return tlv(0xA0 | number, content)


def children(content: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Values in ``content``, one after the other: tag, content, the whole encoding.

    Raises:
        ValueError: the bytes are not DER with one-byte tags.
    """
    at = 0
    while at < len(content):
        start, (size, at) = at, _length(content, at + 1)
        if at + size > len(content) or content[start] & 0x1F == 0x1F:
            raise ValueError("a value is longer than the bytes around it, or has a long tag")
        yield content[start], content[at : at + size], content[start : at + size]
        at += size


def _length(content: bytes, at: int) -> tuple[int, int]:
    """Length that is written at ``at``, and where the content begins."""
    if at >= len(content):
        raise ValueError("the bytes end inside a value")
    first = content[at]
    if first < 0x80:
        return first, at + 1
    count = first & 0x7F
    if not 0 < count <= 4 or at + 1 + count > len(content):
        raise ValueError("the length of a value is not DER")
    return int.from_bytes(content[at + 1 : at + 1 + count], "big"), at + 1 + count


def to_integer(content: bytes) -> int:
    """The number in an INTEGER's content."""
    return int.from_bytes(content, "big", signed=True)
