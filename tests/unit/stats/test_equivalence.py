# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from math import inf

import numpy as np
import pytest
from scipy import stats

from audit.stats.equivalence import p_from_curve, tost, tost_from_interval, tost_share
from audit.stats.intervals import clopper_pearson, wilson

GRID = np.array([0.9, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 1e-4, 1e-5])


def test_tost_is_the_larger_of_two_t_tests():
    x = np.random.default_rng(0).normal(0.02, 1, 60)
    error = x.std(ddof=1) / 60**0.5
    found = tost(x.mean(), error, (-0.4, 0.3), freedom=59)
    below = stats.ttest_1samp(x, -0.4, alternative="greater").pvalue
    above = stats.ttest_1samp(x, 0.3, alternative="less").pvalue
    assert (found.p_low, found.p_high, found.p) == pytest.approx((below, above, max(below, above)))


def test_tost_agrees_with_the_interval_of_twice_the_level():
    for value in (0.0, 0.05, 0.09, 0.2):
        low, high = stats.norm(value, 0.04).interval(0.9)
        inside = low > -0.1 and high < 0.1
        assert (tost(value, 0.04, (-0.1, 0.1)).p < 0.05) == inside


def test_one_limit_is_a_one_sided_test():
    found = tost(0.1, 0.05, (-inf, 0.2))
    assert (found.p_low, found.p) == pytest.approx((0.0, stats.norm.sf(2)))
    assert tost(0.1, 0.05, (0.0, inf)).p == pytest.approx(stats.norm.sf(2))


def test_exact_tost_of_a_share():
    found = tost_share(52, 100, (0.4, 0.6))
    assert found.p_low == pytest.approx(stats.binomtest(52, 100, 0.4, alternative="greater").pvalue)
    assert found.p_high == pytest.approx(stats.binomtest(52, 100, 0.6, alternative="less").pvalue)
    assert tost_share(0, 50, (0.0, 0.1)).p == pytest.approx(0.9**50)
    assert tost_share(50, 50, (0.9, 1.0)).p == pytest.approx(0.9**50)
    assert tost_share(0, 50, (0.1, 0.3)).p == 1.0
    assert tost_share(50, 50, (0.1, 0.3)).p == 1.0


def test_exact_tost_keeps_its_level_at_the_limits():
    k = np.arange(81)
    for edge in (0.4, 0.6):
        rejected = [tost_share(int(i), 80, (0.4, 0.6)).p <= 0.05 for i in k]
        assert (stats.binom.pmf(k, 80, edge) * rejected).sum() <= 0.05


def test_from_a_published_interval():
    low, high = stats.norm(0.03, 0.04).interval(0.95)
    for limits in ((-0.1, 0.1), (-inf, 0.1), (0.05, 0.2)):
        found, expected = tost_from_interval(0.03, low, high, limits), tost(0.03, 0.04, limits)
        assert (found.p, found.p_low, found.p_high) == pytest.approx((expected.p, expected.p_low, expected.p_high))


def test_a_lopsided_interval_is_judged_by_the_end_that_points_at_the_limit():
    # A value below its lower limit, with a long way up and a short way down.
    found = tost_from_interval(0.1, 0.09, 0.3, (0.2, 0.9))
    assert found.p_low == pytest.approx(stats.norm.cdf(1.959964 * 0.1 / 0.2))


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda: tost(0.1, 0.0, (0, 1)), "above 0"),
        (lambda: tost(0.1, 0.1, (1, 0)), "lower <= upper"),
        (lambda: tost_share(3, 2, (0, 1)), "n > 0"),
        (lambda: tost_from_interval(0.1, 0.1, 0.1, (0, 0.2)), "no width"),
        (lambda: p_from_curve([], [], [], (0, 1)), "different alphas"),
        (lambda: p_from_curve([0.1, 0.1], [0, 0], [1, 1], (0, 1)), "different alphas"),
        (lambda: p_from_curve([0.1], [np.nan], [1], (0, 1)), "NaN"),
    ],
)
def test_what_cannot_be_tested(call, what):
    with pytest.raises(ValueError, match=what):
        call()


