# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from audit.stats.annotator_error import delta_interval
from audit.stats.power import (
    effect_size,
    images_for_effect,
    images_for_fit,
    images_for_half_width,
    images_per_arm,
    images_to_detect,
    inflation,
    power_of_arms,
    power_of_gap,
    smallest_detectable_gap,
)


@pytest.mark.parametrize(("half", "n"), [(0.02, 2401), (0.05, 385), (0.10, 97), (0.15, 43), (0.20, 25)])
def test_images_for_a_half_width(half, n):
    assert images_for_half_width(half) == n


@pytest.mark.parametrize("shift", [0.05, 0.1, 0.2])
def test_the_planned_power_is_reached(shift):
    n = images_to_detect(shift)
    low, high = stats.binom.ppf([0.025, 0.975], n, 0.5)
    power = stats.binom.cdf(low - 1, n, 0.5 + shift) + stats.binom.sf(high, n, 0.5 + shift)
    assert power == pytest.approx(0.8, abs=0.06)


def test_a_worse_instrument_needs_more():
    assert images_for_half_width(0.1, inflation=1.156) == 112


@pytest.mark.parametrize("half", [0.0, 1.0])
def test_impossible_half_widths(half):
    with pytest.raises(ValueError, match="half width"):
        images_for_half_width(half)


def test_no_shift_is_never_seen():
    with pytest.raises(ValueError, match="different"):
        images_to_detect(0.0)


@pytest.mark.parametrize(("n", "shift", "reference"), [(200, 0.1, 0.5), (400, -0.06, 0.3), (60, 0.05, 0.5)])
def test_power_is_that_of_simulated_tests(n, shift, reference):
    rng = np.random.default_rng(0)
    share = rng.binomial(n, reference + shift, 40_000) / n
    z = (share - reference) / (reference * (1 - reference) / n) ** 0.5
    seen = (np.abs(z) > stats.norm.ppf(0.975)).mean()
    assert power_of_gap(n, shift, reference=reference) == pytest.approx(seen, abs=0.035)


def test_power_of_arms_is_that_of_simulated_tests():
    rng = np.random.default_rng(1)
    n = 300
    first, second = rng.binomial(n, [[0.5], [0.6]], (2, 40_000)) / n
    pooled = (first + second) / 2
    z = (second - first) / np.sqrt(2 * pooled * (1 - pooled) / n)
    seen = (np.abs(z) > stats.norm.ppf(0.975)).mean()
    assert power_of_arms(n, 0.1) == pytest.approx(seen, abs=0.02)


@pytest.mark.parametrize("reference", [0.2, 0.5])
@pytest.mark.parametrize("cost", [1.0, 1.4])
def test_planned_numbers_have_the_planned_power(reference, cost):
    n = images_to_detect(0.08, reference=reference, inflation=cost)
    assert power_of_gap(n, 0.08, reference=reference, inflation=cost) >= 0.8
    assert power_of_gap(n - 1, 0.08, reference=reference, inflation=cost) < 0.8
    arms = images_per_arm(0.08, reference=reference, inflation=cost)
    assert power_of_arms(arms, 0.08, reference=reference, inflation=cost) == pytest.approx(0.8, abs=1e-5)


@pytest.mark.parametrize(("n", "reference", "cost"), [(50, 0.5, 1.0), (194, 0.5, 1.156), (400, 0.1, 1.0)])
def test_the_smallest_gap_is_the_first_one_seen(n, reference, cost):
    gap = smallest_detectable_gap(n, reference=reference, inflation=cost)
    assert gap is not None

    def seen(shift):
        return power_of_gap(n, shift, reference=reference, inflation=cost)

    ways = [way for way in (gap, -gap) if 0 <= reference + way <= 1]
    assert min(seen(way) for way in ways) == pytest.approx(0.8)
    assert min(seen(0.95 * way) for way in ways) < 0.8


def test_too_few_images_see_no_gap():
    assert smallest_detectable_gap(1) is None
    assert smallest_detectable_gap(10, reference=0.1) is None  # a share of 0 looks like a tenth of ten images
    assert smallest_detectable_gap(5) is not None


def test_a_share_at_the_end_is_seen_for_certain_or_not_at_all():
    assert power_of_gap(4, 0.5) == 1.0
    assert power_of_gap(3, 0.5) == 0.0
    assert power_of_gap(100, -0.3, reference=0.3) == 1.0


def test_inflation_is_the_ratio_of_the_variances():
    """With rates known exactly, the corrected share's variance over that of the answers' own share."""
    low, high = delta_interval(0.5, n=10_000, a0=0.947, n0=10**12, a1=0.983, n1=10**12)
    plain = 2 * stats.norm.ppf(0.975) * (0.25 / 10_000) ** 0.5
    assert ((high - low) / plain) ** 2 == pytest.approx(inflation(0.947, 0.983))


def test_normal_effects_are_those_of_simulated_means():
    rng = np.random.default_rng(2)
    n = round(images_for_effect(0.25, arms=1))
    z = rng.normal(0.25, 1 / n**0.5, 40_000) * n**0.5
    assert (np.abs(z) > stats.norm.ppf(0.975)).mean() == pytest.approx(0.8, abs=0.01)
    assert images_for_effect(0.25) == pytest.approx(2 * images_for_effect(-0.25, arms=1))


def test_effect_size_of_cohen():
    # Cohen 1988, table 6.2.2: phi of 0.50 is 1.571 and of 0.60 is 1.772.
    assert effect_size(0.6, 0.5) == pytest.approx(1.772 - 1.571, abs=1e-3)
    assert effect_size(0.3, 0.7) == -effect_size(0.7, 0.3)


@pytest.mark.parametrize(("w", "groups"), [(0.2, 4), (0.5, 7)])
def test_a_fit_has_the_planned_power(w, groups):
    n = images_for_fit(w, groups)
    critical = stats.chi2.ppf(0.95, groups - 1)
    assert stats.ncx2.sf(critical, groups - 1, n * w**2) >= 0.8
    assert stats.ncx2.sf(critical, groups - 1, (n - 1) * w**2) < 0.8


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda: inflation(0.5, 0.5), "more than 1"),
        (lambda: images_for_effect(0.0), "an effect"),
        (lambda: images_for_effect(0.1, arms=3), "an effect"),
        (lambda: images_for_effect(0.1, power=0.01), "a power"),
        (lambda: images_for_fit(0.0, 3), "an effect"),
        (lambda: images_for_fit(0.1, 1), "two groups"),
        (lambda: power_of_gap(10, 0.6), "different"),
        (lambda: images_per_arm(0.6), "different"),
    ],
)
def test_impossible_plans(call, what):
    with pytest.raises(ValueError, match=what):
        call()
