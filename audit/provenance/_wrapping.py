# SPDX-License-Identifier: Apache-2.0
"""Where the manifest store lies in an image file, and what is odd about the wrapping around it.

The hash of a file leaves the wrapping of its own store out, so a byte changed there is noticed by nobody. Sources: PNG
(W3C 2003, 5.3), JPEG XT boxes (ISO/IEC 18477-3, annex B), RIFF, ISO BMFF (ISO/IEC 14496-12), TIFF 6.0, GIF 89a, and
C2PA 2.2, section "Embedding manifests into assets".
"""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

__all__ = ["CRC", "FILE_TYPE", "FREE", "HEADER", "KINDS", "Located", "locate"]

CRC: Final = "genaudit.container.crc"
HEADER: Final = "genaudit.container.header"
FILE_TYPE: Final = "genaudit.container.filetype"
FREE: Final = "genaudit.container.free"

_TIFF_TAG: Final = 0xCD41
_BMFF_UUID: Final = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_GIF_MARK: Final = b"\x21\xff\x0bC2PA_GIF\x01\x00\x00"
# JPEG XT lets a writer choose any; seen are 1 (cameras) and 0x0211 (all that use the C2PA library).
_INSTANCES: Final = frozenset({*range(1, 17), 0x0211})
# Free space and an index of film fragments. C2PA leaves them out of the hash; what follows them pins where they are.
_UNHASHED: Final = (b"free", b"skip", b"mfra")
_PURPOSES: Final = (b"manifest", b"original", b"update")
# MP4 registration authority and HEIF / MIAF / AVIF: what still pictures and sequences declare.
_BRANDS: Final = frozenset(
    b"1pic avif avio avis avci avcs heic heif heim heis heix hevc hevm hevs hevx iso2 iso3 iso4 iso5 iso6 iso7 iso8 "
    b"iso9 isoa isob isoc isom j2ki j2is jpeg jpgs MA1A MA1B MiAn MiHA MiHB MiHE MiHM MiPr miaf mif1 mif2 mp41 "
    b"mp42 MPMA msf1 msf2 pred thmb tmap unif vvic vvis".split()
)


@dataclass(frozen=True, slots=True)
class Located:
    """A manifest store in a file.

    Attributes:
        store: its bytes (JUMBF), put together.
        pieces: (start, end) in the file of what it was put together from, in order.
        faults: what a strict reader refuses about the wrapping.
    """

    store: bytes
    pieces: tuple[tuple[int, int], ...]
    faults: tuple[str, ...] = ()


def locate(data: bytes, kind: str) -> Located | None:
    """The store embedded in ``data``; None where there is none in its place, or the file cannot be walked.

    Args:
        data: the whole file.
        kind: media type, one of ``KINDS``.
    """
    try:
        return _WALKS[kind](data)
    except (struct.error, IndexError):  # the file ends in the middle of something
        return None


def _of(data: bytes, pieces: list[tuple[int, int]], *faults: str) -> Located:
    return Located(b"".join(data[a:b] for a, b in pieces), tuple(pieces), faults)


def _png(data: bytes) -> Located | None:
    at = 8
    while at + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        end = at + 8 + size
        if data[at + 4 : at + 8] == b"caBX":
            wrong = struct.unpack_from(">I", data, end)[0] != zlib.crc32(data[at + 4 : end])
            return _of(data, [(at + 8, end)], *[CRC] * wrong)
        at = end + 4
    return None


def _jpeg(data: bytes) -> Located | None:
    """Segments ``JP``, instance number (2), sequence number (4), then the box or a part of it.

    From the second segment on, the first eight bytes of the box are repeated (ISO/IEC 18477-3, B.2).
    """
    pieces: list[tuple[int, int]] = []
    heads: list[bytes] = []
    for start, end in _app11(data):
        if heads and data[start + 2 : start + 4] == heads[0][2:4]:
            heads.append(data[start : start + 16])
            pieces.append((start + 16, end))
        elif not heads and data[start + 24 : start + 28] == b"c2pa":
            heads.append(data[start : start + 16])
            pieces.append((start + 8, end))
    if not pieces:
        return None
    wanted = [b"JP" + heads[0][2:4] + struct.pack(">I", i + 1) + heads[0][8:] for i in range(len(heads))]
    joined = all(a[1] + 20 == b[0] for a, b in itertools.pairwise(pieces))
    fair = heads == wanted and joined and int.from_bytes(heads[0][2:4], "big") in _INSTANCES
    return _of(data, pieces, *[HEADER] * (not fair))


