# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
from PIL import PngImagePlugin

from audit.images import decode, encode_png
from audit.provenance import State
from audit.provenance.survive import EDITS, Layer, Outcome, Reader
from audit.provenance.survive._container import Part, Role, read_container, text_part, xmp_part
from audit.provenance.survive.layers import Marks, digital_source_type

AI = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
K, B, G = Outcome.KEPT, Outcome.BROKEN, Outcome.GONE
#: C2PA, XMP, text, watermark: what the file formats and the C2PA specification say must happen.
TRUTH = {
    "copy": (K, K, K, K),
    "append": (B, K, K, K),
    "truncate": (G, G, G, G),
    "exif-insert": (B, K, K, K),
    "xmp-rating": (B, K, K, K),
    "xmp-forged": (B, B, K, K),
    "text-edit": (B, K, B, K),
    "recompress": (B, K, K, K),
    "recompress-safe": (G, K, K, K),
    "recompress-strip": (G, G, G, K),
    "strip-credentials": (G, K, K, K),
    "strip": (G, G, G, K),
    "png": (G, G, G, K),
    "png-copied": (G, K, K, K),
    "webp-lossless": (G, G, G, K),
    "jpeg-95": (G, G, G, G),
    "resize-2": (G, G, G, G),
    "flip": (G, G, G, G),
    "noise-5": (G, G, G, G),
    "social": (G, G, G, G),
}
FORMS = {
    "attribute": f'<rdf:Description rdf:about="" xmlns:e="{{ns}}" e:DigitalSourceType="{AI}"/>',
    "element": f'<rdf:Description xmlns:e="{{ns}}"><e:DigitalSourceType> {AI}\n</e:DigitalSourceType>'
    "</rdf:Description>",
    "resource": f'<rdf:Description xmlns:e="{{ns}}"><e:DigitalSourceType rdf:resource="{AI}"/></rdf:Description>',
}


def packet(form: str) -> bytes:
    inner = form.replace("{ns}", "http://iptc.org/std/Iptc4xmpExt/2008-02-29/")
    head = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    return f'<?xpacket begin="\ufeff"?>{head}{inner}</rdf:RDF></x:xmpmeta>  \n<?xpacket end="w"?>'.encode()


@pytest.mark.parametrize("name", TRUTH)
def test_known_outcomes(full, lsb, root, name) -> None:
    edit = next(edit for edit in EDITS if edit.id == name)
    reader = Reader(anchors=root, watermark=lsb)
    marks = reader.marks(full)
    assert marks.layers == tuple(Layer)
    assert marks.c2pa is not None
    assert marks.c2pa.verified
    edited = edit(full)
    assert edited is not None
    assert tuple(reader.outcomes(marks, edited).values()) == TRUTH[name]


def test_a_layer_that_is_not_there_is_not_judged(save, lsb, stamper, claim) -> None:
    reader = Reader(watermark=lsb)
    assert reader.marks(save()) == Marks()
    assert reader.outcomes(Marks(), save()) == {}
    assert Reader(layers=(Layer.TEXT,)).marks(stamper.stamp(save(), claim).data).layers == ()


@pytest.mark.parametrize("form", FORMS)
def test_the_source_type_in_every_form_of_rdf(form) -> None:
    assert digital_source_type(packet(FORMS[form])) == AI


def test_packets_without_it_and_packets_that_are_none() -> None:
    assert digital_source_type(packet("<rdf:Description/>")) == ""
    assert digital_source_type(packet("<rdf:Description>")) is None
    assert digital_source_type(None) is None
    bomb = b'<!DOCTYPE a [<!ENTITY b "c">]>' + packet(FORMS["attribute"])
    assert digital_source_type(bomb) is None


def test_xmp_kept_broken_and_gone(save) -> None:
    reader = Reader()
    container = read_container(save())
    marks = Marks(xmp=AI)

    def outcome(content: bytes) -> Outcome:
        return reader.outcomes(marks, container.with_part(xmp_part("png", content)).data())[Layer.XMP]

    assert outcome(packet(FORMS["element"])) is K
    assert outcome(packet(FORMS["attribute"].replace("trainedAlgorithmicMedia", "digitalCapture"))) is B
    assert outcome(packet(FORMS["attribute"])[:-40]) is B
    assert outcome(packet("<rdf:Description/>")) is G
    assert reader.outcomes(marks, save()) == {Layer.XMP: G}


