# SPDX-License-Identifier: Apache-2.0
"""Each edit does what its title says, seen with other means than the edit's own."""

from __future__ import annotations

import io
import pickle
import zlib

import numpy as np
import pytest
from PIL import Image

from audit.errors import ConfigError
from audit.images import decode
from audit.provenance.survive import EDITS, Family, _pixels, select_edits
from audit.provenance.survive.edits import Edit, edits_digest

BY_ID = {edit.id: edit for edit in EDITS}
NOT_FOR = {"JPEG": {"recompress", "recompress-safe", "recompress-strip"}}
NOT_FOR["WEBP"] = NOT_FOR["JPEG"] | {"text-edit"}
# ITU-T T.81, annex K.1: luminance quantisation at quality 50.
LUMINANCE = [
    [16, 11, 10, 16, 24, 40, 51, 61],
    [12, 12, 14, 19, 26, 58, 60, 55],
    [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62],
    [18, 22, 37, 56, 68, 109, 103, 77],
    [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101],
    [72, 92, 95, 98, 112, 100, 103, 99],
]


def run(name: str, data: bytes) -> bytes:
    edited = BY_ID[name](data)
    assert edited is not None
    return edited


def rgb(name: str, data: bytes) -> np.ndarray:
    return decode(run(name, data)).astype(float)


def test_at_least_thirty_edits_with_names_of_their_own() -> None:
    assert len(EDITS) >= 30
    assert len(BY_ID) == len({edit.title for edit in EDITS}) == len(EDITS)
    assert {edit.family for edit in EDITS} == set(Family)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_the_same_file_gives_the_same_bytes_and_only_what_does_not_fit_gives_none(save, kind) -> None:
    data = save(kind)
    for edit in EDITS:
        edited = edit(data)
        assert edited == pickle.loads(pickle.dumps(edit))(data), edit.id
        assert (edited is None) == (edit.id in NOT_FOR.get(kind, ())), edit.id


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_edits_that_promise_the_same_picture_keep_every_pixel(save, kind) -> None:
    data = save(kind)
    before = decode(data)
    for edit in EDITS:
        if edit.changes_picture or (edited := edit(data)) is None:
            continue
        assert np.array_equal(decode(edited), before), edit.id
    for edit in EDITS:
        # A file cut off shows nothing at all, and a thumbnail of a small picture the same.
        if edit.changes_picture and edit.id not in {"truncate", "thumbnail-256"}:
            after = decode(run(edit.id, data))
            assert after.shape != before.shape or not np.array_equal(after, before), edit.id


def test_recompressing_changes_the_file_and_keeps_the_filtered_stream(full) -> None:
    def stream(data: bytes) -> bytes:
        out, at = b"", 8
        while at < len(data):
            size = int.from_bytes(data[at : at + 4], "big")
            out += data[at + 8 : at + 8 + size] if data[at + 4 : at + 8] == b"IDAT" else b""
            at += 12 + size
        return out

    again = run("recompress", full)
    assert stream(again) != stream(full)
    assert zlib.decompress(stream(again)) == zlib.decompress(stream(full))
    names = {name for name in (b"caBX", b"iTXt", b"tEXt") if name in run("recompress-safe", full)}
    assert names == {b"iTXt", b"tEXt"}  # caBX is not safe to copy, by its name
    assert all(name in again for name in (b"caBX", b"iTXt", b"tEXt"))
    assert not any(name in run("recompress-strip", full) for name in (b"caBX", b"iTXt", b"tEXt"))


