# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from audit.stats.monk import MONK_HEX, MONK_LAB, delta_e, ita, monk_tone, nearest_monk, srgb_to_lab

TABLE = [  # L*, a*, b*, individual typology angle
    (94.211, 1.504, 5.430, 83.00),
    (92.275, 2.062, 7.288, 80.22),
    (93.091, 0.217, 14.212, 71.75),
    (87.573, 0.461, 17.755, 64.71),
    (77.902, 3.473, 23.141, 50.33),
    (55.143, 7.785, 26.744, 10.88),
    (42.470, 12.327, 20.533, -20.14),
    (30.678, 11.669, 13.338, -55.38),
    (21.069, 2.691, 5.967, -78.35),
    (14.610, 1.483, 3.528, -84.31),
]
FACE = (0.5, 0.5, 0.3, 0.4)


def swatch(tone, *, size=64):
    return np.tile(np.array(list(bytes.fromhex(MONK_HEX[tone - 1][1:])), dtype=np.uint8), (size, size, 1))


def test_lab_and_angle_of_the_swatches():
    assert pytest.approx(np.array(TABLE)[:, :3], abs=0.01) == MONK_LAB
    assert ita(MONK_LAB) == pytest.approx(np.array(TABLE)[:, 3], abs=0.01)


def test_ten_swatches_are_the_ten_tones():
    assert nearest_monk(MONK_LAB).tolist() == list(range(1, 11))
    assert [monk_tone(swatch(t), FACE).tone for t in range(1, 11)] == list(range(1, 11))


def test_white_black_and_grey():
    lab = srgb_to_lab(np.array([[255, 255, 255], [0, 0, 0], [119, 119, 119]], dtype=np.uint8))
    assert lab == pytest.approx(np.array([[100, 0, 0], [0, 0, 0], [50.034, 0, 0]]), abs=0.01)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [  # Sharma, Wu and Dalal 2005, table 1
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, -1.3802, -84.2814), (50, 0, -82.7485), 1.0000),
        ((50, 0, 0), (50, -1, 2), 2.3669),
        ((50, 2.49, -0.001), (50, -2.49, 0.0009), 7.1792),
        ((50, 2.49, -0.001), (50, -2.49, 0.0011), 7.2195),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((50, 2.5, 0), (61, -5, 29), 22.8977),
        ((50, 2.5, 0), (56, -27, -3), 31.9030),
        ((50, 2.5, 0), (58, 24, 15), 19.4535),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_colour_difference_of_the_published_pairs(first, second, expected):
    found = [delta_e(np.array(a, dtype=float), np.array(b, dtype=float)) for a, b in ((first, second), (second, first))]
    assert found == pytest.approx([expected] * 2, abs=6e-5)


@pytest.mark.parametrize("tone", range(1, 11))
def test_shading_noise_eyes_and_hair_do_not_move_the_tone(tone):
    rng = np.random.default_rng(tone)
    picture = swatch(tone, size=96).astype(float)
    picture[:, 60:] *= np.linspace(1, 0.7, 36)[None, :, None]  # shadow on one side
    picture[40:46, 30:42] = picture[40:46, 54:66] = 20  # eyes
    picture[:34] = (60, 40, 200)  # a blue fringe
    noisy = np.clip(picture + rng.normal(0, 1.5, picture.shape), 0, 255).astype(np.uint8)
    found = monk_tone(noisy, FACE)
    assert found.tone is not None
    assert abs(found.tone - tone) <= (
        1 if tone < 3 or tone > 8 else 0
    )  # neighbours there differ by less than the noise


def test_a_grey_picture_has_no_tone():
    found = monk_tone(np.full((64, 64, 3), 140, dtype=np.uint8), FACE)
    assert found.tone is None
    assert found.why == "the face is grey"


def test_a_blue_face_has_no_tone():
    found = monk_tone(np.tile(np.array([40, 60, 220], dtype=np.uint8), (64, 64, 1)), FACE)
    assert found.tone is None
    assert found.delta_e is not None
    assert found.delta_e > 12


@pytest.mark.parametrize(
    "box", [(0.5, 0.5, 0.01, 0.01), (0.5, 0.5, 0.0, 0.4), (2.0, 2.0, 0.2, 0.2), (float("nan"), 0.5, 0.3, 0.3)]
)
def test_no_face_to_read(box):
    found = monk_tone(swatch(5), box)
    assert (found.tone, found.lab, found.delta_e) == (None, None, None)


def test_a_face_half_outside_the_picture():
    assert monk_tone(swatch(6), (0.0, 0.5, 0.4, 0.5)).tone == 6


@pytest.mark.parametrize("size", [64, 160])
def test_portraits_with_known_tone(size):
    from audit.reference.people import sample_people, uniform_shares
    from audit.reference.render import face_boxes, render

    people = sample_people(150, rng=np.random.default_rng(5), shares=uniform_shares())
    found = [
        monk_tone(picture, tuple(float(v) for v in box)).tone
        for picture, box in zip(render(people, size=size), face_boxes(people), strict=True)
    ]
    right = [tone == truth for tone, truth in zip(found, people.tone, strict=True)]
    assert np.mean(right) >= 0.95
