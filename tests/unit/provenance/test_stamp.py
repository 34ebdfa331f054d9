# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import io
import json
import os
import pickle
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from audit.errors import ConfigError, StoreError
from audit.images import decode
from audit.provenance import Claim, Stamper, State, verify_bytes
from audit.provenance._containers import scan
from audit.provenance._engine import GENERATION, sniff, verify_context
from audit.provenance.keys import TimeStamps
from audit.provenance.watermark import Reading, WatermarkSpec, payload_of

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "GIF")
KIND = {name: f"image/{name.lower()}" for name in FORMATS}
_Y, _X = np.mgrid[:48, :64]
RGB = np.stack([_X * 4, _Y * 5, 255 - _X * 2 - _Y * 2], axis=-1).astype(np.uint8)
TRUSTED = {State.TRUSTED, State.NO_TIMESTAMP}


class Tiles:
    """A visible, honest mark for tests: 64 tiles, each lighter or darker than the middle. Survives good compression."""

    spec = WatermarkSpec("tiles", "org.example.tiles.1", "00", "Apache-2.0", 64, 32, 1e-9, "computed: test")

    def embed(self, rgb, payload, /):
        if min(rgb.shape[:2]) < self.spec.min_side:
            raise ValueError(f"{rgb.shape[1]}x{rgb.shape[0]} is too small")
        if len(payload) != 8:
            raise ValueError("8 bytes are wanted")
        made = (rgb // 4).astype(np.int16)
        bits = np.unpackbits(np.frombuffer(payload, np.uint8)).reshape(8, 8)
        for (row, column), bit in np.ndenumerate(bits):
            made[self._tile(rgb, row, column)] += 160 if bit else 32
        return made.astype(np.uint8)

    def read(self, rgb, /):
        means = [[rgb[self._tile(rgb, row, column)].mean() for column in range(8)] for row in range(8)]
        payload = np.packbits(np.array(means) > 128).tobytes()
        return Reading(payload, 2**-64)

    def _tile(self, rgb, row, column):
        high, wide = rgb.shape[0] // 8, rgb.shape[1] // 8
        return slice(row * high, (row + 1) * high), slice(column * wide, (column + 1) * wide)


class Fragile(Tiles):
    """A mark in the lowest bits, which no lossy format keeps."""

    spec = dataclasses.replace(Tiles.spec, name="fragile", algorithm="org.example.fragile.1")

    def embed(self, rgb, payload, /):
        made = rgb.copy().reshape(-1)
        bits = np.unpackbits(np.frombuffer(payload, np.uint8))
        made[:64] = made[:64] & 0xFE | bits
        return made.reshape(rgb.shape)

    def read(self, rgb, /):
        return Reading(np.packbits(rgb.reshape(-1)[:64] & 1).tobytes())


@pytest.fixture(scope="module")
def marker(stamper: Stamper) -> Stamper:
    return Stamper(stamper.keys, tool_version="0.1.0", watermark=Tiles())


def manifests(data: bytes) -> tuple[dict, list[dict]]:
    import c2pa

    with c2pa.Reader(sniff(data), io.BytesIO(data), context=verify_context(None)) as reader:
        store = json.loads(reader.json())
    return store["manifests"][store["active_manifest"]], list(store["manifests"].values())


def assertion(manifest: dict, label: str) -> dict:
    return next(a for a in manifest["assertions"] if a["label"] == label)


def actions(data: bytes) -> list[str]:
    return [a["action"] for a in assertion(manifests(data)[0], "c2pa.actions.v2")["data"]["actions"]]


def damage(data: bytes) -> bytes:
    """Change one bit of the picture, outside the credentials."""
    kind = sniff(data)
    at = {"image/png": data.find(b"IDAT") + 60, "image/jpeg": len(data) - 40, "image/webp": data.find(b"VP8 ") + 60}[
        kind or ""
    ]
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize("kind", FORMATS)
def test_stamped_image_verifies_and_keeps_its_pixels(stamper, claim, encode, root, kind) -> None:
    data = encode(kind)
    made = stamper.stamp(data, claim)
    verdict = verify_bytes(made.data)
    assert (verdict.state, verdict.ai, verdict.generator) == (State.VALID_UNTRUSTED, True, "small-diffusion")
    assert verdict.request_id == "r-0001"
    assert "not trusted" in str(verdict.issuer)
    assert verify_bytes(made.data, anchors=root).state in TRUSTED
    assert np.array_equal(*(np.asarray(Image.open(io.BytesIO(d)).convert("RGB")) for d in (data, made.data)))
    assert (made.media_type, made.rgb, made.parent, made.watermark) == (KIND[kind], None, None, None)
    assert made.notes == ()
    assert 4000 < len(made.data) - len(data) < (8000 if kind == "TIFF" else 6500)


def test_credentials_already_there_become_the_parent(stamper, claim, encode, root) -> None:
    first = stamper.stamp(encode(), claim).data
    second = stamper.stamp(first, dataclasses.replace(claim, request_id="r-0002", generator="folder"))
    active, every = manifests(second.data)
    assert second.parent is State.VALID_UNTRUSTED
    assert len(every) == 2
    assert [i["relationship"] for i in active["ingredients"]] == ["parentOf"]
    assert actions(second.data) == ["c2pa.opened", "c2pa.edited.metadata"]
    assert not any("digitalSourceType" in a for a in assertion(active, "c2pa.actions.v2")["data"]["actions"])
    assert assertion(active, GENERATION)["data"]["parent_state"] == "valid_untrusted"
    verdict = verify_bytes(second.data, anchors=root)
    assert (verdict.state in TRUSTED, verdict.request_id, verdict.ai) == (
        True,
        "r-0002",
        True,
    )  # the parent declares it


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_broken_parent_is_refused_or_recorded(stamper, claim, encode, root, kind) -> None:
    broken = damage(stamper.stamp(encode(kind), claim).data)
    assert verify_bytes(broken, anchors=root).state is State.INVALID
    with pytest.raises(StoreError, match="credentials are broken") as caught:
        stamper.stamp(broken, claim)
    assert "record" in str(caught.value.hint)
    recorder = Stamper(stamper.keys, broken_parents="record")
    again = recorder.stamp(broken, claim, checked=True)  # one wrong bit is too much for a PNG decoder
    verdict = verify_bytes(again.data, anchors=root)
    assert (verdict.state, again.parent) == (State.BAD_INGREDIENT, State.INVALID)
    assert "ingredient:assertion.dataHash.mismatch" in verdict.codes
    assert assertion(manifests(again.data)[0], GENERATION)["data"]["parent_state"] == "invalid"
    with pytest.raises(StoreError, match="credentials are broken"):
        stamper.stamp(again.data, claim)
    twice = verify_bytes(recorder.stamp(again.data, claim, checked=True).data, anchors=root)
    assert twice.state is State.BAD_INGREDIENT  # also two generations deep


def test_unreadable_credentials_are_not_stamped_over(stamper, claim, encode) -> None:
    signed = stamper.stamp(encode(), claim).data
    at = signed.find(b"claim_generator") - 1
    broken = signed[:at] + bytes([signed[at] ^ 0xFF]) + signed[at + 1 :]
    assert verify_bytes(broken).state is State.UNREADABLE
    for behaviour in ("refuse", "record"):
        with pytest.raises(StoreError, match="cannot be stamped") as caught:
            Stamper(stamper.keys, broken_parents=behaviour).stamp(broken, claim)
    assert caught.value.where == "request r-0001"


def test_credentials_elsewhere_are_not_stamped_over(stamper, claim, encode) -> None:
    away = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dcterms="http://purl.org/dc/terms/" '
        'dcterms:provenance="http://127.0.0.1:9/a.c2pa"/></rdf:RDF></x:xmpmeta>'
    )
    for kind in ("PNG", "JPEG"):
        data = scan(encode(kind), KIND[kind]).put(away.encode())
        with pytest.raises(StoreError, match="cannot be stamped") as caught:
            stamper.stamp(data, claim)
        assert caught.value.hint