def _app11(data: bytes) -> Iterator[tuple[int, int]]:
    """(start, end) of the contents of the APP11 segments before the picture."""
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker in {0xDA, 0xD9}:
            return
        (size,) = struct.unpack_from(">H", data, at + 2)
        if marker == 0xEB:
            yield at + 4, at + 2 + size
        at += 2 + size


def _webp(data: bytes) -> Located | None:
    at = 12
    while at + 8 <= len(data):
        (size,) = struct.unpack_from("<I", data, at + 4)
        end = at + 8 + size
        if data[at : at + 4] == b"C2PA":
            odd = bool(size % 2) and data[end] != 0
            return _of(data, [(at + 8, end)], *[HEADER] * odd)
        at = end + size % 2
    return None


def _bmff(data: bytes) -> Located | None:
    found: tuple[int, int] | None = None
    faults: list[str] = []
    for name, body, end in _top_boxes(data):
        if name == b"ftyp":
            faults += [FILE_TYPE] * (not _known_type(data[body:end]))
        elif name == b"uuid" and data[body : body + 16] == _BMFF_UUID:
            more = found is not None
            found, fair = _bmff_store(data, body + 16, end)
            faults += [HEADER] * (more or not fair)
        elif name in _UNHASHED:
            faults += [FREE] * (end == len(data) or name == b"mfra" or any(data[body:end]))
    return None if found is None else _of(data, [found], *faults)


def _top_boxes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(name, start of the contents, end) of each box of the file."""
    at = 0
    while at < len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1:
            size, head = struct.unpack_from(">Q", data, at + 8)[0], 16
        end = at + size if size else len(data)
        if end < at + head:
            raise IndexError
        yield name, at + head, end
        at = end


def _bmff_store(data: bytes, at: int, end: int) -> tuple[tuple[int, int], bool]:
    """Version and flags (4), purpose, end of the purpose, offset of the first Merkle box (8), store."""
    stop = data.find(b"\0", at + 4, end)
    plain = data[at : at + 4] == bytes(4) and data[at + 4 : stop] in _PURPOSES
    return (stop + 9, end), plain and data[stop + 1 : stop + 9] == bytes(8)


def _known_type(body: bytes) -> bool:
    """Whether the file type box, which C2PA never hashes, names only brands of pictures."""
    brands = [body[:4], *(body[i : i + 4] for i in range(8, len(body), 4))]
    return body[4:8] == bytes(4) and brands[0] in brands[1:] and _BRANDS.issuperset(brands)


def _tiff(data: bytes) -> Located | None:
    order = "<" if data[:2] == b"II" else ">"
    (first,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, first)
    for at in range(first + 2, first + 2 + 12 * count, 12):
        tag, _, size, offset = struct.unpack_from(f"{order}HHII", data, at)
        if tag == _TIFF_TAG:
            return _of(data, [(offset, offset + size)])
    return None


def _gif(data: bytes) -> Located | None:
    at = 13 + _table(data[10])
    while data[at] != 0x3B:
        if data[at : at + 14] == _GIF_MARK:
            return _of(data, list(_sub_blocks(data, at + 14)))
        at += 2 if data[at] == 0x21 else 11 + _table(data[at + 9])
        for _, end in _sub_blocks(data, at):
            at = end
        at += 1
    return None


def _table(flags: int) -> int:
    """Bytes of a colour table."""
    return 3 << (flags % 8 + 1) if flags & 0x80 else 0


def _sub_blocks(data: bytes, at: int) -> Iterator[tuple[int, int]]:
    while size := data[at]:
        yield at + 1, at + 1 + size
        at += 1 + size


_WALKS: Final = {
    "image/png": _png,
    "image/jpeg": _jpeg,
    "image/webp": _webp,
    "image/avif": _bmff,
    "image/heic": _bmff,
    "image/heif": _bmff,
    "image/tiff": _tiff,
    "image/gif": _gif,
}
#: Media types that can be walked.
KINDS: Final = frozenset(_WALKS)
