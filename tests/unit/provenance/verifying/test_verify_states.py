# SPDX-License-Identifier: Apache-2.0
"""What each manipulation of a signed file comes out as, over every format that can carry credentials."""

from __future__ import annotations

import io
import json
import struct
import zlib
from dataclasses import asdict

import pytest
from PIL import Image, PngImagePlugin

from audit.provenance import State, verify_bytes

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "GIF")


@pytest.fixture(scope="module", params=FORMATS)
def kind(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def signed(signer, picture, kind) -> bytes:
    return signer.sign(picture(kind), kind)


def flip(data: bytes, at: int, bits: int = 1) -> bytes:
    return data[:at] + bytes([data[at] ^ bits]) + data[at + 1 :]


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def test_whole(signed, authority) -> None:
    assert verify_bytes(signed).state is State.VALID_UNTRUSTED
    verdict = verify_bytes(signed, anchors=authority.pem)
    assert (verdict.state, verdict.codes, verdict.warnings) == (State.NO_TIMESTAMP, (), ())
    assert (verdict.ai, verdict.generator, verdict.title) == (True, "a-model", "t")
    assert verdict.signed_at == "2026-11-22T06:00:00Z"
    assert str(verdict.manifest_id).startswith("urn:c2pa:")
    assert str(verdict.library).startswith("c2pa-python 0.38")


def test_unsigned(picture, kind) -> None:
    verdict = verify_bytes(picture(kind))
    assert (verdict.state, verdict.codes, verdict.warnings, verdict.ai) == (State.ABSENT, (), (), False)


def test_saved_anew(signed, kind) -> None:
    out = io.BytesIO()
    Image.open(io.BytesIO(signed)).convert("RGB").save(out, kind)
    assert verify_bytes(out.getvalue()).state is State.ABSENT


def test_one_bit_of_the_picture(signed, kind, picture, authority) -> None:
    # The last bytes of what the picture itself is made of, found in the signed file.
    part = picture(kind)[-200:-180]
    at = signed.rfind(part)
    assert at > 0
    verdict = verify_bytes(flip(signed, at + 10), anchors=authority.pem)
    assert verdict.state is State.INVALID
    assert {"assertion.dataHash.mismatch", "assertion.bmffHash.mismatch"} & set(verdict.codes)
    assert "changed after it was signed" in verdict.message


@pytest.mark.parametrize("more", [16, 1024])
def test_something_after_the_end(signed, more, authority) -> None:
    verdict = verify_bytes(signed + b"\0" * more, anchors=authority.pem)
    assert verdict.state in {State.INVALID, State.UNREADABLE}
    assert verdict.codes


def test_an_assertion(signed, authority) -> None:
    verdict = verify_bytes(flip(signed, signed.find(b"trainedAlgorithmicMedia")), anchors=authority.pem)
    assert verdict.state is State.INVALID
    assert "assertion.hashedURI.mismatch" in verdict.codes


def test_the_claim(signed, kind, authority) -> None:
    verdict = verify_bytes(flip(signed, signed.find(b"claim_generator_info") - 1, 0xFF), anchors=authority.pem)
    if kind == "GIF" and verdict.state is State.INVALID:  # lengths of its blocks stand among the bytes
        return
    assert (verdict.state, verdict.codes) == (State.UNREADABLE, ("Decoding",))
    assert "credentials in the file are damaged" in verdict.message


def test_the_certificate(signed, authority) -> None:
    verdict = verify_bytes(flip(signed, signed.find(b"A Studio")), anchors=authority.pem)
    assert verdict.state is State.INVALID
    assert {"claimSignature.mismatch", "signingCredential.untrusted"} <= set(verdict.codes)


@pytest.mark.parametrize("share", [0.999, 0.9, 0.5, 0.25, 0.05, 0.01, 0.0])
def test_cut_short(signed, share, authority) -> None:
    verdict = verify_bytes(signed[: int(len(signed) * share)], anchors=authority.pem)
    assert verdict.state in {State.INVALID, State.UNREADABLE}
    assert verdict.message


def test_only_a_pointer(signer, picture, kind, authority) -> None:
    address = "https://credentials.example/one.c2pa"
    data = signer.sign(picture(kind), kind, remote=address, embed=False)
    verdict = verify_bytes(data, anchors=authority.pem)
    assert (verdict.state, verdict.state.verified) == (State.REMOTE_ONLY, False)
    assert address in verdict.message
    assert "never followed" in verdict.hint
    both = signer.sign(picture(kind), kind, remote=address)
    assert verify_bytes(both, anchors=authority.pem).state is State.NO_TIMESTAMP


def test_edited_over_a_changed_parent(signer, signed, kind, picture, authority) -> None:
    """The library calls the result trusted."""
    at = signed.rfind(picture(kind)[-200:-180])
    again = signer.sign(flip(signed, at + 10), kind, edit=True)
    verdict = verify_bytes(again, anchors=authority.pem)
    assert verdict.state is State.BAD_INGREDIENT
    assert any(code.startswith("ingredient:assertion.") and code.endswith("Hash.mismatch") for code in verdict.codes)
    twice = verify_bytes(signer.sign(again, kind, edit=True), anchors=authority.pem)
    assert twice.state is State.BAD_INGREDIENT  # also two generations deep
    assert len(twice.parents) == len(twice.ingredients) == 2


def test_edited_over_a_sound_parent(signer, signed, kind, authority) -> None:
    verdict = verify_bytes(signer.sign(signed, kind, edit=True), anchors=authority.pem)
    assert (verdict.state, verdict.ai, verdict.codes) == (State.NO_TIMESTAMP, True, ())  # the parent declares it
    (parent,) = verdict.ingredients
    assert (parent.relationship, parent.issuer, parent.codes) == ("parentOf", "A Studio", ())
    assert verdict.parents == (parent.manifest_id,)


def test_parent_of_a_stranger(signer, stranger, picture, kind, authority) -> None:
    data = signer.sign(stranger.sign(picture(kind), kind), kind, edit=True)
    verdict = verify_bytes(data, anchors=authority.pem)
    assert verdict.state is State.VALID_UNTRUSTED
    assert verdict.codes == ("ingredient:signingCredential.untrusted",)
    assert verdict.ingredients[0].issuer == "OpenAI OpCo, LLC"


def test_created_over_signed_leaves_no_trace(signer, stranger, picture, kind, authority) -> None:
    """Laundering: the file alone cannot tell, so the verdict must not pretend that it can."""
    data = signer.sign(stranger.sign(picture(kind), kind), kind)
    verdict = verify_bytes(data, anchors=authority.pem)
    assert (verdict.state, verdict.ingredients, verdict.parents) == (State.NO_TIMESTAMP, (), ())
    if kind != "TIFF":  # where the library leaves the old bytes behind, without a pointer to them
        assert b"OpenAI" not in data


# -- PNG only: the same code behind every format ---------------------------------------------------------------


@pytest.fixture(scope="module")
def png(signer, picture) -> bytes:
    return signer.sign(picture())


def credentials(data: bytes) -> bytes:
    start = data.find(b"caBX") - 4
    return data[start : start + int.from_bytes(data[start : start + 4], "big") + 12]


def test_twice_the_credentials(png) -> None:
    store = credentials(png)
    start = png.find(store)
    verdict = verify_bytes(png[:start] + store + png[start:])
    assert (verdict.state, verdict.codes) == (State.UNREADABLE, ("Manifest",))
    assert "more than one" in verdict.message


def test_text_added_after_signing(png, authority) -> None:
    end = png.rfind(b"IEND") - 4
    changed = png[:end] + chunk(b"tEXt", b"parameters\0a cat") + png[end:]
    Image.open(io.BytesIO(changed)).load()  # a sound file
    assert verify_bytes(changed, anchors=authority.pem).state is State.INVALID


def test_credentials_of_another(png, picture, authority) -> None:
    other = picture(seed=2)
    at = other.find(b"IDAT") - 4
    verdict = verify_bytes(other[:at] + credentials(png) + other[at:], anchors=authority.pem)
    assert (verdict.state, verdict.codes) == (State.INVALID, ("assertion.dataHash.mismatch",))


def test_a_pointer_into_a_file_that_was_stripped(picture) -> None:
    xmp = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dcterms="http://purl.org/dc/terms/" dcterms:provenance='
        '"self#jumbf=/c2pa/urn:c2pa:0"/></rdf:RDF></x:xmpmeta>'
    )
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp)
    out = io.BytesIO()
    Image.open(io.BytesIO(picture())).save(out, "PNG", pnginfo=info)
    verdict = verify_bytes(out.getvalue())
    assert (verdict.state, verdict.warnings) == (State.ABSENT, ("genaudit.credentials.removed",))


