# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from audit.provenance import Claim, Stamper
from audit.provenance._xmp import IPTC, SOURCE_TYPE, merge, packet, properties

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
DC = "http://purl.org/dc/elements/1.1/"
OLD = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Another Tool 1.0">
 <rdf:RDF xmlns:rdf="{RDF}">
  <rdf:Description rdf:about="uuid:1" xmlns:dc="{DC}" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Make="A &amp; B">
   <dc:title><rdf:Alt><rdf:li xml:lang="x-default">a &lt;title&gt; &#xA;in two lines</rdf:li></rdf:Alt></dc:title>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>


<?xpacket end="w"?>"""
SAID = {"DigitalSourceType": SOURCE_TYPE, "AISystemUsed": 'a <model> & "co"', "AIPromptInformation": "ein Kätzchen 🐈"}


def read(made: bytes) -> dict[str, list[str]]:
    """Every IPTC property, by name; both ways that RDF writes them."""
    root = ET.fromstring(made.decode().lstrip("\ufeff"))
    found: dict[str, list[str]] = {}
    for description in root.iter(f"{{{RDF}}}Description"):
        pairs = [*description.attrib.items(), *((child.tag, child.text or "") for child in description)]
        for tag, text in pairs:
            if tag.startswith(f"{{{IPTC}}}"):
                found.setdefault(tag.rpartition("}")[2], []).append(text)
    return found


def test_a_new_packet_says_what_was_said() -> None:
    assert read(packet(SAID)) == {name: [value] for name, value in SAID.items()}


def test_a_claim_says_its_prompt_only_in_public() -> None:
    said = {"prompt": "a cat", "version": "2", "params": {"steps": 1}}
    private, public = (Claim.about("m", public_prompt=public, **said) for public in (False, True))
    assert properties(private) == {"DigitalSourceType": SOURCE_TYPE, "AISystemUsed": "m", "AISystemVersionUsed": "2"}
    assert properties(public) == {**properties(private), "AIPromptInformation": "a cat"}
    digest = dataclasses.replace(private, generator_version=None, generator_digest="ab" * 32)
    assert properties(digest)["AISystemVersionUsed"] == "ab" * 32


def test_what_xml_cannot_hold_is_replaced() -> None:
    said = properties(Claim.about("a\x00b\x1f\ud800c\ufffe\td", prompt=""))
    assert said["AISystemUsed"] == "a\ufffdb\ufffd\ufffdc\ufffd\td"
    assert read(packet(said))["AISystemUsed"] == [said["AISystemUsed"]]


def test_merging_keeps_the_rest_character_by_character() -> None:
    made = merge(OLD.encode(), SAID).decode()
    assert read(made.encode()) == {name: [value] for name, value in SAID.items()}
    start, end = OLD.index("<rdf:Description"), OLD.index("</rdf:Description>")
    inside = OLD[start:end]
    kept = made[made.index("<dc:title>") : made.index("</dc:title>")]
    assert kept in inside
    assert "&#xA;" in kept
    assert 'tiff:Make="A &amp; B"' in made
    assert 'x:xmptk="Another Tool 1.0"' in made
    assert made.count("<?xpacket") == 2
    abouts = {node.get(f"{{{RDF}}}about") for node in ET.fromstring(made).iter(f"{{{RDF}}}Description")}
    assert abouts == {"uuid:1"}  # all of a packet are about one thing


@pytest.mark.parametrize(
    "already",
    [
        "<i:DigitalSourceType>http://example.org/digitalCapture</i:DigitalSourceType>",
        '<i:DigitalSourceType rdf:resource="http://example.org/digitalCapture"/><i:AISystemUsed>old</i:AISystemUsed>',
    ],
)
def test_properties_of_ours_are_replaced(already: str) -> None:
    old = OLD.replace("<dc:title>", f"{already}<dc:title>").replace("xmlns:dc=", f'xmlns:i="{IPTC}" xmlns:dc=')
    made = merge(old.encode(), SAID)
    assert read(made) == {name: [value] for name, value in SAID.items()}
    assert b"a &lt;title&gt;" in made


def test_properties_as_attributes_are_replaced_too() -> None:
    old = OLD.replace("xmlns:dc=", f'xmlns:i="{IPTC}" i:DigitalSourceType="x" i:DigImageGUID="kept" xmlns:dc=')
    made = read(merge(old.encode(), SAID))
    assert made == {**{name: [value] for name, value in SAID.items()}, "DigImageGUID": ["kept"]}


def test_merging_twice_is_merging_once() -> None:
    once = merge(OLD.encode(), SAID)
    assert merge(once, SAID) == once
    assert len(merge(packet(SAID), SAID)) < len(packet(SAID)) + 200


def test_a_bare_packet_gets_its_wrapper() -> None:
    body = OLD[OLD.index("<x:xmpmeta") : OLD.index("<?xpacket end")]
    made = merge(b"\xef\xbb\xbf" + body.encode() + b"\0\0", SAID).decode()
    assert made.startswith("<?xpacket begin=")
    assert made.endswith('<?xpacket end="w"?>')
    assert 'tiff:Make="A &amp; B"' in merge(b'<?xml version="1.0"?>' + body.encode(), SAID).decode()


LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("old", "why"),
    [
        (OLD.replace("<x:xmpmeta", LAUGHS + "<x:xmpmeta").encode(), "DTD"),
        (OLD.replace("<x:xmpmeta", '<!doctype x SYSTEM "http://127.0.0.1/x"><x:xmpmeta').encode(), "DTD"),
        (OLD.encode("utf-16"), "UTF-8"),
        (b"<x>", "broken"),
        (b"", "broken"),
        (OLD.replace("rdf:RDF", "rdf:Other").encode(), "rdf:RDF"),
        (("<a>" * 5000 + "</a>" * 5000).encode(), "rdf:RDF|broken"),
        (OLD.replace("<dc:title>", "<dc:title>" + "<b>" * 3000 + "</b>" * 3000).encode(), "broken"),
        (OLD.encode() + b" " * 5_000_000, "4 MiB"),
        (OLD.replace("uuid:1", "\uf8f1\uf8f2").encode(), "DTD"),
    ],
)
def test_what_cannot_be_read_safely_is_refused(old: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        merge(old, SAID)


def test_an_encoding_cannot_hide_a_dtd() -> None:
    # In UTF-7 and EBCDIC these bytes would be a DTD; they are read as UTF-8 whatever the declaration says.
    for encoding in ("utf-7", "cp037", "utf-16"):
        hidden = f'<?xml version="1.0" encoding="{encoding}"?>+ADwAIQ-DOCTYPE x>'.encode() + OLD.encode()
        with pytest.raises(ValueError, match=r"broken|DTD"):
            merge(hidden, SAID)


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "avif", "tiff", "gif"])
def test_exiftool_reads_it_in_every_format(stamper: Stamper, encode, tmp_path, kind: str, finished: bool) -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    claim = Claim.about("a <model>", prompt="a cat & a dog", version="1.5", public_prompt=True)
    if finished:
        made = stamper.stamp(encode(kind.upper()), claim)
    else:
        made = stamper.mark(rgb, claim, media_type=f"image/{kind}")
    (tmp_path / f"a.{kind}").write_bytes(made.data)
    command = ["exiftool", "-j", "-G1", "-a", "-XMP:all", "-Warning", str(tmp_path / f"a.{kind}")]
    said = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)[0]
    assert {key.rpartition(":")[2]: value for key, value in said.items() if "iptcExt" in key} == {
        "DigitalSourceType": SOURCE_TYPE,
        "AISystemUsed": "a <model>",
        "AISystemVersionUsed": 1.5,
        "AIPromptInformation": "a cat & a dog",
    }
    assert not [key for key in said if "Warning" in key]