def test_a_source_type_that_exiftool_wrote(save, tmp_path) -> None:
    if shutil.which("exiftool") is None:
        pytest.skip("needs exiftool")
    for kind, name in (("PNG", "a.png"), ("JPEG", "a.jpg"), ("WEBP", "a.webp")):
        path = tmp_path / name
        path.write_bytes(save(kind))
        option = f"-XMP-iptcExt:DigitalSourceType={AI}"
        subprocess.run(["exiftool", "-q", "-overwrite_original", option, path], check=True)
        assert Reader().marks(path.read_bytes()).xmp == AI
        option = "-XMP-iptcExt:DigitalSourceType=http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"
        subprocess.run(["exiftool", "-q", "-overwrite_original", option, path], check=True)
        assert Reader().outcomes(Marks(xmp=AI), path.read_bytes()) == {Layer.XMP: B}


def test_exiftool_after_signing_breaks_credentials_and_nothing_else(full, lsb, tmp_path) -> None:
    if shutil.which("exiftool") is None:
        pytest.skip("needs exiftool")
    path = tmp_path / "a.png"
    path.write_bytes(full)
    subprocess.run(["exiftool", "-q", "-overwrite_original", "-EXIF:Artist=me", path], check=True)
    reader = Reader(watermark=lsb)
    found = reader.outcomes(reader.marks(full), path.read_bytes())
    assert list(found.values()) == [B, K, K, K]


def test_texts_may_move_but_not_change(save) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "a cat, Steps: 20")
    info.add_text("workflow", "{}")
    info.add_text("Software", "any tool")
    reader = Reader()
    marks = reader.marks(save(pnginfo=info))
    assert marks.text == {"parameters": "a cat, Steps: 20", "workflow": "{}"}

    def outcome(**texts: str) -> Outcome:
        container = read_container(save())
        for keyword, text in texts.items():
            container = container.with_part(text_part("png", keyword, text))
        return reader.outcomes(marks, container.data())[Layer.TEXT]

    assert outcome(parameters="a cat, Steps: 20", workflow="{}", more="x") is K
    assert outcome(Comment="a cat, Steps: 20", workflow="{}") is K
    assert outcome(parameters="a cat, Steps: 20") is B
    assert outcome(parameters="a dog, Steps: 20", workflow="{}") is B
    assert outcome(Comment="other") is G
    one = Marks(text={"parameters": "a cat, Steps: 20"})
    jpeg = read_container(save("JPEG")).with_part(text_part("jpeg", "", "a cat, Steps: 20")).data()
    assert reader.outcomes(one, jpeg) == {Layer.TEXT: K}


def test_a_mark_with_another_payload_is_broken(draw_picture, lsb) -> None:
    reader = Reader(watermark=lsb)
    marks = reader.marks(encode_png(lsb.embed(draw_picture(), b"abcd")))
    assert marks.payload == b"abcd"
    other = encode_png(lsb.embed(draw_picture(), b"abce"))
    assert reader.outcomes(marks, other) == {Layer.WATERMARK: B}
    assert reader.outcomes(marks, encode_png(draw_picture())) == {Layer.WATERMARK: G}


def test_the_same_pixels_are_read_once(full, lsb) -> None:
    class Counting(type(lsb)):
        seen = 0

        def read(self, rgb, /):
            Counting.seen += 1
            return super().read(rgb)

    reader = Reader(watermark=Counting())
    marks = reader.marks(full)
    for edit in EDITS:
        if edit.family in ("copy", "container"):
            edited = edit(full)
            assert edited is not None
            reader.outcomes(marks, edited)
    assert Counting.seen == 1


def test_credentials_that_cannot_be_read_are_broken_while_they_are_there(full) -> None:
    container = read_container(full)
    store = next(container.of(Role.CREDENTIALS))
    at = store.body.index(b"c2pa.claim.v2") + 60
    claim = store.body[:at] + bytes(byte ^ 0xFF for byte in store.body[at : at + 40]) + store.body[at + 40 :]
    parts = tuple(Part(p.name, claim) if p is store else p for p in container.parts)
    damaged = type(container)(container.kind, parts).data()
    marks = Marks(c2pa=State.VALID_UNTRUSTED)
    assert Reader().outcomes(marks, damaged) == {Layer.C2PA: B}
    assert np.array_equal(decode(damaged), decode(full))
    assert Reader().outcomes(marks, full[: len(full) // 2]) == {Layer.C2PA: G}
    assert Reader().outcomes(marks, b"") == {Layer.C2PA: G}
