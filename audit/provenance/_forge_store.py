# SPDX-License-Identifier: Apache-2.0
"""Mutations of the manifest store for `audit.provenance.tamper`, by a forger who knows the format.

Lengths and checksums are mended, and bytes are added or taken at the cost of the padding beside the signature, so that
the store keeps its size and the hash of the file still fits.
"""

from __future__ import annotations

import struct
from typing import Final

import numpy as np

from audit.provenance._boxes import Box, parse
from audit.provenance._forge import Target
from audit.provenance._paste import splice

_PAD: Final = b"\x63pad\x59"  # CBOR: the text "pad", then bytes whose length is two bytes long
_LEAST: Final = 256  # a shorter padding would be written with a length of one byte

Rng = np.random.Generator
Span = tuple[int, int]


def assertion(target: Target, rng: Rng) -> bytes | None:
    """A bit of what an assertion says."""
    return _flip(target, rng, _contents(_any(target, rng)))


def claim(target: Target, rng: Rng) -> bytes | None:
    """A bit of the claim."""
    return _flip(target, rng, _contents(target.part("c2cl")))


def certificate(target: Target, rng: Rng) -> bytes | None:
    """A bit of the protected header, which is the certificates all but entirely."""
    span, pad = _contents(target.part("c2cs")), _padding(target)
    if span is None or pad is None or target.found is None:
        return None
    stamp = target.found.store.find(b"sigTst2", span[0], pad[0])
    return _flip(target, rng, (span[0] + 4, (stamp if stamp >= 0 else pad[0] - 10) - 2))


def signature(target: Target, rng: Rng) -> bytes | None:
    """A bit of the signature itself."""
    span = _contents(target.part("c2cs"))
    return _flip(target, rng, (span[1] - 64, span[1])) if span else None


def time_stamp(target: Target, rng: Rng) -> bytes | None:
    """A bit of the time stamp, which no signature of the signer's covers."""
    box, pad = target.part("c2cs"), _padding(target)
    if box is None or pad is None or target.found is None:
        return None
    at = target.found.store.rfind(b"sigTst2", box.start, pad[0])
    return _flip(target, rng, (at, pad[0] - len(_PAD) - 2)) if at >= 0 else None


def padding(target: Target, rng: Rng) -> bytes | None:
    """A message in the padding."""
    pad = _padding(target)
    if pad is None:
        return None
    size = int(rng.integers(1, min(65, pad[1] - pad[0])))
    at = int(rng.integers(pad[0], pad[1] - size + 1))
    return _put(target, (at, at + size), rng.bytes(size))


def salt(target: Target, rng: Rng) -> bytes | None:
    """A bit of the salt of an assertion."""
    box = _any(target, rng)
    if box is None or target.found is None:
        return None
    at = target.found.store.find(b"c2sh", box.start, box.end)
    return _flip(target, rng, (at + 4, at + 20)) if at >= 0 else None


def description(target: Target, rng: Rng) -> bytes | None:
    """A bit of type, toggles or label of any superbox."""
    box = _superbox(target, rng)
    return _flip(target, rng, (box.body + 8, box.body + 25 + len(box.label) + 1)) if box else None


def header(target: Target, rng: Rng) -> bytes | None:
    """A bit of length or name of any box."""
    boxes = list(target.top.walk()) if target.top else []
    box = boxes[int(rng.integers(len(boxes)))] if boxes else None
    return _flip(target, rng, (box.start, box.start + 8)) if box else None


def length(target: Target, rng: Rng) -> bytes | None:
    """The length of a superbox: none, 64 bits, or a little off."""
    box = _superbox(target, rng)
    if box is None:
        return None
    wrong = (0, 1, box.end - box.start + 8, box.end - box.start - 8, 2**32 - 1)[int(rng.integers(5))]
    return _put(target, (box.start, box.start + 4), struct.pack(">I", wrong % 2**32))


def box_added(target: Target, rng: Rng) -> bytes | None:
    """A box more, at the end of any superbox."""
    box = _superbox(target, rng)
    if box is None:
        return None
    said = rng.bytes(int(rng.integers(1, 33)))
    new = struct.pack(">I", 8 + len(said)) + (b"free", b"cbor", b"json", b"uuid")[int(rng.integers(4))] + said
    return _compensated(target, box, (box.end, box.end), new)


def assertion_added(target: Target, rng: Rng) -> bytes | None:
    """An assertion more, which the claim does not list."""
    store, where = target.part("c2as"), _any(target, rng)
    if store is None or where is None:
        return None
    text = b'{"said":"' + rng.bytes(4).hex().encode() + b'"}'
    about = b"json" + bytes.fromhex("00110010800000aa00389b71") + b"\x03org.example.more\0"
    body = struct.pack(">I", 8 + len(about)) + b"jumd" + about + struct.pack(">I", 8 + len(text)) + b"json" + text
    new = struct.pack(">I", 8 + len(body)) + b"jumb" + body
    at = where.end if rng.random() < 0.5 else store.end
    return _compensated(target, store, (at, at), new)


def assertion_dropped(target: Target, rng: Rng) -> bytes | None:
    """An assertion less, its place given to the padding."""
    box, store = _any(target, rng), target.part("c2as")
    return _compensated(target, store, (box.start, box.end), b"") if box and store else None


