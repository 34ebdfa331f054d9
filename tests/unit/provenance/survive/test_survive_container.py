# SPDX-License-Identifier: Apache-2.0
"""Parts of files, against Pillow and exiftool, which know nothing of this code."""

from __future__ import annotations

import io
import json
import shutil
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from audit.provenance.survive._container import (
    Role,
    exif_part,
    read_container,
    text_part,
    xmp_packet,
    xmp_part,
)

KINDS = ("PNG", "JPEG", "WEBP")
PACKET = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:source="here"/>'
    b"</rdf:RDF></x:xmpmeta>"
)


def pixels(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def exif_of(text: str) -> bytes:
    exif = Image.Exif()
    exif[0x010E] = text
    return exif.tobytes()


def exiftool(data: bytes, *options: str) -> dict[str, object]:
    if shutil.which("exiftool") is None:
        pytest.skip("needs exiftool")
    done = subprocess.run(["exiftool", "-j", "-G", *options, "-"], input=data, capture_output=True, check=True)
    return json.loads(done.stdout)[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_put_together_again_is_the_same_bytes(save, stamper, claim, kind) -> None:
    for data in (save(kind), stamper.stamp(save(kind), claim).data):
        assert read_container(data).data() == data


@pytest.mark.parametrize("kind", KINDS)
def test_credentials_are_found_and_cut_out(save, stamper, claim, kind) -> None:
    from audit.provenance import State, verify_bytes

    signed = stamper.stamp(save(kind), claim).data
    container = read_container(signed)
    assert any(container.of(Role.CREDENTIALS))
    without = container.without(Role.CREDENTIALS).data()
    assert verify_bytes(without).state is State.ABSENT
    assert np.array_equal(pixels(without), pixels(signed))


@pytest.mark.parametrize("kind", KINDS)
def test_xmp_and_exif_put_in_are_read_by_others_and_the_pixels_stay(save, kind) -> None:
    data = save(kind)
    container = read_container(data)
    name = container.kind
    both = container.with_part(exif_part(name, exif_of("seen by all"))).with_part(xmp_part(name, PACKET)).data()
    with Image.open(io.BytesIO(both)) as image:
        assert image.getexif()[0x010E] == "seen by all"
        assert image.info["xmp"] == PACKET
    found = exiftool(both)
    assert (found["EXIF:ImageDescription"], found["XMP:Source"]) == ("seen by all", "here")
    assert "ExifTool:Warning" not in found
    assert np.array_equal(pixels(both), pixels(data))
    assert xmp_packet(read_container(both)) == PACKET
    stripped = read_container(both).without(Role.EXIF, Role.XMP).data()
    with Image.open(io.BytesIO(stripped)) as image:
        assert not image.getexif()
        assert "xmp" not in image.info
    assert np.array_equal(pixels(stripped), pixels(data))


def test_text_chunks_that_pillow_wrote(save) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "a cat\nSteps: 20")
    info.add_text("packed", "x" * 500, zip=True)
    info.add_itxt("über"[1:], "Straße 猫", lang="de", tkey="t")
    info.add_itxt("small", "y" * 300, zip=True)
    texts = read_container(save("PNG", pnginfo=info)).texts()
    assert texts == {"parameters": "a cat\nSteps: 20", "packed": "x" * 500, "ber": "Straße 猫", "small": "y" * 300}


def test_text_chunks_that_pillow_reads(save) -> None:
    data = read_container(save()).with_part(text_part("png", "parameters", "a dög")).data()
    with Image.open(io.BytesIO(data)) as image:
        assert image.text == {"parameters": "a dög"}
    jpeg = read_container(save("JPEG")).with_part(text_part("jpeg", "comment", "a dog")).data()
    with Image.open(io.BytesIO(jpeg)) as image:
        assert image.info["comment"] == b"a dog"
    assert read_container(jpeg).texts() == {"comment": "a dog"}
    with pytest.raises(ValueError, match="WebP"):
        text_part("webp", "comment", "x")


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
@pytest.mark.parametrize("order", ["be", "le"])
def test_user_comment_in_either_byte_order(save, kind, order) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + "Steps: 20, 猫".encode(f"utf-16-{order}")
    assert read_container(save(kind, exif=exif)).texts() == {"usercomment": "Steps: 20, 猫"}


def test_ascii_user_comment_that_exiftool_wrote(save, tmp_path) -> None:
    if shutil.which("exiftool") is None:
        pytest.skip("needs exiftool")
    path = tmp_path / "a.jpg"
    path.write_bytes(save("JPEG"))
    subprocess.run(["exiftool", "-q", "-overwrite_original", "-UserComment=Steps: 20", path], check=True)
    assert read_container(path.read_bytes()).texts() == {"usercomment": "Steps: 20"}


def test_webp_with_transparency_keeps_it(save) -> None:
    rgba = np.dstack([pixels(save()), np.linspace(0, 255, 96 * 128).reshape(96, 128).astype(np.uint8)])
    out = io.BytesIO()
    Image.fromarray(rgba).save(out, "WEBP", lossless=True, exact=True)
    marked = read_container(out.getvalue()).with_part(xmp_part("webp", PACKET)).data()
    with Image.open(io.BytesIO(marked)) as image:
        assert np.array_equal(np.asarray(image.convert("RGBA")), rgba)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_cut_anywhere_is_refused_or_read_and_never_crashes(save, kind) -> None:
    data = save(kind, seed=3)
    for end in range(0, len(data), 97):
        try:
            read_container(data[:end])
        except ValueError:
            continue
        assert kind == "JPEG"  # of a JPEG the scan is one tail, wherever it ends


@given(st.integers(0, 2**32 - 1), st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), max_size=8))
@settings(max_examples=60, deadline=None)
def test_damaged_files_raise_nothing_but_value_errors(seed, changes) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("a", "text" * 40, zip=True)
    noise = Image.fromarray(np.random.default_rng(seed).integers(0, 255, (20, 20, 3), dtype=np.uint8))
    for kind, options in (("PNG", {"pnginfo": info}), ("JPEG", {"comment": b"c"}), ("WEBP", {"exif": exif_of("x")})):
        out = io.BytesIO()
        noise.save(out, kind, **options)
        data = bytearray(out.getvalue())
        for at, value in changes:
            data[at % len(data)] = value
        try:
            container = read_container(bytes(data))
        except ValueError:
            continue
        container.texts()
        xmp_packet(container)
