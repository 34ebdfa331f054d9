# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from audit.annotators._pixels import blockiness, clipped
from audit.annotators._spectrum import checkerboard, effective_resolution, nearest_grid, radial_power
from audit.annotators.faults import FaultsAnnotator
from audit.images import is_constant
from tests.asking import record

R = Image.Resampling


@pytest.fixture(scope="module")
def pictures():
    """Twenty each of portraits, paintings and signs."""
    from audit.reference.render import render
    from audit.reference.scenes import painting_ids, render_paintings, render_signs
    from audit.reference.world import sample_people

    rng = np.random.default_rng(0)
    paintings = render_paintings(painting_ids(20, pool="heldout", rng=rng))
    words = [str(word) for word in rng.choice(["OPEN", "TAXI", "PARK"], 20)]
    people = render(sample_people(20, rng=rng, identity_pool="heldout"))
    return {"people": people, "paintings": paintings, "signs": render_signs(words, rng=rng)}


def field(side: int, slope: float, rng: np.random.Generator) -> np.ndarray:
    """Noise whose power falls exactly as frequency to the minus ``slope``."""
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    f[0, 0] = 1.0
    spectrum = np.fft.fft2(rng.normal(size=(side, side, 3)), axes=(0, 1)) * (f ** (-slope / 2))[..., None]
    noise = np.fft.ifft2(spectrum, axes=(0, 1)).real
    return noise / noise.std() * 35 + 128


def levels(x: np.ndarray) -> np.ndarray:
    return x.round().clip(0, 255).astype(np.uint8)


def enlarged(rgb: np.ndarray, side: int, how: R) -> np.ndarray:
    size = rgb.shape[1], rgb.shape[0]
    return np.asarray(Image.fromarray(rgb).resize((side, side), R.BOX).resize(size, how))


def read(images) -> float:
    return float(np.mean([effective_resolution(image) for image in images]))


def test_renders_have_the_detail_of_their_pixels(pictures):
    for images in pictures.values():
        assert read(images) == pytest.approx(64, abs=1)
        smaller = [np.asarray(Image.fromarray(image).resize((32, 32), R.BOX)) for image in images]
        assert read(smaller) == pytest.approx(32, abs=0.5)
        assert max(map(effective_resolution, smaller)) <= 32


@pytest.mark.parametrize(("how", "low", "high"), [(R.BICUBIC, 25, 42), (R.LANCZOS, 27, 38), (R.BILINEAR, 19, 38)])
def test_enlarged_pictures_read_about_what_they_were(pictures, how, low, high):
    for name, images in pictures.items():
        assert low < read(enlarged(image, 32, how) for image in images) < high, name
        assert read(enlarged(image, 16, how) for image in images) < 24, name


@pytest.mark.parametrize("side", [16, 24, 32, 48])
def test_repeated_pixels_are_found_exactly(pictures, side):
    for image in pictures["people"][:5]:
        assert nearest_grid(image) == 64
        # Another path than the code's: Pillow chooses which pixel is repeated.
        assert effective_resolution(enlarged(image, side, R.NEAREST)) <= side
        assert nearest_grid(enlarged(image, side, R.NEAREST)) == pytest.approx(side, abs=0.1)


def test_a_blur_is_read_where_its_transfer_function_says():
    rng = np.random.default_rng(1)
    images = [field(128, 3.0, rng) for _ in range(6)]
    assert read(map(levels, images)) == pytest.approx(128, abs=1)
    for sigma in (1.5, 2.5):
        # exp(-(2 pi f sigma)^2) is 7 dB down at this frequency in cycles per pixel; the window looks a bit ahead of it.
        edge = 2 * 128 * np.sqrt(0.7 * np.log(10)) / (2 * np.pi * sigma)
        found = read(levels(gaussian_filter(image, (sigma, sigma, 0), mode="wrap")) for image in images)
        assert 0.75 * edge < found < 1.05 * edge