@pytest.mark.parametrize("quality", [95, 90, 75, 50, 30])
def test_jpeg_quality_is_that_of_the_standard_tables(save, quality) -> None:
    """Table K.1 scaled by the rule that all encoders of that lineage share: 5000/q below 50, else 200-2q."""
    factor = 5000 // quality if quality < 50 else 200 - 2 * quality
    wanted = np.clip((np.array(LUMINANCE) * factor + 50) // 100, 1, 255)
    with Image.open(io.BytesIO(run(f"jpeg-{quality}", save()))) as image:
        assert image.quantization[0] == wanted.ravel().astype(int).tolist()
        assert image.layer[0][1:3] == (2, 2)  # 4:2:0
        assert image.layer[1][1:3] == (1, 1)


def test_geometry_against_plain_indexing(save) -> None:
    data = save()
    before = decode(data).astype(float)
    assert np.array_equal(rgb("flip", data), before[:, ::-1])
    assert np.array_equal(rgb("rotate-90", data), np.rot90(before))
    assert np.array_equal(rgb("crop-50", data), before[24:72, 32:96])
    assert np.array_equal(rgb("crop-5", data), before[2:94, 3:125])
    sizes = {"resize-2": (192, 256), "resize-0.75": (72, 96), "resize-0.25": (24, 32), "resize-0.5-back": (96, 128)}
    assert {name: rgb(name, data).shape[:2] for name in sizes} == sizes
    halved = before.reshape(48, 2, 64, 2, 3).mean((1, 3))
    assert np.abs(rgb("resize-0.5", data) - halved).mean() < 3
    turned = rgb("rotate-5", data)
    y, x = 48 - 20 * np.sin(np.radians(5)), 64 + 20 * np.cos(np.radians(5))  # counter-clockwise about the middle
    assert np.abs(turned[round(y), round(x)] - before[48, 84]).max() < 40
    assert np.array_equal(turned[0, 0], [0, 0, 0])


def test_a_screenshot_holds_the_scaled_picture_somewhere_on_a_plain_ground(save) -> None:
    data = save()
    shot = rgb("screenshot", data)
    plain = (shot == [238, 240, 243]).all(-1)
    rows, columns = np.flatnonzero(~plain.all(1)), np.flatnonzero(~plain.all(0))
    assert (rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1) == (120, 160)
    inside = Image.fromarray(shot[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.uint8))
    back = np.asarray(inside.resize((128, 96), Image.Resampling.BOX), dtype=float)
    assert np.abs(back - decode(data)).mean() < 6


def test_colour_against_the_formulae(save) -> None:
    data = save()
    before = decode(data).astype(float)
    assert np.abs(rgb("brightness-1.2", data) - np.clip(1.2 * before, 0, 255)).max() <= 1
    assert np.abs(rgb("gamma-0.8", data) - 255 * (before / 255) ** 0.8).max() <= 0.51
    luma = before @ [0.299, 0.587, 0.114]  # ITU-R BT.601
    assert np.abs(rgb("grey", data) - luma[..., None]).max() <= 1
    middle = luma.mean()
    assert np.abs(rgb("contrast-1.3", data) - np.clip(middle + 1.3 * (before - middle), 0, 255)).max() <= 2
    rich = np.clip(luma[..., None] + 1.5 * (before - luma[..., None]), 0, 255)
    assert np.abs(rgb("saturation-1.5", data) - rich).max() <= 2


def test_noise_has_its_size_and_smoothing_takes_noise_away(save) -> None:
    flat = np.full((200, 200, 3), 128, dtype=np.uint8)
    data = _pixels.encode(Image.fromarray(flat), "png")
    assert rgb("noise-5", data).std() == pytest.approx(5, abs=0.1)
    assert rgb("noise-15", data).std() == pytest.approx(15, abs=0.2)
    noisy = run("noise-15", data)
    weaker = {name: rgb(name, noisy).std() for name in ("blur-1", "blur-2", "median-3")}
    assert weaker["blur-2"] < weaker["blur-1"] < 6
    assert weaker["median-3"] < 8
    assert rgb("sharpen", noisy).std() > 15


def test_overlays_change_only_their_place(save) -> None:
    data = save()
    before = decode(data).astype(float)
    changed = {name: (rgb(name, data) != before).any(-1) for name in ("text-overlay", "sticker")}
    assert 0.005 < changed["text-overlay"].mean() < 0.15
    assert not changed["text-overlay"][:80].any()
    across = 0.2 * 96
    assert changed["sticker"].sum() == pytest.approx(np.pi * across**2 / 4, rel=0.15)


def test_chains_scale_down_to_their_long_edge_and_never_up(draw_picture) -> None:
    def size(name: str, height: int, width: int) -> tuple[int, int]:
        data = _pixels.encode(Image.fromarray(draw_picture(height, width)), "png")
        with Image.open(io.BytesIO(run(name, data))) as image:
            assert image.format == {"cms": "WEBP"}.get(name, "JPEG")
            assert not image.info.get("exif")
            return image.size

    assert size("social", 700, 1400) == (1080, 540)
    assert size("social", 60, 90) == (90, 60)
    assert size("messenger", 1400, 300) == (274, 1280)
    assert size("cms", 64, 90) == (45, 32)
    assert size("print", 64, 90) == (180, 128)


def test_what_cannot_be_edited_gives_none(save, monkeypatch) -> None:
    assert [edit.id for edit in EDITS if edit(b"no image") is not None] == ["copy", "append", "truncate"]
    monkeypatch.setattr(_pixels, "MAX_PIXELS", 96 * 128 * 3)
    assert BY_ID["resize-2"](save()) is None
    assert BY_ID["resize-1.5"](save()) is not None


def test_edits_by_name_and_family() -> None:
    chosen = select_edits(["chain", "copy"])
    assert chosen[0].id == "copy"
    assert {edit.family for edit in chosen} == {Family.COPY, Family.CHAIN}
    with pytest.raises(ConfigError) as caught:
        select_edits(["jepg-90"])
    assert "jpeg-90" in str(caught.value.hint)
    with pytest.raises(ConfigError, match="no edit"):
        select_edits([""])


def test_the_digest_tells_other_edits_apart() -> None:
    plain = EDITS[0]
    other = Edit(plain.id, plain.title, plain.family, plain.changes_picture, {"x": 1}, plain.function)
    assert edits_digest([plain]) != edits_digest([other])
    assert edits_digest(EDITS) == edits_digest(list(EDITS))
