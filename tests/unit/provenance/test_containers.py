# SPDX-License-Identifier: Apache-2.0
"""XMP goes into finished files without a pixel changing. Pillow, which shares no code with ours, reads both back."""

from __future__ import annotations

import contextlib
import io
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageSequence, PngImagePlugin

from audit.provenance._containers import scan

PACKET = (
    '<?xpacket begin="" id="x"?><x:xmpmeta xmlns:x="adobe:ns:meta/">ä&amp;中</x:xmpmeta><?xpacket end="w"?>'.encode()
)
OTHER = PACKET.replace(b"&amp;", b"longer than before, by an odd number")
KIND = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "WEBP": "image/webp",
    "TIFF": "image/tiff",
    "GIF": "image/gif",
    "AVIF": "image/avif",
}


def picture(mode: str = "RGB", seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    image = Image.fromarray(rng.integers(0, 255, (37, 53, 3), dtype=np.uint8))
    if mode == "RGBA":
        image.putalpha(Image.fromarray(rng.integers(0, 255, (37, 53), dtype=np.uint8)))
        return image
    return image.convert(mode)


def saved(image: Image.Image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def exif() -> Image.Exif:
    made = Image.Exif()
    made[0x010E] = "a description"
    return made


def gif87() -> bytes:
    data = saved(picture("P"), "GIF")
    return b"GIF87a" + data[6:]


PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
CASES = {
    "PNG": saved(picture(), "PNG"),
    "PNG palette with transparency": saved(picture("P"), "PNG", transparency=3),
    "PNG 16 bit": saved(Image.fromarray((np.arange(37 * 53) * 31 % 65536).reshape(37, 53).astype(np.uint16)), "PNG"),
    "JPEG": saved(picture(), "JPEG"),
    "JPEG with EXIF, progressive": saved(picture(), "JPEG", exif=exif(), progressive=True, comment=b"hello"),
    "JPEG grey": saved(picture("L"), "JPEG"),
    "JPEG CMYK": saved(picture("CMYK"), "JPEG"),
    "WEBP lossy": saved(picture(), "WEBP"),
    "WEBP lossless": saved(picture(), "WEBP", lossless=True),
    "WEBP lossless with alpha": saved(picture("RGBA"), "WEBP", lossless=True, exact=True),
    "WEBP extended, with EXIF": saved(picture("RGBA"), "WEBP", exif=exif()),
    "WEBP animated": saved(picture(), "WEBP", save_all=True, append_images=[picture(seed=1)], lossless=True),
    "TIFF": saved(picture(), "TIFF"),
    "TIFF deflate with EXIF": saved(picture(), "TIFF", compression="tiff_adobe_deflate", exif=exif()),
    "TIFF of two pages": saved(picture(), "TIFF", save_all=True, append_images=[picture(seed=1)]),
    "AVIF": saved(picture(), "AVIF"),
    "AVIF with alpha, EXIF and profile": saved(picture("RGBA"), "AVIF", exif=exif(), icc_profile=PROFILE),
    "GIF": saved(picture("P"), "GIF"),
    "GIF 87a": gif87(),
    "GIF animated": saved(picture("P"), "GIF", save_all=True, append_images=[picture("P", 1)], loop=3, duration=70),
}


def kind_of(name: str) -> str:
    return KIND[name.split(maxsplit=1)[0]]


def frames(data: bytes) -> list[np.ndarray]:
    with Image.open(io.BytesIO(data)) as image:
        each = ImageSequence.Iterator(image)
        return [np.asarray(frame if frame.mode == "I;16" else frame.convert("RGBA")) for frame in each]


def xmp_by_pillow(data: bytes) -> bytes | None:
    with Image.open(io.BytesIO(data)) as image:
        found = image.info.get("xmp", image.info.get("XML:com.adobe.xmp"))
    return found.encode() if isinstance(found, str) else found


@pytest.mark.parametrize("name", CASES)
def test_pixels_stay_and_pillow_reads_the_packet(name: str) -> None:
    data = CASES[name]
    before = scan(data, kind_of(name))
    assert before.packet is None
    assert before.put is not None
    once = before.put(PACKET)
    after = scan(once, kind_of(name))
    assert after.packet == PACKET
    assert after.put is not None
    twice = after.put(OTHER)
    assert scan(twice, kind_of(name)).packet == OTHER
    for changed in (once, twice):
        assert len(frames(changed)) == len(frames(data))
        assert all(np.array_equal(a, b) for a, b in zip(frames(changed), frames(data), strict=True))
    if kind_of(name) != "image/gif":  # Pillow does not offer the XMP of GIFs
        assert xmp_by_pillow(once) == PACKET
        assert xmp_by_pillow(twice) == OTHER


@pytest.mark.parametrize("name", CASES)
def test_a_packet_replaces_the_one_before(name: str) -> None:
    once = scan(CASES[name], kind_of(name)).put(PACKET)
    twice = scan(once, kind_of(name)).put(OTHER)
    assert twice.count(b"x:xmpmeta xmlns") == 1
    if not name.startswith(("TIFF", "AVIF")):  # which grow at their end
        assert scan(twice, kind_of(name)).put(PACKET) == once


def test_what_else_is_in_a_png_stays_byte_for_byte() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "a cat\nSteps: 20, Seed: 1")
    info.add_itxt("note", "中", zip=True)
    data = saved(picture(), "PNG", pnginfo=info, dpi=(300, 300), exif=exif())
    made = scan(data, "image/png").put(PACKET)
    chunk = made[33 : 33 + len(made) - len(data)]
    assert made == data[:33] + chunk + data[33:]
    assert int.from_bytes(chunk[-4:], "big") == zlib.crc32(chunk[4:-4])
    with Image.open(io.BytesIO(made)) as image:
        assert image.text["parameters"] == "a cat\nSteps: 20, Seed: 1"


def test_packets_that_pillow_wrote_are_found() -> None:
    for kind, options in (
        ("JPEG", {"xmp": PACKET}),
        ("WEBP", {"xmp": PACKET}),
        ("AVIF", {"xmp": PACKET}),
        ("TIFF", {"tiffinfo": {700: PACKET}}),
    ):
        assert scan(saved(picture(), kind, **options), KIND[kind]).packet == PACKET
    for compressed in (False, True):
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", PACKET.decode(), zip=compressed)
        assert scan(saved(picture(), "PNG", pnginfo=info), "image/png").packet == PACKET


def test_the_vp8x_header_says_what_is_there() -> None:
    made = scan(CASES["WEBP lossless with alpha"], "image/webp").put(PACKET)
    assert made[12:16] == b"VP8X"
    assert made[20] == 0x14  # XMP and alpha
    assert (int.from_bytes(made[24:27], "little") + 1, int.from_bytes(made[27:30], "little") + 1) == (53, 37)
    assert int.from_bytes(made[4:8], "little") == len(made) - 8
    assert scan(CASES["WEBP lossy"], "image/webp").put(PACKET)[20] == 0x04


def test_a_gif_becomes_89a_and_keeps_its_loop() -> None:
    made = scan(CASES["GIF 87a"], "image/gif").put(PACKET)
    assert made.startswith(b"GIF89a")
    with Image.open(io.BytesIO(scan(CASES["GIF animated"], "image/gif").put(PACKET))) as image:
        assert (image.info["loop"], image.info["duration"]) == (3, 70)


def test_several_packets_are_left_alone() -> None:
    once = scan(CASES["PNG"], "image/png").put(PACKET)
    chunk = once[33 : 33 + len(once) - len(CASES["PNG"])]
    layout = scan(once[:33] + chunk + once[33:], "image/png")
    assert (layout.put, layout.credentials) == (None, True)


def test_a_packet_too_long_for_a_jpeg_segment() -> None:
    assert len(scan(CASES["JPEG"], "image/jpeg").put(b"x" * 65504)) > 65504
    with pytest.raises(ValueError, match="segment"):
        scan(CASES["JPEG"], "image/jpeg").put(b"x" * 65505)


def test_an_inflating_packet_is_not_inflated() -> None:
    bomb = zlib.compress(b" " * (64 * 2**20), 9)
    body = b"iTXtXML:com.adobe.xmp\0\1\0\0\0" + bomb
    chunk = (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
    data = CASES["PNG"]
    assert scan(data[:33] + chunk + data[33:], "image/png").put is None


@pytest.mark.parametrize("name", CASES)
def test_unsigned_files_surely_hold_no_credentials_and_signed_ones_may(name: str, stamper, claim) -> None:
    data, kind = CASES[name], kind_of(name)
    assert scan(data, kind).credentials is (
        name == "TIFF of two pages"
    )  # what is on its second page is not looked into
    assert scan(stamper.stamp(data, claim, checked=True).data, kind).credentials


def test_a_pointer_to_credentials_elsewhere_is_told() -> None:
    packet = PACKET.replace(b"&amp;", b"<dcterms:provenance>https://example.org/a.c2pa</dcterms:provenance>")
    for name in ("PNG", "JPEG", "WEBP lossy", "TIFF", "GIF"):
        assert scan(scan(CASES[name], kind_of(name)).put(packet), kind_of(name)).credentials


def test_damage_never_raises_and_counts_as_perhaps_signed() -> None:
    rng = np.random.default_rng(7)
    for name, data in CASES.items():
        for _ in range(60):
            cut = data[: rng.integers(0, len(data))]
            hit = bytearray(data)
            for at in rng.integers(0, min(len(data), 200), 4):
                hit[at] = rng.integers(0, 256)
            for changed in (cut, bytes(hit)):
                layout = scan(changed, kind_of(name))
                assert layout.put is not None or layout.credentials or name.startswith("AVIF")
                if layout.put is not None:
                    with contextlib.suppress(ValueError):
                        layout.put(PACKET)


def test_an_image_sequence_is_left_alone() -> None:
    data = saved(picture(), "AVIF", save_all=True, append_images=[picture(seed=1)])
    layout = scan(data, "image/avif")
    assert (layout.put, layout.credentials) == (None, False)
    assert "sequence" in layout.why