def assertions_swapped(target: Target, rng: Rng) -> bytes | None:
    """Two neighbouring assertions change places."""
    store = target.part("c2as")
    if store is None or len(store.children) < 2 or target.found is None:
        return None
    first = int(rng.integers(len(store.children) - 1))
    one, two = store.children[first : first + 2]
    data = target.found.store
    return _put(target, (one.start, two.end), data[two.start : two.end] + data[one.start : one.end])


def assertion_of_another(target: Target, rng: Rng) -> bytes | None:
    """An assertion of another file in place of that with the same name."""
    box, store, other = _any(target, rng), target.part("c2as"), target.other
    theirs = other.part("c2as") if other else None
    twin = next((child for child in theirs.children if box and child.label == box.label), None) if theirs else None
    if box is None or store is None or twin is None or other is None or other.found is None:
        return None
    return _compensated(target, store, (box.start, box.end), other.found.store[twin.start : twin.end])


def claim_of_another(target: Target, _rng: Rng) -> bytes | None:
    """The claim of another file."""
    return _part_of_another(target, "c2cl")


def signature_of_another(target: Target, _rng: Rng) -> bytes | None:
    """The signature of another file, with its certificates."""
    return _part_of_another(target, "c2cs")


def header_entry_added(target: Target, rng: Rng) -> bytes | None:
    """An entry more beside the signature, in the header that is not signed."""
    pad, box = _padding(target), target.part("c2cs")
    if pad is None or box is None or target.found is None:
        return None
    at = pad[0] - len(_PAD) - 2
    store = bytearray(target.found.store)
    if store[at - 1] >> 5 != 5:  # the padding is not the first entry of its map
        return None
    store[at - 1] += 1
    said = rng.bytes(int(rng.integers(1, 24)))
    new = b"\x64note" + bytes([0x40 + len(said)]) + said
    return _compensated(target, box.children[0], (at, at), new, bytes(store))


def manifest_twice(target: Target, rng: Rng) -> bytes | None:
    """The active manifest once more before itself, under the same name or one that nothing refers to."""
    active = target.top.children[-1] if target.top and target.top.children else None
    if active is None or target.found is None or target.top is None:
        return None
    store = target.found.store
    twin = store[active.start : active.end]
    if rng.random() < 0.5:
        twin = twin.replace(active.label, active.label[:-4] + rng.bytes(2).hex().encode())
    return target.with_store(splice(store, target.top, target.top, (active.start, active.start), twin))


def _any(target: Target, rng: Rng) -> Box | None:
    store = target.part("c2as")
    return store.children[int(rng.integers(len(store.children)))] if store and store.children else None


def _superbox(target: Target, rng: Rng) -> Box | None:
    boxes = [box for box in target.top.walk() if box.name == b"jumb"] if target.top else []
    return boxes[int(rng.integers(len(boxes)))] if boxes else None


def _contents(box: Box | None) -> Span | None:
    return (box.children[0].body, box.end) if box and box.children else None


def _padding(target: Target) -> Span | None:
    """The bytes of the padding beside the active manifest's signature."""
    box = target.part("c2cs")
    if box is None or target.found is None:
        return None
    store = target.found.store
    at = store.rfind(_PAD, box.start, box.end)
    if at < 0:
        return None
    start = at + len(_PAD) + 2
    return start, start + int.from_bytes(store[start - 2 : start], "big")


def _flip(target: Target, rng: Rng, span: Span | None) -> bytes | None:
    if span is None or target.found is None or span[0] >= span[1]:
        return None
    at = int(rng.integers(*span))
    return _put(target, (at, at + 1), bytes([target.found.store[at] ^ (1 << int(rng.integers(8)))]))


def _put(target: Target, span: Span, new: bytes) -> bytes | None:
    if target.found is None:
        return None
    store = target.found.store
    return target.with_store(store[: span[0]] + new + store[span[1] :])


def _compensated(target: Target, inside: Box, span: Span, new: bytes, store: bytes | None = None) -> bytes | None:
    """The file with ``new`` in place of ``span``, lengths mended, and the padding taking up the difference."""
    pad, box = _padding(target), target.part("c2cs")
    if pad is None or box is None or target.top is None or target.found is None:
        return None
    more = len(new) - (span[1] - span[0])
    size = pad[1] - pad[0] - more
    if not _LEAST <= size < 2**16:
        return None
    changed = splice(store or target.found.store, target.top, inside, span, new)
    at = pad[0] + (more if span[0] < pad[0] else 0)  # a change before the padding moves it
    top = parse(changed)
    signature = [box for manifest in top.children for box in manifest.of("c2cs")][-1]
    short = struct.pack(">H", size) + bytes(size)
    whole = splice(changed, top, signature.children[0], (at - 2, at + pad[1] - pad[0]), short)
    return target.with_store(whole)


def _part_of_another(target: Target, kind: str) -> bytes | None:
    box, manifest, other = target.part(kind), target.part(), target.other
    twin = other.part(kind) if other else None
    if box is None or manifest is None or twin is None or other is None or other.found is None:
        return None
    if target.found is None or target.top is None:
        return None
    new = other.found.store[twin.start : twin.end]
    if kind == "c2cs" or len(new) == box.end - box.start:
        return target.with_store(splice(target.found.store, target.top, manifest, (box.start, box.end), new))
    return _compensated(target, manifest, (box.start, box.end), new)
