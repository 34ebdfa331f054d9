# SPDX-License-Identifier: Apache-2.0
"""Blur, ringing, banding and noise on pictures whose fault is planted, against closed forms where there are any."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from audit.annotators._artefacts import banding, blur, noise, ringing
from audit.annotators._pixels import all_bright, all_dark
from audit.annotators.faults import FaultsAnnotator
from audit.images import perceptual_hash
from tests.asking import record

R = Image.Resampling


@pytest.fixture(scope="module")
def portraits():
    from audit.reference.render import render
    from audit.reference.world import sample_people

    return list(render(sample_people(12, rng=np.random.default_rng(0), identity_pool="heldout"), size=128))


def levels(x):
    return np.asarray(x).round().clip(0, 255).astype(np.uint8)


def grey(x):
    return levels(np.repeat(np.asarray(x)[..., None], 3, axis=2))


def jpeg(rgb, quality=20):
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def enlarged(rgb, how=R.BICUBIC):
    h, w = rgb.shape[:2]
    return np.asarray(Image.fromarray(rgb).resize((w // 2, h // 2), R.BOX).resize((w, h), how))


def bars(side=96, width=24):
    """Upright bars at 64 and 192."""
    return np.where(np.arange(side) // width % 2 == 0, 64.0, 192.0) * np.ones((side, 1))


def mean(measure, images):
    return float(np.mean([measure(image) for image in images]))


def test_blur_of_an_edge_has_a_closed_form():
    edge, ramp = np.zeros((32, 64)), np.zeros((32, 64))
    edge[:, 32:] = 180
    ramp[:] = np.clip((np.arange(64) - 27) * 20, 0, 180)
    # A step of 1 and its 9-tap mean, which has steps of 1/9: 1 - (1 - 1/9). A ramp of 9 steps of 1/9, whose mean has
    # steps of k/81: of the middle nine, 5 6 7 8 9 8 7 6 5, 61/81 is left.
    assert blur(grey(edge)) == pytest.approx(1 / 9, abs=1e-5)
    assert blur(grey(ramp)) == pytest.approx(61 / 81, abs=1e-5)
    assert np.isnan(blur(grey(np.full((64, 64), 9))))


def test_blur_rises_with_what_is_planted(portraits):
    found = [mean(blur, [levels(gaussian_filter(p, (s, s, 0))) for p in portraits]) for s in (0, 0.7, 1, 1.5, 2, 3)]
    assert found == sorted(found)
    assert found[0] < 0.3
    assert found[-1] > 0.75


def test_the_blurrier_direction_counts(portraits):
    across = [levels(gaussian_filter(p, (0, 3, 0))) for p in portraits]
    down = [levels(gaussian_filter(p, (3, 0, 0))) for p in portraits]
    assert mean(blur, across) == pytest.approx(mean(blur, down), rel=0.1)
    assert mean(blur, across) > 0.6


@pytest.mark.parametrize("sigma", [1, 2, 5, 10, 20])
def test_noise_is_recovered_within_five_per_cent(sigma):
    y, x = np.mgrid[:128, :160]
    plane = np.dstack([90 + 0.4 * x, 120 + 0.2 * y, 140 - 0.3 * x + 0.1 * y])
    rng = np.random.default_rng(sigma)
    noisy = levels(plane + rng.normal(0, sigma, plane.shape))
    assert noise(noisy) == pytest.approx(np.hypot(sigma, 12**-0.5), rel=0.05), "rounding adds a variance of 1/12"


def test_noise_hardly_sees_edges_and_pictures(portraits):
    assert noise(grey(bars())) == 0
    assert mean(noise, portraits) < 0.3
    rng = np.random.default_rng(3)
    found = [
        mean(noise, [levels(p * 0.8 + 20 + rng.normal(0, s, p.shape)) for p in portraits]) for s in (0, 2, 4, 8, 16)
    ]
    np.testing.assert_allclose(found[1:], [2, 4, 8, 16], rtol=0.12)


def stairs(side, step):
    """A ramp of one level a pixel, with steps of ``step`` levels."""
    ramp = np.arange(side) + 20
    return np.tile((ramp // step * step).astype(float), (side, 1))


def test_banding_of_stairs_and_of_a_smooth_ramp():
    assert banding(grey(stairs(128, 1))) == 0
    assert banding(grey(stairs(128, 8))) == 1
    assert banding(grey(stairs(128, 8).T)) == 1
    assert banding(grey(stairs(128, 32))) == 0, "steps that high are edges"
    assert banding(grey(bars())) == 0


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_banding_is_the_share_of_the_area(share):
    picture = stairs(128, 1)
    picture[: int(128 * share)] = stairs(128, 8)[: int(128 * share)]
    assert banding(grey(picture)) == pytest.approx(share, abs=0.01)


def test_banding_hidden_by_noise_is_none(portraits):
    noisy = stairs(128, 8) + np.random.default_rng(0).normal(0, 3, (128, 128))
    assert banding(grey(noisy)) < 0.01
    assert mean(banding, portraits) < 0.001
    posters = [p // 16 * 16 for p in portraits]
    assert mean(banding, posters) > 0.1


def echoes(amplitude):
    """Bars, and 4 to 9 pixels from each edge an echo of two pixels up, two down."""
    picture, x = bars(), np.arange(96)
    for edge in (24, 48, 72):
        distance = np.floor(np.abs(x + 0.5 - edge)).astype(int)
        picture = picture + amplitude * np.where((distance >= 4) & (distance < 10), 1 - 2 * (distance // 2 % 2), 0)
    return grey(picture)


def test_ringing_is_the_strength_of_the_planted_echo():
    amplitudes = np.array([1, 2, 5, 10, 20])
    found = np.array([ringing(echoes(a)) for a in amplitudes])
    assert ringing(echoes(0)) == pytest.approx(0, abs=1e-4)
    np.testing.assert_allclose(found / amplitudes, found[0], rtol=1e-4, err_msg="proportional")
    # Where six steps lie in the echo three of them are of 2a and take the value 2a ahead: (6a - 2a) / 6, half of it as
    # the other direction has no echo. Windows that reach out of it hold less, and the area farther off a little.
    assert 0.15 < found[0] < 1 / 3


def test_ringing_is_neither_blur_nor_texture(portraits):
    for sigma in (0.4, 0.7, 1.0):
        assert ringing(levels(gaussian_filter(grey(bars()), (sigma, sigma, 0)))) == pytest.approx(0, abs=0.01)
    rng = np.random.default_rng(0)
    texture = [levels(grey(bars()) + rng.normal(0, 10, (96, 96, 1))) for _ in range(20)]
    assert abs(mean(ringing, texture)) < 0.15
    assert np.isnan(ringing(grey(np.full((64, 64), 90))))


def test_an_ideal_low_pass_rings():
    """Gibbs: without the upper frequencies an edge overshoots and echoes."""
    picture = bars(128, 32)
    spectrum = np.fft.fft2(picture)
    f = np.abs(np.fft.fftfreq(128))
    whole, half, third = (ringing(grey(np.fft.ifft2(spectrum * (f <= most)).real)) for most in (0.5, 0.25, 0.17))
    assert whole == pytest.approx(0, abs=1e-4)
    assert min(half, third) > 0.5


def test_what_generators_do_moves_the_measures_the_right_way(portraits):
    """JPEG rings and leaves blocks, enlarging blurs; neither adds noise."""
    small = [jpeg(p) for p in portraits]
    large = [enlarged(p) for p in portraits]
    assert mean(ringing, small) > mean(ringing, portraits) + 0.2
    assert mean(blur, large) > mean(blur, portraits) + 0.1
    assert mean(noise, large) < mean(noise, portraits) + 0.1


def test_what_the_bundled_autoencoder_gives_back_is_blurred():
    import torch
    from diffusers import AutoencoderKL

    from audit.checkpoints import reference_folder
    from audit.reference.render import render
    from audit.reference.world import sample_people

    people = render(sample_people(16, rng=np.random.default_rng(1), identity_pool="heldout"))
    model = AutoencoderKL.from_pretrained(reference_folder("diffusion") / "vae", torch_dtype=torch.float32)
    with torch.inference_mode():
        back = model(torch.from_numpy(people).permute(0, 3, 1, 2).float() / 127.5 - 1).sample
    drawn = [levels(p) for p in (back.permute(0, 2, 3, 1).numpy() + 1) * 127.5]
    assert mean(blur, drawn) > mean(blur, people) + 0.02
    assert np.mean(np.abs(np.subtract(drawn, people, dtype=float))) < 20, "they still are those people"


# Of imagehash 4.3.2, `phash` of these pictures.
@pytest.mark.parametrize(
    ("seed", "expected"),
    [(0, "d0d3259bba41dc8b"), (1, "daf09cf4e02232fa"), (2, "8d53a39a3e99945c"), (3, "de00dcdaf8c8fa82")],
)
def test_the_perceptual_hash_is_that_of_imagehash(seed, expected):
    rgb = np.random.default_rng(seed).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    image = Image.fromarray(rgb).resize((90, 70), R.BICUBIC)
    assert perceptual_hash(np.asarray(image)) == expected


def test_dark_and_bright():
    rgb = np.full((10, 10, 3), 16, np.uint8)
    assert (all_dark(rgb), all_bright(rgb)) == (True, False)
    rgb[0, 0] = 17
    assert all_dark(rgb)
    rgb[0, 1] = 17
    assert not all_dark(rgb), "two pixels of a hundred"
    assert all_bright(255 - np.zeros((4, 4, 3), np.uint8))
    assert not all_bright(np.full((4, 4, 3), 238, np.uint8))


def test_the_columns():
    flat, noisy = np.full((20, 30, 3), 3, np.uint8), np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    columns = FaultsAnnotator().annotate([record(flat), record(noisy), record(np.zeros((3, 7, 3), np.uint8))])
    assert columns["width"].tolist() == [30, 50, 7]
    assert columns["height"].tolist() == [20, 40, 3]
    assert columns["dark"].tolist() == ["yes", "no", "yes"]
    assert columns["bright"].tolist() == ["no", "no", "no"]
    assert [value is None for value in columns["phash"]] == [True, False, True]
    assert columns["phash"][1] == perceptual_hash(noisy)
    assert np.isnan([columns[name][2] for name in ("blur", "ringing", "banding", "noise")]).all()
    assert (columns["banding"][0], columns["noise"][0]) == (0, 0)