def test_radial_power_holds_all_of_the_variance():
    grating = 128 + 50 * np.cos(np.pi * (np.arange(64) + 0.5) * 20 / 64)[None, :, None] * np.ones((64, 64, 3))
    power = radial_power(levels(grating))
    assert power.argmax() == 20
    assert power[20] > 1000 * np.delete(power, 20).max()


def test_a_known_checkerboard_is_read_back(pictures):
    y, x = np.mgrid[:64, :64]
    patterns = [(-1.0) ** (x + y), (-1.0) ** x, np.array([1.0, -1, -1, 1])[y % 4]]
    for pattern in patterns:
        for image in pictures["paintings"][:5]:
            found = [checkerboard(levels(0.5 * image + 64 + a * pattern[..., None])) for a in (0, 4, 8, 16)]
            assert found[0] < 0.5
            assert found == sorted(found)
            np.testing.assert_allclose(found[2:], [8, 16], rtol=0.12)
    smooth = levels(np.dstack([128 + 40 * np.sin(x / 9), 100 + y, 90 + 30 * np.cos((x + y) / 11)]))
    assert checkerboard(smooth) < 0.02


def test_a_pattern_that_follows_the_picture_is_read(pictures):
    """Uneven overlap of a stride of two under a kernel of three scales every other pixel."""
    x = np.arange(64)
    for strength, least in ((0.05, 2), (0.2, 8)):
        gain = 1 + strength * (-1.0) ** (x[:, None] + x[None])
        assert np.mean([checkerboard(levels(image * gain[..., None] * 0.8)) for image in pictures["people"]]) > least
    assert np.mean([checkerboard(image) for image in pictures["people"]]) < 0.8


def test_transposed_convolution_leaves_more_than_resizing(pictures):
    import torch
    from torch.nn import functional

    x = torch.from_numpy(pictures["people"][:8, ::2, ::2].copy()).permute(0, 3, 1, 2).float()
    kernel = torch.ones(3, 1, 3, 3) / 2.25
    uneven = functional.conv_transpose2d(x, kernel, stride=2, padding=1, output_padding=1, groups=3)
    resized = functional.interpolate(x, scale_factor=2, mode="bilinear")
    even, odd = ([checkerboard(levels(p.permute(1, 2, 0).numpy())) for p in stack] for stack in (resized, uneven))
    assert np.mean(odd) > 10 + np.mean(even)


def test_blocks_of_compression(pictures):
    def jpeg(image):
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "JPEG", quality=10)
        return np.asarray(Image.open(stream))

    images = [*pictures["people"], *pictures["paintings"]]
    before, after = [blockiness(i) for i in images], [blockiness(jpeg(i)) for i in images]
    assert abs(np.mean(before)) < 0.5
    assert np.mean(after) > 2
    steps = np.kron(np.random.default_rng(0).integers(0, 255, (8, 8)), np.ones((8, 8)))
    rgb = levels(np.repeat(steps[..., None], 3, axis=2))
    expected = np.mean([np.abs(np.diff(steps, axis=a)).mean(1 - a)[7::8].mean() for a in (0, 1)])
    assert blockiness(rgb) == pytest.approx(expected)


def test_clipped_and_constant():
    rgb = np.full((4, 5, 3), 128, np.uint8)
    assert (clipped(rgb), is_constant(rgb)) == (0.0, True)
    rgb[0, :, 0], rgb[1, 0, 2] = 255, 0
    assert clipped(rgb) == pytest.approx(6 / 60)
    assert not is_constant(rgb)
    rgb[:] = 128 + np.arange(5)[None, :, None] % 3
    assert is_constant(rgb)


def test_pictures_without_anything_to_measure():
    flat, tiny = np.full((64, 64, 3), 7, np.uint8), np.zeros((3, 7, 3), np.uint8)
    columns = FaultsAnnotator().annotate([record(flat), record(tiny)])
    assert np.isnan(columns["effective_resolution"]).all()
    assert columns["constant"].tolist() == ["yes", "yes"]
    assert columns["checkerboard"][0] < 1e-9
    assert np.isnan(columns["checkerboard"][1])
    assert np.isnan(columns["blockiness"][1])
