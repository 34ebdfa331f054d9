# SPDX-License-Identifier: Apache-2.0
"""XMP in AVIF (and HEIF) files: an item of type "mime", as ISO 23008-12 annex A wants it.

Only still images as encoders write them: one ``meta`` box, data in the file itself. The packet goes to the end of the
file; where ``meta`` grows, the places of all other items (``iloc``, ISO 14496-12 section 8.11.3) move with it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

__all__ = ["xmp_of"]

_XMP_TYPE: Final = b"application/rdf+xml"


@dataclass(frozen=True, slots=True)
class _Item:
    """One entry of ``iloc``: id, how its data is reached, reference, base, and (index, offset, length) of each part."""

    number: int
    method: int
    reference: int
    base: int
    extents: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class _Locations:
    """An ``iloc`` box: its version, the four sizes of its fields (offset, length, base, index), its items."""

    version: int
    sizes: tuple[int, int, int, int]
    items: tuple[_Item, ...]


def xmp_of(data: bytes) -> tuple[bytes | None, Callable[[bytes], bytes]]:
    """The packet of a file (None where it has none), and what puts another in.

    Raises:
        ValueError, IndexError, struct.error: the file is built in another way.
    """
    boxes = list(_boxes(data, 0, len(data)))
    if any(name in {b"moov", b"moof"} for name, *_ in boxes):
        raise ValueError("an image sequence")
    ((_, start, body, end),) = [box for box in boxes if box[0] == b"meta"]
    parts = {name: data[at:stop] for name, at, _, stop in _boxes(data, body + 4, end)}
    order = list(parts)
    if len(order) != sum(1 for _ in _boxes(data, body + 4, end)):
        raise ValueError("a box twice")
    locations, infos = _read_iloc(parts[b"iloc"]), list(_infos(parts[b"iinf"]))
    found = [number for number, kind in infos if kind == _XMP_TYPE]
    if len(found) > 1:
        raise ValueError("several XMP packets")
    if not found:
        return None, lambda new: _added(data, (start, end), parts, locations, new)
    (item,) = [item for item in locations.items if item.number == found[0]]
    ((_, offset, length),) = item.extents
    where = item.base + offset
    if item.method or where < 8 or where + length > len(data):
        raise ValueError("a packet elsewhere")

    def replaced(new: bytes) -> bytes:
        blank = data[:where] + b"\0" * length + data[where + length :]
        moved = replace(item, base=0, extents=((0, len(data) + 8, len(new)),))
        items = tuple(moved if one.number == item.number else one for one in locations.items)
        made = {**parts, b"iloc": _iloc(replace(locations, items=items))}
        meta = _box(b"meta", data[body : body + 4] + b"".join(made.values()))
        if len(meta) != end - start:
            raise ValueError("its items are placed in an unusual way")
        return blank[:start] + meta + blank[end:] + _box(b"mdat", new)

    return data[where : where + length], replaced


def _added(data: bytes, span: tuple[int, int], parts: dict[bytes, bytes], locations: _Locations, new: bytes) -> bytes:
    start, end = span
    number = 1 + max([item.number for item in locations.items] + [n for n, _ in _infos(parts[b"iinf"])])
    primary = int.from_bytes(parts[b"pitm"][12:], "big")
    made = {**parts, b"iinf": _with_info(parts[b"iinf"], number), b"iref": _with_reference(parts, number, primary)}
    grown = 0
    for _ in range(2):  # the first round finds out by how much meta grows, the second places everything
        items = tuple(_moved(item, grown, end) for item in locations.items)
        packet = _Item(number, 0, 0, 0, ((0, len(data) + grown + 8, len(new)),))
        made[b"iloc"] = _iloc(replace(locations, items=(*items, packet)))
        meta = _box(b"meta", data[start + 8 : start + 12] + b"".join(made.values()))
        grown = len(meta) - (end - start)
    return data[:start] + meta + data[end:] + _box(b"mdat", new)


def _moved(item: _Item, by: int, behind: int) -> _Item:
    if item.method:  # inside of meta itself
        return item
    if item.base >= behind:
        return replace(item, base=item.base + by)
    moved = tuple((i, at + by if item.base + at >= behind else at, size) for i, at, size in item.extents)
    return replace(item, extents=moved)


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int, int]]:
    """Name, start, start of the content and end of each box."""
    while at < end:
        size, name = struct.unpack_from(">I4s", data, at)
        body = at + 8
        if size == 1:
            size, body = struct.unpack_from(">Q", data, at + 8)[0], at + 16
        if size < body - at or at + size > end:  # 0 means up to the end of the file: nothing can be put behind it
            raise ValueError("a box of unknown size")
        if name == b"meta" and body != at + 8:
            raise ValueError("a large meta box")
        yield name, at, body, at + size
        at += size


def _box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, name) + body


def _infos(iinf: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and content type (of items of type "mime") of each item."""
    first = 14 if iinf[8] == 0 else 16
    for name, at, _, end in _boxes(iinf, first, len(iinf)):
        version = iinf[at + 8]
        if name != b"infe" or version not in {2, 3}:
            raise ValueError("items of an old kind")
        wide = 2 if version == 2 else 4
        rest = at + 12 + wide + 2
        kind = iinf[rest : rest + 4]
        names = iinf[rest + 4 : end].split(b"\0")
        yield int.from_bytes(iinf[at + 12 : at + 12 + wide], "big"), names[1] if kind == b"mime" else kind