def test_a_pointer_cannot_write_on_the_screen(signer, picture) -> None:
    data = signer.sign(picture(), remote="https://x.example/\u202egnp.c2pa", embed=False)
    verdict = verify_bytes(data)
    assert verdict.state is State.REMOTE_ONLY
    assert "\u202e" not in verdict.message


def test_compressed_credentials(signer, picture, png, authority) -> None:
    data = signer.sign(picture(), core={"prefer_compress_manifests": True})
    assert len(data) < len(png) - 500
    assert verify_bytes(data, anchors=authority.pem).state is State.NO_TIMESTAMP
    assert not verify_bytes(flip(data, data.rfind(b"IDAT") + 40), anchors=authority.pem).state.verified


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "genaudit.file.unknown"),
        (b"hello, world", "genaudit.file.unknown"),
        (b"BM" + b"\0" * 60, "genaudit.file.unknown"),
        (b"\x89PNG\r\n\x1a\n", "Other"),
        (b"\xff\xd8\xff", "NotSupported"),
        (b"GIF89a" + b"\0" * 40, "Io"),
        (b"II*\0" + b"\xff" * 40, "Io"),
        (b"RIFF\xff\xff\xff\xffWEBPVP8 ", "Other"),
        (b"\0\0\0\x18ftypavif" + b"\0" * 3, "Io"),
    ],
)
def test_files_that_are_none(data, code) -> None:
    verdict = verify_bytes(data)
    assert verdict.state in {State.UNREADABLE, State.ABSENT}
    if verdict.state is State.UNREADABLE:
        assert len(verdict.codes) == 1
        assert verdict.message
        assert code == verdict.codes[0] or {code, verdict.codes[0]} <= {"Io", "Other", "NotSupported"}


