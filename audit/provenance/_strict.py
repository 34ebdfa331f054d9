# SPDX-License-Identifier: Apache-2.0
"""What the C2PA library lets pass and a strict reader must not: bytes that no hash and no signature covers.

The library hashes what its parser understood, not what is in the file: names of fixed boxes, toggles, lengths of outer
boxes, padding, and the wrapping of the store can be changed, and the image is still "Valid". About a thousand bytes of
each signed file are of this kind, enough to hide a message or a second set of credentials. There is one way only to
write a store, so a file that is written in another way was changed after signing, or by a tool that nobody knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from audit.provenance._boxes import Box, Oddity, parse
from audit.provenance._cbor import NotCanonical, Tagged, dumps, loads
from audit.provenance._wrapping import KINDS, locate

__all__ = ["DEFECTS", "defects"]

#: What each code means, for people.
DEFECTS: Final = {
    "genaudit.container.crc": "the checksum of the chunk that holds the credentials is wrong",
    "genaudit.container.filetype": "the file type names brands that no picture has",
    "genaudit.container.free": "free space, which no hash covers, holds something or was added at the end",
    "genaudit.container.header": "the wrapping of the credentials was changed",
    "genaudit.container.store": "the credentials are not where this format keeps them",
    "genaudit.cose.form": "the signature is not written in the one form that the standard gives",
    "genaudit.cose.header": "something was added beside the signature",
    "genaudit.cose.padding": "the padding beside the signature is not empty",
    "genaudit.jumbf.assertion": "an assertion holds more or other boxes than its type says",
    "genaudit.jumbf.claim": "the claim does not have the name of its version",
    "genaudit.jumbf.depth": "boxes within boxes without end",
    "genaudit.jumbf.description": "the description of a box was changed",
    "genaudit.jumbf.label": "two boxes have the same name",
    "genaudit.jumbf.length": "the lengths of boxes do not add up",
    "genaudit.jumbf.manifest": "a manifest is not made of assertions, claim and signature",
    "genaudit.jumbf.order": "assertions are not in the order in which the claim lists them",
    "genaudit.jumbf.store": "the credentials are not one store of manifests",
    "genaudit.jumbf.unused": "a manifest that nothing refers to",
    "genaudit.timestamp.broken": "there is a time stamp, but it is damaged or of something else",
}

_PARTS: Final = ("c2as", "c2cl", "c2cs")
_MORE: Final = (("c2vc", b"c2pa.credentials"), ("c2db", b"c2pa.databoxes"))
_CONTENT: Final = {"cbor": (b"cbor",), "json": (b"json",), "file": (b"bfdb", b"bidb"), "uuid": (b"uuid",)}
_HEADERS: Final = frozenset({"pad", "pad2", "rVals", "sigTst", "sigTst2", "x5chain", 33})
_COSE_SIGN1: Final = 18
_STORE: Final = b"/c2pa.assertions/"
_HERE: Final = b"self#jumbf=c2pa.assertions/"


def defects(data: bytes, kind: str) -> tuple[str, ...]:
    """Codes of all that a strict reader refuses about credentials that the C2PA library calls valid.

    Nothing is said about formats that are not looked into (all but PNG, JPEG, WebP, AVIF, HEIC, TIFF and GIF), and
    nothing about what is compressed inside a store.

    Args:
        data: the whole file.
        kind: its media type.

    Returns:
        Sorted codes, keys of `DEFECTS`; empty if all is as a writer leaves it.
    """
    if kind not in KINDS:
        return ()
    found = locate(data, kind)
    if found is None:
        return ("genaudit.container.store",)
    return tuple(sorted({*found.faults, *store_defects(found.store)}))


def store_defects(store: bytes) -> Iterator[str]:
    """`defects` of a manifest store alone, e.g. of a sidecar file."""
    try:
        top = parse(store)
        if (top.kind, top.label) != ("c2pa", b"c2pa") or not top.children:
            raise Oddity("genaudit.jumbf.store")
        yield from _names(top)
        yield from _unused(store, top.children)
        for manifest in top.children:
            yield from _manifest(store, manifest, active=manifest is top.children[-1])
    except Oddity as odd:
        yield str(odd)


def _names(top: Box) -> Iterator[str]:
    for box in top.walk():
        labels = [child.label for child in box.children if child.name == b"jumb"]
        if len(set(labels)) != len(labels):
            yield "genaudit.jumbf.label"


def _unused(store: bytes, manifests: tuple[Box, ...]) -> Iterator[str]:
    """The active manifest is the last one; all others must be named in one that is in use."""
    unseen = {box.label: box for box in manifests[:-1]}
    reached = [manifests[-1]]
    while reached and unseen:
        box = reached.pop()
        named = [label for label in unseen if store.find(label, box.body, box.end) >= 0]
        reached += [unseen.pop(label) for label in named]
    if unseen:
        yield "genaudit.jumbf.unused"


def _manifest(store: bytes, box: Box, *, active: bool) -> Iterator[str]:
    kinds = tuple(child.kind for child in box.children)
    if box.kind == "c2cm" and [child.name for child in box.children] == [b"brob"]:
        return
    if box.kind not in {"c2ma", "c2um", "c2md"} or kinds[:3] != _PARTS:
        yield "genaudit.jumbf.manifest"
        return
    assertions, claim, signature, *more = box.children
    rest = [(child.kind, child.label) for child in more]
    if assertions.label != b"c2pa.assertions" or rest != [part for part in _MORE if part in rest]:
        yield "genaudit.jumbf.manifest"
    if not all(_whole(store, child) for part in (assertions, *more) for child in part.children):
        yield "genaudit.jumbf.assertion"
    said = store[claim.body : claim.end]
    if not _in_order(said, box.label, [child.label for child in assertions.children]):
        yield "genaudit.jumbf.order"
    version = b"c2pa.claim.v2" if b"created_assertions" in said else b"c2pa.claim"
    if claim.label != version or not _whole(store, claim):
        yield "genaudit.jumbf.claim"
    if signature.label != b"c2pa.signature" or not _whole(store, signature):
        yield "genaudit.jumbf.manifest"
    else:
        yield from _cose(store[signature.children[0].body : signature.end], version)
    if active and claim.children and signature.children:
        content = store[claim.children[0].body : claim.end]
        yield from _time(store[signature.children[0].body : signature.end], content)


def _whole(store: bytes, box: Box) -> bool:
    """Whether a superbox holds exactly what its type says."""
    names = tuple(child.name for child in box.children)
    if box.kind not in _CONTENT and box.kind not in _PARTS:
        return bool(names)  # types of other makers: what they hold is theirs, and hashed
    if names != _CONTENT.get(box.kind, (b"cbor",)):
        return False
    if box.kind != "file":
        return True
    # Toggles (1: a file name follows), media type, end; name, end.
    about = store[box.children[0].body : box.children[0].end]
    return about[:1] in {b"\0", b"\1"} and about.count(0, 1) == 1 + about[0] and about[-1:] == b"\0"


def _in_order(claim: bytes, manifest: bytes, labels: list[bytes]) -> bool:
    """Whether each list of the claim names its assertions in the order of the store, and all are named.

    Claims of some writers use forms of CBOR that `loads` does not read, hence the search for whole text strings.
    """
    lists = [claim.find(key) for key in (b"created_assertions", b"gathered_assertions")]
    last: dict[int, int] = {}
    for label in labels:
        at = max(
            claim.find(dumps((base + label).decode("utf-8", "replace")))
            for base in (_HERE, b"self#jumbf=/c2pa/" + manifest + _STORE)
        )
        which = sum(at > start for start in lists)
        if at < last.get(which, 0):
            return False
        last[which] = at
    return True


def _cose(data: bytes, version: bytes) -> Iterator[str]:
    """RFC 9052, 4.2: tag 18, [protected, unprotected, payload, signature]; the payload, the claim, is left out."""
    try:
        _, header, _ = _sign1(data)
    except NotCanonical:
        yield "genaudit.cose.form"
        return
    allowed = _HEADERS - ({"x5chain", 33} if version.endswith(b".v2") else set())
    pads = [header[key] for key in ("pad", "pad2") if key in header]
    if set(header) - allowed or not all(isinstance(pad, bytes) for pad in pads):
        yield "genaudit.cose.header"
    elif any(pad.strip(b"\0") for pad in pads):
        yield "genaudit.cose.padding"


def _time(data: bytes, claim: bytes) -> Iterator[str]:
    """Time stamps of the active manifest; those of its ingredients are covered by its own signature."""
    try:
        protected, header, signature = _sign1(data)
    except NotCanonical:
        return
    # Stamped is, in the form of a countersignature, the claim (C2PA 1.x) or the signature (since 2.0).
    claims, signatures = (dumps(["CounterSignature", protected, b"", text]) for text in (claim, dumps(signature)))
    stamps = ((header.get("sigTst"), claims, True), (header.get("sigTst2"), signatures, False))
    if not all(_stamped(entry, text, response=response) for entry, text, response in stamps):
        yield "genaudit.timestamp.broken"


def _stamped(entry: Any, covered: bytes, *, response: bool) -> bool:
    """Whether an entry with time stamps holds sound ones and nothing else."""
    if entry is None:
        return True
    tokens = entry.get("tstTokens") if isinstance(entry, dict) and len(entry) == 1 else None
    if not isinstance(tokens, list) or not all(isinstance(t, dict) and list(t) == ["val"] for t in tokens):
        return False
    from audit.provenance._token import is_whole

    return all(isinstance(t["val"], bytes) and is_whole(t["val"], covered, response=response) for t in tokens)


def _sign1(data: bytes) -> tuple[bytes, dict[Any, Any], bytes]:
    """Protected header, unprotected header, signature. Raises NotCanonical."""
    whole = loads(data)
    parts = whole.value if isinstance(whole, Tagged) and whole.tag == _COSE_SIGN1 else None
    types = (bytes, dict, type(None), bytes)
    if not isinstance(parts, list) or [type(part) for part in parts] != list(types):
        raise NotCanonical("no COSE_Sign1")
    return parts[0], parts[1], parts[3]
