# SPDX-License-Identifier: Apache-2.0
"""XMP packets that say in plain metadata what the credentials say: drawn by a trained model, and by which.

Properties: IPTC Photo Metadata Standard 2025.1, Extension schema: DigitalSourceType (a URI of the IPTC's vocabulary),
AISystemUsed, AISystemVersionUsed and AIPromptInformation (simple texts). Packets: XMP specification part 1 (ISO
16684-1), section 7.3.2. A packet that a file brings along is kept: every character of it but our properties.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from xml.parsers.expat import ExpatError
from xml.sax.saxutils import escape

from audit.provenance.claim import Claim

__all__ = ["IPTC", "SOURCE_TYPE", "merge", "packet", "properties"]

SOURCE_TYPE: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
IPTC: Final = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_XMLNS: Final = "http://www.w3.org/2000/xmlns/"
_BEGIN: Final = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
_END: Final = '\n<?xpacket end="w"?>'
# What XML 1.0 cannot hold, even escaped: most controls, surrogates, two non-characters.
_ILLEGAL: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DECLARATION: Final = re.compile(r"^<\?xml\s[^>]*\?>")
_MOST: Final = 4 * 2**20
# Stands for "&#" while a packet is a tree: character references come out as they went in. Private use, so rare.
_REFERENCE: Final = "\uf8f1\uf8f2"


def properties(claim: Claim) -> dict[str, str]:
    """Names and values of the IPTC properties that a claim has something to say about; the prompt only where public."""
    version = claim.generator_version or claim.generator_digest
    said = {
        "DigitalSourceType": SOURCE_TYPE,
        "AISystemUsed": claim.generator,
        "AISystemVersionUsed": version,
        "AIPromptInformation": claim.prompt,
    }
    return {name: _ILLEGAL.sub("\ufffd", value) for name, value in said.items() if value}


def packet(said: Mapping[str, str]) -> bytes:
    """A new packet, UTF-8."""
    lines = "".join(f"\n   <Iptc4xmpExt:{name}>{escape(value)}</Iptc4xmpExt:{name}>" for name, value in said.items())
    body = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="genaudit">\n'
        f' <rdf:RDF xmlns:rdf="{_RDF}">\n'
        f'  <rdf:Description rdf:about="" xmlns:Iptc4xmpExt="{IPTC}">{lines}\n'
        "  </rdf:Description>\n </rdf:RDF>\n</x:xmpmeta>"
    )
    return f"{_BEGIN}{body}{_END}".encode()


def merge(old: bytes, said: Mapping[str, str]) -> bytes:
    """The packet ``old`` with our properties set; those of the same name are replaced, all else is kept.

    Raises:
        ValueError: ``old`` is no XMP that can be read safely (broken XML, not UTF-8, a DTD or entities, over 4 MiB).
    """
    text = _text(old)
    try:
        document = _tree(text)
        rdf = _only(document)
        about = _forget(rdf, set(said))
        _append(document, rdf, said, about=about)
        body = "".join(node.toxml() for node in document.childNodes)
    except (ExpatError, RecursionError, UnicodeError) as error:
        raise ValueError(f"its XMP is broken: {type(error).__name__}") from None
    body = body.replace(_REFERENCE, "&#")
    wrapped = body if body.lstrip().startswith("<?xpacket") else f"{_BEGIN}{body}{_END}"
    return wrapped.encode()


def _text(old: bytes) -> str:
    if len(old) > _MOST:
        raise ValueError("its XMP has more than 4 MiB")
    try:
        text = old.decode("utf-8").strip("\ufeff\0 \t\r\n")
    except UnicodeDecodeError:
        raise ValueError("its XMP is not UTF-8") from None
    # What is parsed is UTF-8 whatever a declaration says: another encoding could hide a DTD from the next line.
    text = _DECLARATION.sub("", text)
    if re.search("<!(DOCTYPE|ENTITY)", text, re.IGNORECASE) or _REFERENCE in text:
        raise ValueError("its XMP holds a DTD or entities, which are not read")
    return text.replace("&#", _REFERENCE)


def _tree(text: str) -> Any:
    from xml.dom import minidom

    return minidom.parseString(text.encode())  # noqa: S318 - no DTD, so no entities: see _text


def _only(document: Any) -> Any:
    found = document.getElementsByTagNameNS(_RDF, "RDF")
    if len(found) != 1:
        raise ValueError("its XMP holds no rdf:RDF, or several")
    return found[0]


def _forget(rdf: Any, names: set[str]) -> str:
    """Takes properties of ``names`` out, in both ways that RDF writes them; returns what the packet is about."""
    about: list[str] = []
    for description in [node for node in rdf.childNodes if node.nodeType == node.ELEMENT_NODE]:
        about.append(description.getAttributeNS(_RDF, "about"))
        for name in names:
            if description.hasAttributeNS(IPTC, name):
                description.removeAttributeNS(IPTC, name)
        for child in list(description.childNodes):
            if child.nodeType == child.ELEMENT_NODE and child.namespaceURI == IPTC and child.localName in names:
                description.removeChild(child)
        if _empty(description):
            rdf.removeChild(description)
    return next(filter(None, about), "")


def _empty(description: Any) -> bool:
    """Whether nothing is said in it any more."""
    said = [key for key in description.attributes.keysNS() if key[0] != _XMLNS and key != (_RDF, "about")]
    return not said and all(child.nodeType == child.TEXT_NODE for child in description.childNodes)


def _append(document: Any, rdf: Any, said: Mapping[str, str], *, about: str) -> None:
    """One more rdf:Description; all of them in a packet are about the same thing."""
    prefix = f"{rdf.prefix}:" if rdf.prefix else ""
    description = document.createElementNS(_RDF, f"{prefix}Description")
    description.setAttributeNS(_XMLNS, "xmlns:rdf", _RDF)
    description.setAttributeNS(_RDF, "rdf:about", about)
    description.setAttributeNS(_XMLNS, "xmlns:Iptc4xmpExt", IPTC)
    for name, value in said.items():
        element = document.createElementNS(IPTC, f"Iptc4xmpExt:{name}")
        element.appendChild(document.createTextNode(value))
        description.appendChild(element)
    rdf.appendChild(description)