def test_what_no_hash_covers(png, authority) -> None:
    """The library accepts a wrong checksum of the chunk; a strict reader does not."""
    store = credentials(png)
    at = png.find(store) + len(store) - 1
    verdict = verify_bytes(flip(png, at), anchors=authority.pem)
    assert verdict.state is State.INVALID
    assert "genaudit.container.crc" in verdict.codes
    assert "no hash" in verdict.message


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + name + content


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"hevc", b"mif1", b"msf1"])
def test_heic(signer, brand, authority) -> None:
    """Boxes only: neither Pillow nor the library has a decoder for what would be in them."""
    handler = box(b"hdlr", b"\0" * 8 + b"pict" + b"\0" * 13)
    brands = box(b"ftyp", brand + b"\0\0\0\0mif1" + brand)
    data = signer.sign(brands + box(b"meta", b"\0" * 4 + handler) + box(b"mdat", b"x" * 40), "HEIC")
    assert verify_bytes(data, anchors=authority.pem).state is State.NO_TIMESTAMP
    assert verify_bytes(flip(data, data.rfind(b"xxxx")), anchors=authority.pem).state is State.INVALID


def test_jpeg_xl(signer, authority) -> None:
    data = box(b"JXL ", b"\r\n\x87\n") + box(b"ftyp", b"jxl \0\0\0\0jxl ") + box(b"jxlc", b"\xff\x0a" + b"x" * 60)
    assert verify_bytes(data).state is State.ABSENT
    signed = signer.sign(data, "JXL")
    assert verify_bytes(signed, anchors=authority.pem).state is State.NO_TIMESTAMP
    assert verify_bytes(flip(signed, signed.rfind(b"xxxx")), anchors=authority.pem).state is State.INVALID


