# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from audit.provenance.watermark import _frame
from audit.provenance.watermark._layout import REACH, RINGS, layout_of, signs_of


@pytest.fixture(scope="module")
def plane():
    return np.random.default_rng(0).normal(size=(70, 101)).astype(np.float32)


def test_waves_are_the_fourier_sum_at_those_frequencies(plane):
    k = np.arange(1 - REACH, REACH)
    y, x = ((np.arange(side) + 0.5) / 37.3 for side in plane.shape)
    expected = np.exp(-2j * np.pi * np.outer(k, y)) @ plane @ np.exp(-2j * np.pi * np.outer(k, x)).T
    assert np.abs(_frame.waves(plane, 37.3) - expected).max() < 1e-3


def test_where_tiles_are_whole_pixels_it_is_numpy_s_transform_of_the_tiles_added_up():
    plane = np.random.default_rng(1).normal(size=(96, 160)).astype(np.float32)
    folded = plane.reshape(3, 32, 5, 32).sum((0, 2))
    k = np.arange(1 - REACH, REACH)
    half = np.exp(-1j * np.pi * (k[:, None] + k) / 32)  # numpy counts from pixel 0, we from the middles
    assert np.abs(_frame.waves(plane, 32.0) - np.fft.fft2(folded)[np.ix_(k, k)] * half).max() < 1e-3


def test_woven_is_the_sum_of_its_waves(plane):
    layout = layout_of("a")
    rng = np.random.default_rng(2)
    amplitude = rng.normal(size=len(layout.ring)) + 1j * rng.normal(size=len(layout.ring))
    y, x = ((np.arange(side) + 0.5) / 37.3 for side in plane.shape)
    direct = sum(
        (a * np.exp(2j * np.pi * (u * y[:, None] + v * x))).real
        for a, u, v in zip(amplitude, layout.down, layout.across, strict=True)
    )
    assert np.abs(_frame.woven(amplitude, layout, plane.shape, 37.3) - direct).max() < 1e-3


def test_turning_the_waves_is_turning_the_picture(plane):
    turned = (plane[::-1], plane[:, ::-1], plane[::-1, ::-1])
    views = [*turned, *(p.T for p in (plane, *turned))]
    made = _frame.mirrored(_frame.waves(plane, 37.3), plane.shape, 37.3)
    for number, (view, table) in enumerate(zip(views, made, strict=True), 1):
        assert np.abs(_frame.waves(np.ascontiguousarray(view), 37.3) - table).max() < 1e-3
        assert (view.shape != plane.shape) == (number in _frame.SIDEWAYS)


def test_whitening_makes_every_ring_equally_strong(plane):
    layout = layout_of("a")
    power = np.abs(_frame.whitened(_frame.waves(plane, 37.3), layout)) ** 2
    assert np.bincount(layout.ring, power) / np.bincount(layout.ring) == pytest.approx(np.ones(RINGS))


def test_an_edge_does_not_outshout_the_rest():
    luma = np.zeros((64, 64), np.float32)
    luma[:, 32:] = 255
    luma += np.random.default_rng(3).normal(0, 2, luma.shape).astype(np.float32)
    even, slope = _frame.plane_of(luma, 64.0)
    assert np.abs(even).max() <= 1
    assert even[:, 30:34].std() < 4 * even[:, :25].std()
    assert slope[:, 31:33].mean() < slope[:, :25].mean() / 5


def test_what_a_wave_carries_comes_back_as_chips():
    layout = layout_of("a")
    chips = signs_of("b")
    white = layout.symbols(chips)
    white = white / np.sqrt(np.bincount(layout.ring, np.abs(white) ** 2) / np.bincount(layout.ring))[layout.ring]
    assert (np.sign(layout.chips(white[None])[0]) == chips).all()
    assert layout.level(white[None])[0] == pytest.approx(np.sqrt(2 * len(layout.pilot)), rel=0.05)
    assert layout.levels(white, np.zeros(1), np.zeros(1))[0, 0] == pytest.approx(layout.level(white[None])[0])


def test_moving_the_picture_and_moving_it_back(plane):
    layout = layout_of("a")
    tile, y, x = 32.0, 5, 9
    tiled = np.tile(plane[:32, :32], (4, 5))
    here = _frame.waves(tiled[y : y + 96, x : x + 128], tile)
    there = _frame.waves(tiled[:96, :128], tile)
    back = layout.moved(here[layout.down + REACH - 1, layout.across + REACH - 1], -y / tile, -x / tile)
    assert np.abs(back - there[layout.down + REACH - 1, layout.across + REACH - 1]).max() < 1e-2


def test_the_key_decides_everything_and_nothing_else_does():
    one, two = layout_of("a"), layout_of("b")
    assert not np.array_equal(one.tone, two.tone)
    assert not np.array_equal(one.place, two.place)
    assert not np.array_equal(signs_of("a"), signs_of("b"))
    assert sorted(one.place) == list(range(255))
    assert len(one.pilot) + len(one.data) == len(one.ring) == 338
    assert not set(one.pilot) & set(one.data)
    assert abs(np.mean([signs_of(f"k{i}") for i in range(200)])) < 0.02


@pytest.mark.parametrize(("short", "count"), [(64, 1), (90, 1), (91, 2), (256, 4), (512, 8), (4000, 8), (3, 1)])
def test_tiles_over_the_short_side(short, count):
    assert _frame.tiles(short) == count


def test_only_so_much_is_looked_at():
    assert _frame.working(np.zeros((1024, 9000, 3), np.uint8)).shape == (512, 1536)
    assert _frame.working(np.zeros((64, 64, 3), np.uint8)).shape == (64, 64)
    assert _frame.looked_at(np.zeros((900, 10, 3), np.uint8)).shape == (30, 10, 3)
