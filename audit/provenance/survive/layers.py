# SPDX-License-Identifier: Apache-2.0
"""The four layers that say where an image comes from, and what is left of each after an edit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from xml.etree import ElementTree as ET

from audit.images import decode, pixel_digest
from audit.provenance.state import State
from audit.provenance.survive._container import Container, Role, read_container, xmp_packet
from audit.provenance.verify import SoftBinding, verify_bytes
from audit.provenance.watermark import Watermark

__all__ = ["LAYERS", "Layer", "Marks", "Outcome", "Reader", "digital_source_type"]

_SOURCE_TYPE: Final = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
_RESOURCE: Final = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}resource"
# Written by tools of all kinds, and no word about where a picture comes from.
_TRIVIAL: Final = frozenset(
    {"software", "creation time", "date:create", "date:modify", "date:timestamp", "xml:com.adobe.xmp"}
)


class Layer(StrEnum):
    """Where an image can say where it comes from."""

    C2PA = "c2pa"
    XMP = "xmp"
    TEXT = "text"
    WATERMARK = "watermark"


class Outcome(StrEnum):
    """What became of a layer. Broken is worse than gone: it says something false, or that somebody tampered."""

    KEPT = "kept"
    BROKEN = "broken"
    GONE = "gone"
    MISSING = "missing"


LAYERS: Final[tuple[Layer, ...]] = tuple(Layer)


@dataclass(frozen=True, slots=True)
class Marks:
    """What a file says before it is edited; a layer that it does not have is None or empty, and is not counted.

    Attributes:
        c2pa: state of credentials that verify.
        xmp: digital source type in the XMP packet.
        text: text chunks, comments and EXIF texts by keyword.
        payload: of the watermark.
    """

    c2pa: State | None = None
    xmp: str | None = None
    text: Mapping[str, str] = field(default_factory=dict)
    payload: bytes | None = None

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Layers that are there."""
        there = {Layer.C2PA: self.c2pa, Layer.XMP: self.xmp, Layer.TEXT: self.text, Layer.WATERMARK: self.payload}
        return tuple(layer for layer in LAYERS if there[layer])


class Reader:
    """Reads the layers of files that derive from one image.

    Pictures with the same pixels are read once. Not to be shared between images of different sources: the readings of
    all of them would be kept.

    Args:
        anchors: PEM of the roots to trust.
        watermark: what reads the mark; None: that layer is not looked for.
        layers: that are looked for.
    """

    def __init__(
        self,
        *,
        anchors: str | None = None,
        watermark: Watermark | None = None,
        layers: Collection[Layer] = tuple(Layer),
    ) -> None:
        self.anchors, self.watermark, self.layers = anchors, watermark, layers
        self._readings: dict[str, bytes | None] = {}

    def marks(self, data: bytes) -> Marks:
        """What a file says now. A watermark that credentials declare counts as there even if nobody can read it."""
        container = _container(data)
        verified = verify_bytes(data, anchors=self.anchors)
        declared = self._declared(verified.watermark) if verified.state.verified else None
        xmp = xmp_packet(container) if container and Layer.XMP in self.layers else None
        return Marks(
            c2pa=verified.state if verified.state.verified and Layer.C2PA in self.layers else None,
            xmp=digital_source_type(xmp) or None,
            text=_texts(container) if Layer.TEXT in self.layers else {},
            payload=(declared or self._payload(data)) if Layer.WATERMARK in self.layers else None,
        )

    def _declared(self, binding: SoftBinding | None) -> bytes | None:
        """Payload that credentials bind, None where it is none of this watermark's."""
        if binding is None or self.watermark is None or binding.algorithm != self.watermark.spec.algorithm:
            return None
        try:
            return bytes.fromhex(binding.value or "") or None
        except ValueError:
            return None

    def outcomes(self, before: Marks, data: bytes) -> dict[Layer, Outcome]:
        """What became of each layer that was there ``before``, in the edited file ``data``."""
        container = _container(data)
        judges: Mapping[Layer, Callable[[], Outcome]] = {
            Layer.C2PA: lambda: self._c2pa(data, container),
            Layer.XMP: lambda: _xmp(before.xmp, container),
            Layer.TEXT: lambda: _text(before.text, container),
            Layer.WATERMARK: lambda: self._mark(before.payload, data),
        }
        return {layer: judges[layer]() for layer in before.layers}

    def _c2pa(self, data: bytes, container: Container | None) -> Outcome:
        state = verify_bytes(data, anchors=self.anchors).state
        if state.verified:
            return Outcome.KEPT
        if state in {State.INVALID, State.BAD_INGREDIENT}:
            return Outcome.BROKEN
        # A store that is whole but cannot be read is broken; remains without one are nothing at all.
        there = container is not None and any(container.of(Role.CREDENTIALS))
        return Outcome.BROKEN if state is State.UNREADABLE and there else Outcome.GONE

    def _mark(self, payload: bytes | None, data: bytes) -> Outcome:
        read = self._payload(data)
        if read is None:
            return Outcome.GONE
        return Outcome.KEPT if read == payload else Outcome.BROKEN

    def _payload(self, data: bytes) -> bytes | None:
        if self.watermark is None:
            return None
        try:
            rgb = decode(data)
        except ValueError:
            return None
        digest = pixel_digest(rgb)
        if digest not in self._readings:
            self._readings[digest] = self.watermark.read(rgb).payload
        return self._readings[digest]


def digital_source_type(packet: bytes | None) -> str | None:
    """IPTC's digital source type in an XMP packet: "" where the packet has none, None where there is no sound packet.

    The property may stand as an attribute, as an element, or as an element that refers to a resource.
    """
    root = _parse(packet)
    if root is None:
        return None
    for element in root.iter():
        if value := element.get(_SOURCE_TYPE):
            return str(value)
        if element.tag == _SOURCE_TYPE:
            return str(element.get(_RESOURCE) or "".join(element.itertext()).strip())
    return ""


def _parse(packet: bytes | None) -> Any:
    if packet is None or b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:  # entities have no place in XMP
        return None
    try:
        return ET.fromstring(packet.strip(b"\0 \r\n\t"))  # noqa: S314 - entities are refused above
    except ET.ParseError:
        return None


def _xmp(before: str | None, container: Container | None) -> Outcome:
    packet = xmp_packet(container) if container else None
    if packet is None:
        return Outcome.GONE
    now = digital_source_type(packet)
    if now == before:
        return Outcome.KEPT
    return Outcome.GONE if now == "" else Outcome.BROKEN


def _text(before: Mapping[str, str], container: Container | None) -> Outcome:
    """All texts are there, in whatever place; else broken if one of the places is still in use."""
    now = _texts(container)
    if set(before.values()) <= set(now.values()):
        return Outcome.KEPT
    return Outcome.BROKEN if set(before) & set(now) else Outcome.GONE


def _texts(container: Container | None) -> dict[str, str]:
    found = container.texts() if container else {}
    return {keyword: text for keyword, text in found.items() if text and keyword.lower() not in _TRIVIAL}


def _container(data: bytes) -> Container | None:
    try:
        return read_container(data)
    except ValueError:
        return None