# -- what the credentials say ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("term", "warning", "ai"),
    [
        ("ai", "unknown", False),
        ("https://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia", "unknown", True),
        ("http://evil.example/trainedAlgorithmicMedia", "unknown", False),
        ("http://cv.iptc.org/newscodes/digitalsourcetype/digitalArt", "retired", False),
        ("http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture", None, False),
        ("http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia", None, True),
        ("http://c2pa.org/digitalsourcetype/trainedAlgorithmicData", None, True),
        ("http://c2pa.org/digitalsourcetype/empty", None, False),
    ],
)
def test_source_types_are_checked_here(signer, picture, manifest, term, warning, ai) -> None:
    """The library takes any text."""
    data = signer.sign(picture(), manifest=manifest(term))
    verdict = verify_bytes(data)
    assert verdict.source_types == (term,)
    assert verdict.warnings == ((f"genaudit.digitalSourceType.{warning}",) if warning else ())
    assert verdict.ai is ai


def test_actions_that_nobody_attests(signer, picture) -> None:
    builder = {"thumbnail": {"enabled": False}}
    data = signer.sign(picture(), builder=builder)  # the library's default: gathered, not attested
    assert "genaudit.actions.gathered" in verify_bytes(data).warnings


def test_a_name_is_only_a_claim(stranger, picture, authority) -> None:
    verdict = verify_bytes(stranger.sign(picture()), anchors=authority.pem)
    assert (verdict.state, verdict.issuer) == (State.VALID_UNTRUSTED, "OpenAI OpCo, LLC")
    assert "claims to be OpenAI OpCo, LLC" in verdict.message
    assert "--trust" in verdict.hint


def test_declared_watermark_and_our_own_assertion(signer, picture, manifest) -> None:
    binding = {
        "label": "c2pa.soft-binding",
        "data": {"alg": "org.genaudit.spread.1", "blocks": [{"scope": {}, "value": "0011aabbcc"}]},
    }
    said = {"label": "org.genaudit.generation", "data": {"request_id": "r-1", "run_id": "run-1", "generator": "g"}}
    data = signer.sign(picture(), manifest=manifest("x", binding, said))
    verdict = verify_bytes(data)
    assert verdict.watermark is not None
    assert (verdict.watermark.algorithm, verdict.watermark.value) == ("org.genaudit.spread.1", "0011aabbcc")
    assert (verdict.request_id, verdict.run_id, verdict.generator) == ("r-1", "run-1", "g")


@pytest.mark.parametrize("odd", [{"request_id": {"a": 1}, "run_id": ["x"], "generator": 3}, [1, 2], "text", None])
def test_odd_types_in_our_own_assertion(signer, picture, manifest, odd) -> None:
    said = {"label": "org.genaudit.generation", "data": odd}
    verdict = verify_bytes(signer.sign(picture(), manifest=manifest("x", said)))
    assert verdict.state is State.VALID_UNTRUSTED
    assert verdict.request_id is None
    assert verdict.run_id is None


def test_a_verdict_is_plain_data(png, authority) -> None:
    verdict = verify_bytes(png, anchors=authority.pem)
    plain = json.loads(json.dumps(asdict(verdict)))
    assert plain["state"] == "no_timestamp"
    assert plain["lists"][0]["certificates"] == 1
    assert len(plain["lists"][0]["sha256"]) == 64


def test_the_rubric_is_run_on_demand(png, picture, stranger) -> None:
    assert verify_bytes(png).rubric is None
    assert "mandatory_spec_version" in (verify_bytes(png, rubric=True).rubric or ())
    assert verify_bytes(picture(), rubric=True).rubric is None  # nothing to check
