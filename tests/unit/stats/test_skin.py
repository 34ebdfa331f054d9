# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from audit.stats.monk import MONK_HEX, face_pixels, monk_tone, read_tone
from audit.stats.skin import skin_pixels, unreadable

SWATCHES = np.array([list(bytes.fromhex(text[1:])) for text in MONK_HEX], dtype=np.uint8)


@pytest.fixture(scope="module")
def world():
    """Portraits of all ten tones, their face boxes and their tones."""
    from audit.reference.people import sample_people
    from audit.reference.render import face_boxes, render

    people = sample_people(60, rng=np.random.default_rng(3), tone=np.repeat(np.arange(1, 11), 6))
    boxes = [tuple(float(v) for v in box) for box in face_boxes(people)]
    return render(people), boxes, people.tone


def lit(pictures, gains):
    """The pictures under a light with these gains of linear red, green and blue; what is too bright is clipped."""
    levels = pictures / 255.0
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4) * np.array(gains)
    back = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return (np.clip(back, 0, 1) * 255).round().astype(np.uint8)


def reasons(pictures, boxes):
    return [unreadable(picture, face_pixels(picture, box)) for picture, box in zip(pictures, boxes, strict=True)]


@pytest.mark.parametrize("gains", [(1, 1, 1), (0.8, 0.8, 0.8), (1, 0.97, 0.9), (0.93, 0.97, 1)])
def test_nothing_speaks_against_ordinary_portraits_of_any_tone(world, gains):
    pictures, boxes, _ = world
    assert set(reasons(lit(pictures, gains), boxes)) == {None}


def test_a_large_picture_is_judged_like_a_small_one(world):
    pictures, boxes, _ = world
    large = pictures[::6].repeat(5, axis=1).repeat(5, axis=2)
    assert set(reasons(large, boxes[::6])) == {None}
    assert set(reasons(large >> 5 << 5, boxes[::6])) == {"the picture has few colours, as if drawn or posterised"}


@pytest.mark.parametrize("bits", [1, 2, 3])
def test_posterised(world, bits):
    pictures, boxes, _ = world
    coarse = (pictures >> (8 - bits)) << (8 - bits)
    assert set(reasons(coarse, boxes)) == {"the picture has few colours, as if drawn or posterised"}


def test_a_palette_of_sixteen_colours(world):
    from PIL import Image

    pictures, boxes, _ = world
    drawn = np.stack([np.asarray(Image.fromarray(p).quantize(16).convert("RGB")) for p in pictures[::3]])
    assert set(reasons(drawn, boxes[::3])) == {"the picture has few colours, as if drawn or posterised"}


def test_too_dark(world):
    pictures, boxes, _ = world
    assert set(reasons(lit(pictures, (0.1, 0.1, 0.1)), boxes)) == {"the picture is too dark"}


def test_blown_out(world):
    pictures, boxes, tones = world
    found = np.array(reasons(lit(pictures, (3, 3, 3)), boxes), dtype=object)
    assert set(found[tones <= 4]) == {"the face is blown out"}
    assert set(found[tones >= 8]) == {None}  # dark skin is not clipped by this light


def test_a_strong_cast(world):
    pictures, boxes, _ = world
    levels = pictures.astype(float)
    tinted = (0.45 * levels + 0.55 * np.array([230, 160, 60])).astype(np.uint8)
    assert set(reasons(tinted, boxes)) == {"the light has a strong cast, or the picture is tinted"}


def test_a_coloured_wall_is_no_cast(world):
    from audit.reference.people import BACKGROUNDS, sample_people
    from audit.reference.render import face_boxes, render

    for background in range(len(BACKGROUNDS)):
        people = sample_people(20, rng=np.random.default_rng(background))
        people = people.replace(background=np.full(20, background))
        boxes = [tuple(float(v) for v in box) for box in face_boxes(people)]
        assert set(reasons(render(people), boxes)) == {None}, BACKGROUNDS[background]


def test_more_saturated_than_skin(world):
    pictures = world[0]
    orange = np.tile(np.array([240, 90, 20], np.uint8), (400, 1))
    assert unreadable(pictures[0], orange) == "the colours are more saturated than skin"
    assert {unreadable(pictures[0], np.tile(colour, (400, 1))) for colour in SWATCHES} == {None}


def test_reading_pixels_is_reading_the_face(world):
    pictures, boxes, _ = world
    for picture, box in zip(pictures, boxes, strict=True):
        assert read_tone(face_pixels(picture, box)) == monk_tone(picture, box)


def test_without_pixels_there_is_nothing_against_them(world):
    assert unreadable(world[0][0], np.empty((0, 3), np.uint8)) is None


@pytest.mark.parametrize("tone", range(1, 11))
def test_the_region_of_skin_in_a_picture_of_other_things(tone):
    rng = np.random.default_rng(tone)
    picture = rng.integers(0, 256, (200, 300, 3), dtype=np.uint8)
    picture[:, :100] = (40, 90, 200)
    inside = np.hypot(*(np.mgrid[:200, :300] - np.array([110, 180])[:, None, None])) < 50
    picture[inside] = SWATCHES[tone - 1]
    pixels, why = skin_pixels(picture)
    assert why is None
    assert np.mean((pixels == SWATCHES[tone - 1]).all(axis=1)) > 0.9
    assert read_tone(pixels).tone == tone


def test_two_regions_give_the_larger():
    picture = np.full((100, 100, 3), (40, 90, 200), np.uint8)
    picture[10:60, 10:60] = SWATCHES[7]
    picture[70:90, 70:90] = SWATCHES[1]
    assert read_tone(skin_pixels(picture)[0]).tone == 8


@pytest.mark.parametrize(
    ("size", "why"),
    [
        (0, "no region has the colour of skin"),
        (12, "no region of sufficient size has the colour of skin"),
        (100, "nearly the whole picture has the colour of skin"),
    ],
)
def test_no_region(size, why):
    picture = np.full((100, 100, 3), (40, 90, 200), np.uint8)
    picture[:size, :size] = SWATCHES[5]
    pixels, reason = skin_pixels(picture)
    assert (pixels.shape, reason) == ((0, 3), why)