def curve(interval, k, n, grid=GRID):
    found = [interval(k, n, level=1 - a) for a in grid]
    return grid, [i.low for i in found], [i.high for i in found]


@pytest.mark.parametrize(("k", "reference"), [(60, 0.5), (47, 0.6), (30, 0.2), (52, 0.5)])
def test_inverting_wilson_is_the_score_test(k, reference):
    gap, _ = p_from_curve(*curve(wilson, k, 100), (reference, reference))
    z = (k / 100 - reference) / (reference * (1 - reference) / 100) ** 0.5
    assert gap == pytest.approx(2 * stats.norm.sf(abs(z)), rel=0.02)


def test_inverting_clopper_pearson_is_twice_the_binomial_tail():
    gap, _ = p_from_curve(*curve(clopper_pearson, 66, 100), (0.5, 0.5))
    assert gap == pytest.approx(2 * stats.binom.sf(65, 100, 0.5), rel=0.02)


def test_a_normal_curve_is_inverted_exactly():
    """Interpolation on the normal scale leaves nothing over, and equivalence is twice the two one-sided tests."""
    half = stats.norm.isf(GRID / 2) * 0.04
    for value in (0.02, 0.0, -0.05):
        gap, same = p_from_curve(GRID, value - half, value + half, (-0.1, 0.1))
        assert gap == 1.0
        assert same == pytest.approx(2 * tost(value, 0.04, (-0.1, 0.1)).p)
    for value in (0.17, -0.21):
        gap, same = p_from_curve(GRID, value - half, value + half, (-0.1, 0.1))
        assert same == 1.0
        assert gap == pytest.approx(2 * stats.norm.sf((abs(value) - 0.1) / 0.04))


def test_order_of_the_levels_does_not_matter():
    grid, low, high = curve(wilson, 60, 100)
    shuffled = np.random.default_rng(0).permutation(len(grid))
    again = p_from_curve(grid[shuffled], np.array(low)[shuffled], np.array(high)[shuffled], (0.5, 0.5))
    assert again == p_from_curve(grid, low, high, (0.5, 0.5))


def test_beyond_the_finest_level_its_alpha_is_the_bound():
    assert p_from_curve(*curve(wilson, 95, 100), (0.5, 0.5)) == (1e-5, 1.0)
    assert p_from_curve(*curve(wilson, 50, 100), (0.0, 1.0)) == (1.0, 1e-5)


def test_infinite_limits_and_ends():
    gap, same = p_from_curve(*curve(wilson, 60, 100), (-inf, 0.5))
    assert gap == pytest.approx(2 * stats.norm.sf(2), rel=0.02)
    assert same == 1.0
    assert p_from_curve(*curve(wilson, 60, 100), (-inf, inf)) == (1.0, 1e-5)
    # An interval that becomes infinite between two levels: the last finite level is all that is known.
    assert p_from_curve([0.1, 0.05], [0.6, -inf], [0.7, inf], (0.0, 0.5)) == (0.1, 1.0)


def test_an_end_on_the_limit_is_within():
    assert p_from_curve([0.1], [0.0], [0.5], (0.0, 1.0)) == (1.0, 0.1)
    assert p_from_curve([0.1], [0.5], [1.0], (0.0, 1.0)) == (1.0, 0.1)
    assert p_from_curve([0.1], [1.0], [1.5], (0.0, 1.0)) == (1.0, 1.0)


def test_intervals_that_shrink_where_the_level_rises_are_widened():
    gap, _ = p_from_curve([0.2, 0.1, 0.05], [0.6, 0.45, 0.55], [0.9, 0.9, 0.9], (0.5, 0.5))
    assert 0.1 < gap < 0.2


def test_inverted_p_values_are_uniform_where_there_is_no_gap():
    rng = np.random.default_rng(1)
    p = np.array(
        [p_from_curve(*curve(clopper_pearson, int(k), 200), (0.5, 0.5))[0] for k in rng.binomial(200, 0.5, 400)]
    )
    for level in (0.05, 0.1, 0.3):
        assert (p <= level).mean() <= level + 3 * (level * (1 - level) / 400) ** 0.5
