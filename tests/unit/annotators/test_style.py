# SPDX-License-Identifier: Apache-2.0
"""Style embeddings of made textures: what is drawn where must not matter, how it is drawn must."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from audit.annotators.style import WIDTH, StyleAnnotator, _bank
from tests.asking import record


def strokes(rng, *, angle, wavelength, colour, side=128):
    """Patches of a grating at places and phases that differ with every call."""
    y, x = np.mgrid[:side, :side].astype(float)
    picture = np.zeros((side, side))
    for _ in range(40):
        cy, cx = rng.uniform(0, side, 2)
        weight = np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * 15**2))
        phase = 2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / wavelength + rng.uniform(0, 2 * np.pi)
        picture += weight * np.cos(phase)
    picture *= 40 / picture.std()
    return (np.array(colour) + picture[..., None]).round().clip(0, 255).astype(np.uint8)


def grams(pictures):
    return StyleAnnotator().annotate([record(p) for p in pictures])["gram"].astype(float)


TEXTURES = [
    {"angle": 0.0, "wavelength": 4, "colour": (128, 128, 128)},
    {"angle": np.pi / 2, "wavelength": 4, "colour": (128, 128, 128)},
    {"angle": 0.0, "wavelength": 16, "colour": (128, 128, 128)},
    {"angle": 0.0, "wavelength": 4, "colour": (170, 120, 80)},
]


def test_one_texture_in_many_layouts_is_near_itself_and_far_from_the_others():
    rng = np.random.default_rng(0)
    groups = [grams([strokes(rng, **texture) for _ in range(6)]) for texture in TEXTURES]
    inside = max(np.linalg.norm(a - b) for g in groups for a in g for b in g)
    outside = min(np.linalg.norm(a - b) for i, g in enumerate(groups) for h in groups[:i] for a in g for b in h)
    assert outside > 2 * inside


def test_moved_and_enlarged_it_is_the_same_style():
    rng = np.random.default_rng(1)
    picture = strokes(rng, angle=0.7, wavelength=8, colour=(90, 120, 150))
    large = np.asarray(Image.fromarray(picture).resize((256, 256), Image.Resampling.BICUBIC))
    other = strokes(rng, angle=2.2, wavelength=8, colour=(90, 120, 150))
    same, moved, enlarged, apart = grams([picture, np.roll(picture, 40, axis=1), large, other])
    assert np.linalg.norm(same - enlarged) < 0.05 * np.linalg.norm(same - apart)
    assert np.linalg.norm(same - moved) < 0.4 * np.linalg.norm(same - apart)


@pytest.mark.parametrize(("k", "wavelength"), [(0, 4), (5, 8), (11, 16)])
def test_a_grating_answers_in_its_own_filter_with_half_its_amplitude(k, wavelength):
    y, x = np.mgrid[:128, :128].astype(float)
    angle = np.pi * (k % 4) / 4
    grating = 0.6 * np.cos(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / wavelength)
    answers = np.abs(np.fft.ifft2(np.fft.fft2(grating) * _bank()))[:, 40:88, 40:88].mean(axis=(1, 2))
    assert answers.argmax() == k
    assert answers[k] == pytest.approx(0.3, rel=0.1)


def test_one_colour_has_colours_and_no_strokes():
    flat = np.full((40, 60, 3), (200, 100, 50), np.uint8)
    (found,) = grams([flat])
    assert len(found) == WIDTH
    np.testing.assert_allclose(found[:-3], 0, atol=1e-6)
    assert found[-3] == pytest.approx((0.299 * 200 + 0.587 * 100 + 0.114 * 50) / 127.5 - 1)
    assert found[-2] == pytest.approx((200 - 100) / 2 / 127.5)
