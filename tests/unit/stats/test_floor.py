# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from audit.stats.floor import binomial_floor, correction_floor, multinomial_floor, total_variation_radius

PERFECT = ((10**7, 0), (0, 10**7))


@pytest.mark.parametrize(
    ("n", "two", "ten"),
    [
        (8, 0.1366, 0.0862),
        (9, 0.1365, 0.0775),
        (50, 0.0562, 0.0333),
        (100, 0.0399, 0.0237),
        (250, 0.0252, 0.0151),
    ],
)
def test_table_of_floors(n, two, ten):
    # The table was simulated: its last digit may be off by three. The closed form is checked against the sum below.
    assert binomial_floor(n, 0.5) == pytest.approx(two, abs=3e-4)
    assert np.mean(multinomial_floor(n, (0.1,) * 10).gap) == pytest.approx(ten, abs=3e-4)


@pytest.mark.parametrize(("n", "tv"), [(50, 0.166), (250, 0.075)])
def test_total_variation_floor_of_ten_groups(n, tv):
    assert multinomial_floor(n, (0.1,) * 10).tv == pytest.approx(tv, abs=6e-4)


@pytest.mark.parametrize(("n", "p"), [(7, 0.3), (24, 0.5), (31, 0.02), (10, 1.0), (1, 0.25)])
def test_closed_form_equals_the_sum(n, p):
    from scipy import stats

    k = np.arange(n + 1)
    assert binomial_floor(n, p) == pytest.approx((np.abs(k / n - p) * stats.binom.pmf(k, n, p)).sum())


def test_a_perfect_instrument_has_the_closed_form_floor():
    found = correction_floor(24, (0.5, 0.5), PERFECT, reps=20_000)
    assert found.gap[0] == pytest.approx(binomial_floor(24, 0.5), rel=0.03)
    assert found.tv == pytest.approx(binomial_floor(24, 0.5), rel=0.03)


def test_a_worse_instrument_has_a_higher_floor():
    poor = ((80, 20), (20, 80))
    assert correction_floor(24, (0.5, 0.5), poor).tv > 1.4 * correction_floor(24, (0.5, 0.5), PERFECT).tv


def test_the_floor_repeats():
    counts = ((90, 10, 5), (10, 90, 5))
    first = correction_floor(24, (0.3, 0.7), counts, seed=3)
    correction_floor.cache_clear()
    assert first == correction_floor(24, (0.3, 0.7), counts, seed=3)
    assert first != correction_floor(24, (0.3, 0.7), counts, seed=4)


def test_the_radius_covers_the_truth():
    rng = np.random.default_rng(0)
    matrix = np.array([[0.93, 0.03, 0.02, 0.02], [0.04, 0.90, 0.04, 0.02], [0.01, 0.05, 0.92, 0.02]])
    for truth in (np.array([0.3, 0.4, 0.3]), np.array([0.9, 0.1, 0.0])):
        hit = 0
        for _ in range(200):
            counts = tuple(tuple(int(c) for c in rng.multinomial(600, row)) for row in matrix)
            answers = rng.multinomial(24, truth @ matrix)
            from audit.stats.annotator_error import Correction

            estimate = Correction(np.array(counts)).shares(answers / 24)
            radius = total_variation_radius(tuple(int(a) for a in answers), counts, level=0.95, reps=400)
            hit += np.abs(estimate - truth).sum() / 2 <= radius
        assert hit / 200 >= 0.92


def test_a_radius_of_fewer_images_is_that_of_so_many():
    few, many = (30, 20), (300, 200)
    assert total_variation_radius(many, PERFECT, level=0.95, size=50) == pytest.approx(
        total_variation_radius(few, PERFECT, level=0.95), abs=0.01
    )
    assert total_variation_radius(many, PERFECT, level=0.95) < 0.5 * total_variation_radius(few, PERFECT, level=0.95)


@pytest.mark.parametrize(("n", "p"), [(0, 0.5), (3, 1.5)])
def test_impossible_floors(n, p):
    with pytest.raises(ValueError, match="n >= 1"):
        binomial_floor(n, p)
