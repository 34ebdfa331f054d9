# SPDX-License-Identifier: Apache-2.0
"""A reader for CBOR (RFC 8949) that accepts one way only to write a value: section 4.2.1 without the order of keys."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["NotCanonical", "Tagged", "dumps", "loads"]

_DEPTH: Final = 32
_WIDTHS: Final = {24: (">B", 24), 25: (">H", 1 << 8), 26: (">I", 1 << 16), 27: (">Q", 1 << 32)}
_SIMPLE: Final = {20: False, 21: True, 22: None}  # "undefined" (23) has no place in a signature
_FLOATS: Final = {25: ">e", 26: ">f", 27: ">d"}


class NotCanonical(ValueError):  # noqa: N818 - found in a file, not an error of ours
    """The bytes are no CBOR, could be written shorter, name a key twice, or go on after the value."""


@dataclass(frozen=True, slots=True)
class Tagged:
    """A value with a tag."""

    tag: int
    value: Any


def loads(data: bytes) -> Any:
    """The one value that fills ``data``: int, bytes, str, list, dict, bool, None, float or `Tagged`.

    Raises:
        NotCanonical: see there.
    """
    try:
        value, end = _item(data, 0, _DEPTH)
    except (struct.error, IndexError, UnicodeDecodeError, TypeError, KeyError) as error:
        raise NotCanonical(str(error)) from None
    if end != len(data):
        raise NotCanonical(f"{len(data) - end} bytes after the value")
    return value


def dumps(value: bytes | str | list[Any]) -> bytes:
    """The shortest form of bytes, text, and lists of them."""
    if isinstance(value, list):
        return _head(4, len(value)) + b"".join(map(dumps, value))
    text = value.encode("utf-8") if isinstance(value, str) else value
    return _head(3 if isinstance(value, str) else 2, len(text)) + text


def _head(major: int, count: int) -> bytes:
    if count < 24:
        return bytes([major << 5 | count])
    low, form = next((low, form) for low, (form, _) in _WIDTHS.items() if count < 1 << 8 * struct.calcsize(form))
    return bytes([major << 5 | low]) + struct.pack(form, count)


def _item(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    if depth == 0:
        raise NotCanonical("too deep")
    major, low = data[at] >> 5, data[at] & 31
    if major == 7:
        return _special(data, at + 1, low)
    count, at = _count(data, at + 1, low)
    return _MAJOR[major](data, at, count, depth - 1)


def _count(data: bytes, at: int, low: int) -> tuple[int, int]:
    if low < 24:
        return low, at
    form, least = _WIDTHS[low]  # 28 to 30 are reserved, 31 is of unknown length: neither has a place here
    (count,) = struct.unpack_from(form, data, at)
    if count < least:
        raise NotCanonical("a number longer than it has to be")
    return count, at + struct.calcsize(form)


def _special(data: bytes, at: int, low: int) -> tuple[Any, int]:
    if low in _FLOATS:
        (number,) = struct.unpack_from(_FLOATS[low], data, at)
        return number, at + struct.calcsize(_FLOATS[low])
    return _SIMPLE[low], at


def _text(data: bytes, at: int, count: int, _depth: int) -> tuple[str, int]:
    return _bytes(data, at, count, 0)[0].decode("utf-8"), at + count


def _bytes(data: bytes, at: int, count: int, _depth: int) -> tuple[bytes, int]:
    if at + count > len(data):
        raise NotCanonical("ends too early")
    return data[at : at + count], at + count


def _array(data: bytes, at: int, count: int, depth: int) -> tuple[list[Any], int]:
    found = []
    for _ in range(count):
        value, at = _item(data, at, depth)
        found.append(value)
    return found, at


def _map(data: bytes, at: int, count: int, depth: int) -> tuple[dict[Any, Any], int]:
    found: dict[Any, Any] = {}
    for _ in range(count):
        key, at = _item(data, at, depth)
        if key in found:
            raise NotCanonical(f"key {key!r} twice")
        found[key], at = _item(data, at, depth)
    return found, at


def _tag(data: bytes, at: int, count: int, depth: int) -> tuple[Tagged, int]:
    value, at = _item(data, at, depth)
    return Tagged(count, value), at


def _unsigned(_data: bytes, at: int, count: int, _depth: int) -> tuple[int, int]:
    return count, at


def _negative(_data: bytes, at: int, count: int, _depth: int) -> tuple[int, int]:
    return -1 - count, at


_MAJOR: Final[tuple[Callable[[bytes, int, int, int], tuple[Any, int]], ...]] = (
    _unsigned,
    _negative,
    _bytes,
    _text,
    _array,
    _map,
    _tag,
)