def _with_info(iinf: bytes, number: int) -> bytes:
    wide = 2 if number < 2**16 else 4
    head = bytes([wide if wide == 2 else 3, 0, 0, 0]) + number.to_bytes(wide, "big") + b"\0\0"
    entry = _box(b"infe", head + b"mime" + b"XMP\0" + _XMP_TYPE + b"\0")
    size = 2 if iinf[8] == 0 else 4
    count = int.from_bytes(iinf[12 : 12 + size], "big") + 1
    return _box(b"iinf", iinf[8:12] + count.to_bytes(size, "big") + iinf[12 + size :] + entry)


def _with_reference(parts: dict[bytes, bytes], number: int, primary: int) -> bytes:
    """The item describes ("cdsc") the primary one."""
    old = parts.get(b"iref", _box(b"iref", b"\0\0\0\0"))
    wide = 2 if old[8] == 0 else 4
    numbers = number.to_bytes(wide, "big") + b"\0\1" + primary.to_bytes(wide, "big")
    return _box(b"iref", old[8:] + _box(b"cdsc", numbers))


def _read_iloc(box: bytes) -> _Locations:
    version = box[8]
    if version > 2:
        raise ValueError("unknown iloc")
    offset, length, base, index = box[12] >> 4, box[12] & 15, box[13] >> 4, box[13] & 15
    sizes = (offset, length, base, index if version else 0)
    at = 14

    def take(size: int) -> int:
        nonlocal at
        if at + size > len(box):
            raise ValueError("cut off")
        at += size
        return int.from_bytes(box[at - size : at], "big")

    wide = 4 if version == 2 else 2
    items = []
    for _ in range(take(wide)):
        number, method = take(wide), take(2) & 15 if version else 0
        reference, start = take(2), take(sizes[2])
        extents = tuple((take(sizes[3]), take(sizes[0]), take(sizes[1])) for _ in range(take(2)))
        items.append(_Item(number, method, reference, start, extents))
    return _Locations(version, sizes, tuple(items))


def _iloc(locations: _Locations) -> bytes:
    offset, length, base, index = locations.sizes
    if 0 in {offset, length}:
        raise ValueError("its items are placed in an unusual way")
    wide = 4 if locations.version == 2 else 2
    made = [bytes([locations.version, 0, 0, 0, offset << 4 | length, base << 4 | index])]
    made.append(len(locations.items).to_bytes(wide, "big"))
    try:
        for item in locations.items:
            made.append(item.number.to_bytes(wide, "big"))
            made.append(item.method.to_bytes(2, "big") if locations.version else b"")
            made += [item.reference.to_bytes(2, "big"), item.base.to_bytes(base, "big")]
            made.append(len(item.extents).to_bytes(2, "big"))
            for number, at, size in item.extents:
                made += [number.to_bytes(index, "big"), at.to_bytes(offset, "big"), size.to_bytes(length, "big")]
    except OverflowError:
        raise ValueError("its items are placed in an unusual way") from None
    return _box(b"iloc", b"".join(made))