@pytest.mark.parametrize("data", [b"", b"hello", b"\x00" * 100, b"GIF89a" + b"\x00" * 40])
def test_what_is_no_writable_image_is_refused(stamper, claim, data) -> None:
    with pytest.raises(StoreError, match="cannot be stamped"):
        stamper.stamp(data, claim)


def test_only_whole_images_are_signed(stamper, claim, encode) -> None:
    jpeg, png = encode("JPEG"), encode("PNG")
    header = struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 2, 0, 0, 0)
    huge = png[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + png[33:]
    for data in (jpeg[: len(jpeg) // 2], huge, png[:400]):
        with pytest.raises(StoreError, match="cannot be stamped"):
            stamper.stamp(data, claim)
    # The library itself has no objection, which is why the caller's word is asked for.
    assert stamper.stamp(jpeg[: len(jpeg) // 2], claim, checked=True).data


def test_an_overlong_claim_is_a_clear_error(stamper, claim, encode) -> None:
    with pytest.raises(StoreError, match="1 MiB") as caught:
        stamper.stamp(encode(), dataclasses.replace(claim, params={"workflow": "x" * 3_000_000}))
    assert "digest" in str(caught.value.hint)


def test_a_claim_needs_a_time_zone(claim) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        dataclasses.replace(claim, when=datetime(2026, 1, 1))  # noqa: DTZ001


def test_missing_key_folder(tmp_path, claim, encode) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        Stamper(tmp_path / "none", tool_version="0").stamp(encode(), claim)


def test_unknown_behaviour_is_a_clear_error(stamper) -> None:
    with pytest.raises(ConfigError, match="unknown"):
        Stamper(stamper.keys, broken_parents="ignore")


# XMP and texts that a file brings along


def test_xmp_of_the_file_is_kept_and_ours_added(stamper, claim, encode) -> None:
    from audit.provenance._xmp import packet

    old = (
        packet({}).replace(b"></rdf", b">x</rdf").replace(b'rdf:about=""', b'rdf:about="" xmlns:t="urn:t" t:kept="yes"')
    )
    for kind in FORMATS:
        data = scan(encode(kind), KIND[kind]).put(old)
        made = stamper.stamp(data, claim)
        found = scan(made.data, KIND[kind]).packet
        assert found is not None
        assert b't:kept="yes"' in found
        assert b"trainedAlgorithmicMedia" in found
        assert (made.data.count(b"<x:xmpmeta"), made.notes) == (1, ())
        assert verify_bytes(made.data).state.verified


def test_another_origin_in_the_xmp_is_replaced_and_told(stamper, claim, encode) -> None:
    from audit.provenance._xmp import SOURCE_TYPE, packet

    camera = SOURCE_TYPE.replace("trainedAlgorithmicMedia", "digitalCapture")
    made = stamper.stamp(scan(encode("JPEG"), "image/jpeg").put(packet({"DigitalSourceType": camera})), claim)
    assert b"digitalCapture" not in made.data
    assert made.notes == ("its XMP said digitalCapture, and says trainedAlgorithmicMedia now",)


def test_xmp_that_cannot_be_read_safely_is_left_alone(stamper, claim, encode) -> None:
    old = b'<!DOCTYPE x [<!ENTITY a "b">]><x:xmpmeta xmlns:x="adobe:ns:meta/">&a;</x:xmpmeta>'
    made = stamper.stamp(scan(encode(), "image/png").put(old), claim)
    assert scan(made.data, "image/png").packet == old
    assert made.notes == ("no XMP written: its XMP holds a DTD or entities, which are not read",)
    assert verify_bytes(made.data).state.verified


def test_text_chunks_stay(stamper, claim) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "a cat\nNegative prompt: dog\nSteps: 20, Seed: 1")
    out = io.BytesIO()
    Image.fromarray(RGB).save(out, "PNG", pnginfo=info)
    made = stamper.stamp(out.getvalue(), claim).data
    assert Image.open(io.BytesIO(made)).text["parameters"] == "a cat\nNegative prompt: dog\nSteps: 20, Seed: 1"


def test_signed_files_get_no_xmp(stamper, claim, encode) -> None:
    first = Stamper(stamper.keys, xmp=False).stamp(encode(), claim).data
    assert b"Iptc4xmpExt" not in stamper.stamp(first, claim).data  # it would break the parent's hash


# Pictures


@pytest.mark.parametrize("kind", FORMATS)
def test_pixels_with_a_watermark(marker, claim, root, kind) -> None:
    made = marker.mark(RGB, claim, media_type=KIND[kind])
    assert verify_bytes(made.data, anchors=root).state in TRUSTED
    assert sniff(made.data) == made.media_type == KIND[kind]
    assert made.rgb is not None
    np.testing.assert_array_equal(made.rgb, decode(made.data))
    payload = payload_of(made.manifest_id, 64)
    assert (made.payload, made.watermark) == (payload.hex(), "org.example.tiles.1")
    assert Tiles().read(decode(made.data)).payload == payload
    assert actions(made.data) == ["c2pa.created", "c2pa.watermarked.bound"]
    binding = assertion(manifests(made.data)[0], "c2pa.soft-binding")
    assert binding["data"] == {"alg": "org.example.tiles.1", "blocks": [{"scope": {}, "value": payload.hex()}]}
    assert binding["created"] is True
    assert made.notes == ()


@pytest.mark.parametrize("kind", FORMATS)
def test_pixels_without_a_watermark(stamper, claim, kind) -> None:
    made = stamper.mark(RGB, claim, media_type=KIND[kind])
    assert actions(made.data) == ["c2pa.created"]
    if kind in {"PNG", "TIFF"}:
        np.testing.assert_array_equal(decode(made.data), RGB)
        assert made.rgb is None
    else:
        np.testing.assert_array_equal(decode(made.data), made.rgb)
        assert np.abs(made.rgb.astype(int) - RGB).mean() < (8 if kind == "GIF" else 3)


def test_three_lines_for_anybodys_generator(stamper) -> None:
    image = Image.fromarray(RGB)
    made = stamper.mark(image, Claim.about("my-model", prompt="a cat", seed=1))
    assert (sniff(made.data), verify_bytes(made.data).generator) == ("image/png", "my-model")


def test_finished_files_are_not_written_anew_without_need(stamper, claim, encode) -> None:
    data = encode("JPEG")
    made = stamper.mark(data, claim)
    assert made.data.endswith(data[-2000:])
    assert (made.media_type, made.rgb) == ("image/jpeg", None)


def test_files_that_are_written_anew_keep_what_they_say(marker, claim) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"  # to be turned by 90 degrees
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "a cat, Steps: 20")
    info.add_itxt("title", "中 \U0001f408")
    common = {"exif": exif, "icc_profile": profile, "dpi": (300, 300)}
    for kind, options in {"PNG": {"pnginfo": info}, "JPEG": {"comment": b"hello", "quality": 95}, "WEBP": {}}.items():
        out = io.BytesIO()
        Image.fromarray(RGB).save(out, kind, **common, **options)
        made = marker.mark(out.getvalue(), claim)
        with Image.open(io.BytesIO(made.data)) as image:
            assert image.info["icc_profile"] == profile
            assert (image.getexif().get(0x0112, 1), image.getexif()[0x010E]) == (1, "a description")
            assert image.size == (48, 64)  # upright now
            if kind == "PNG":
                assert (image.text["parameters"], image.text["title"]) == ("a cat, Steps: 20", "中 \U0001f408")
            if kind == "JPEG":
                assert image.info["comment"] == b"hello"
        assert Tiles().read(decode(made.data)).payload == bytes.fromhex(made.payload)


def test_transparency_stays(marker, claim) -> None:
    alpha = np.full(RGB.shape[:2], 255, np.uint8)
    alpha[:2, :2] = 0
    out = io.BytesIO()
    Image.fromarray(np.dstack([RGB, alpha])).save(out, "PNG")
    made = marker.mark(out.getvalue(), claim)
    with Image.open(io.BytesIO(made.data)) as image:
        assert image.mode == "RGBA"
        np.testing.assert_array_equal(np.asarray(image)[..., 3], alpha)
    np.testing.assert_array_equal(made.rgb, decode(made.data))
    opaque = marker.mark(out.getvalue(), claim, media_type="image/jpeg")
    assert decode(opaque.data)[:2, :2].min() > 180  # put on white


def test_a_lossless_webp_stays_lossless(marker, claim) -> None:
    out = io.BytesIO()
    Image.fromarray(RGB).save(out, "WEBP", lossless=True)
    made = marker.mark(out.getvalue(), claim)
    np.testing.assert_array_equal(decode(made.data), Tiles().embed(RGB, bytes.fromhex(made.payload)))


def test_animations_are_signed_but_not_watermarked(stamper, marker, claim) -> None:
    out = io.BytesIO()
    other = Image.fromarray(RGB[::-1].copy())
    Image.fromarray(RGB).save(out, "GIF", save_all=True, append_images=[other], loop=2)
    made = stamper.mark(out.getvalue(), claim)
    with Image.open(io.BytesIO(made.data)) as image:
        assert (image.n_frames, image.info["loop"]) == (2, 2)
    assert verify_bytes(made.data).state.verified
    with pytest.raises(StoreError, match="losing frames"):
        marker.mark(out.getvalue(), claim)


def test_a_watermark_that_does_not_fit_or_hold_is_not_declared(stamper, marker, claim) -> None:
    with pytest.raises(StoreError, match="too small") as caught:
        marker.mark(RGB[:16, :16], claim)
    assert "32 pixels" in str(caught.value.hint)
    fragile = Stamper(stamper.keys, watermark=Fragile())
    assert fragile.mark(RGB, claim).payload
    with pytest.raises(StoreError, match="cannot be read back"):
        fragile.mark(RGB, claim, media_type="image/jpeg")


@pytest.mark.parametrize(("came", "goes"), [("PNG", "PNG"), ("JPEG", "JPEG"), ("WEBP", "PNG"), ("TIFF", "AVIF")])
def test_a_signed_parent_gets_a_watermark_and_is_kept(stamper, marker, claim, encode, root, came, goes) -> None:
    first = stamper.stamp(encode(came), claim)
    made = marker.mark(first.data, dataclasses.replace(claim, request_id="r-2"), media_type=KIND[goes])
    changed = ["c2pa.transcoded"] if came != goes else []
    assert actions(made.data) == ["c2pa.opened", *changed, "c2pa.watermarked.bound"]
    active, every = manifests(made.data)
    assert {m["label"] for m in every} == {first.manifest_id, made.manifest_id}
    assert [i["relationship"] for i in active["ingredients"]] == ["parentOf"]
    verdict = verify_bytes(made.data, anchors=root)
    assert (verdict.state in TRUSTED, verdict.request_id, verdict.ai, made.parent) == (
        True,
        "r-2",
        True,
        State.VALID_UNTRUSTED,
    )
    assert Tiles().read(decode(made.data)).payload == payload_of(made.manifest_id, 64)


@pytest.mark.parametrize("pixels", [RGB[..., 0], RGB.astype(np.float32), RGB[:0], np.dstack([RGB, RGB])])
def test_what_is_no_picture_is_refused(stamper, claim, pixels) -> None:
    with pytest.raises(StoreError, match="not uint8"):
        stamper.mark(pixels, claim)


def test_a_pillow_image_of_a_damaged_file_is_refused(stamper, claim, encode) -> None:
    with Image.open(io.BytesIO(encode("JPEG")[:1200])) as image, pytest.raises(StoreError, match="cannot be stamped"):
        stamper.mark(image, claim)
    with pytest.raises(StoreError, match="neither pixels"):
        stamper.mark([1, 2, 3], claim)
    assert stamper.mark(bytearray(encode("JPEG")), claim).media_type == "image/jpeg"


def test_an_unknown_format_is_a_clear_error(stamper, claim) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        stamper.mark(RGB, claim, media_type="image/bmp")


def test_deep_pixels_are_not_cut_down(marker, claim) -> None:
    deep = Image.fromarray((np.arange(48 * 64) * 21 % 65536).astype(np.uint16).reshape(48, 64))
    with pytest.raises(StoreError, match="8 bits"):
        marker.mark(deep, claim)


# Time stamps


def test_an_authority_that_does_not_answer_is_told(stamper, claim, encode) -> None:
    nobody = TimeStamps("http://127.0.0.1:9/", timeout=2.0)
    made = Stamper(stamper.keys, timestamps=nobody).stamp(encode(), claim)
    assert not made.timestamped
    assert any("no time stamp" in note for note in made.notes)
    assert verify_bytes(made.data).state.verified
    with pytest.raises(StoreError, match="no time stamp"):
        Stamper(stamper.keys, timestamps=dataclasses.replace(nobody, required=True)).stamp(encode(), claim)


# Files


def test_files(stamper, claim, encode, tmp_path) -> None:
    source, target = tmp_path / "a.jpg", tmp_path / "out.jpg"
    source.write_bytes(encode("JPEG"))
    made = stamper.stamp_file(source, target, claim)
    assert target.read_bytes() == made.data
    assert source.read_bytes() == encode("JPEG")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.jpg", "out.jpg"]
    mask = os.umask(0)
    os.umask(mask)
    assert target.stat().st_mode & 0o777 == 0o666 & ~mask


def test_a_source_is_never_written_to(stamper, claim, encode, tmp_path) -> None:
    source = tmp_path / "a.png"
    source.write_bytes(encode())
    (tmp_path / "hard.png").hardlink_to(source)
    (tmp_path / "soft.png").symlink_to(source)
    for target in (source, tmp_path / "hard.png", tmp_path / "soft.png", tmp_path / "." / "a.png"):
        with pytest.raises(ConfigError, match="source itself"):
            stamper.stamp_file(source, target, claim)
    with pytest.raises(ConfigError, match="folder"):
        stamper.stamp_file(source, tmp_path, claim)
    assert source.read_bytes() == encode()


def test_a_failure_leaves_the_target_as_it_was(stamper, claim, encode, tmp_path) -> None:
    source, target = tmp_path / "a.png", tmp_path / "out.png"
    source.write_bytes(encode()[:300])
    target.write_bytes(b"before")
    with pytest.raises(StoreError):
        stamper.stamp_file(source, target, claim)
    with pytest.raises(StoreError, match="cannot be read"):
        stamper.stamp_file(tmp_path / "none.png", target, claim)
    source.write_bytes(encode())
    with pytest.raises(StoreError, match="cannot be written"):
        stamper.stamp_file(source, tmp_path / "no" / "folder.png", claim)
    assert target.read_bytes() == b"before"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "out.png"]


# Threads, forks, copies


def test_threads_share_one_stamper(stamper, claim, encode) -> None:
    def one(seed: int) -> str:
        made = stamper.stamp(encode(seed=seed), dataclasses.replace(claim, request_id=f"r-{seed}")).data
        verdict = verify_bytes(made)
        return f"{verdict.state} {verdict.request_id}"

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(40))) == [f"valid_untrusted r-{seed}" for seed in range(40)]


def test_forked_child_signs_and_parent_goes_on(stamper: Stamper, claim: Claim, encode) -> None:
    stamper.stamp(encode(), claim)  # the parent's objects exist before the fork
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if verify_bytes(stamper.stamp(encode(), claim).data).state is State.VALID_UNTRUSTED else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert verify_bytes(stamper.stamp(encode(), claim).data).state.verified


def test_pickled_stamper_signs(marker, claim) -> None:
    marker.mark(RGB, claim)
    copy = pickle.loads(pickle.dumps(marker))
    assert verify_bytes(copy.mark(RGB, claim).data).state.verified
