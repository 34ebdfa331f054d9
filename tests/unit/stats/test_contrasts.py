# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from audit.stats.contrasts import group_means, mover_pairs, pair_level, spread, spread_floor
from audit.stats.intervals import wilson


def pairs_of_shares(counts, n, level=0.95):
    found = [wilson(k, n_, level=level) for k, n_ in zip(counts, n, strict=True)]
    values, lows, highs = (np.array([getattr(f, name) for f in found]) for name in ("value", "low", "high"))
    return values, *mover_pairs(values, lows, highs)


def test_pairs_of_wilson_limits_are_newcombes():
    # 84/250 against 137/246: statsmodels 0.15, confint_proportions_2indep(method="newcomb")
    _, lows, highs = pairs_of_shares([84, 137], [250, 246])
    assert (lows[0, 1], highs[0, 1]) == pytest.approx((-0.303298402, -0.133843117), abs=1e-8)
    assert (lows[1, 0], highs[1, 0]) == pytest.approx((0.133843117, 0.303298402), abs=1e-8)


def test_a_correlation_of_one_cancels_what_is_shared():
    values, lows, highs = np.array([0.5, 0.7]), np.array([0.4, 0.6]), np.array([0.6, 0.8])
    low, high = mover_pairs(values, lows, highs, np.ones((2, 2)))
    assert (low[1, 0], high[1, 0]) == pytest.approx((0.2, 0.2))


def test_the_spread_reaches_zero_and_names_the_ends():
    values, lows, highs = pairs_of_shares([20, 22, 25], [40, 40, 40], pair_level(3, 0.95))
    found = spread(values, lows, highs)
    assert (found.value, found.low) == (pytest.approx(5 / 40), 0.0)
    assert (found.highest, found.lowest) == (2, 0)
    values, lows, highs = pairs_of_shares([2, 38, 25], [40, 40, 40], pair_level(3, 0.95))
    found = spread(values, lows, highs)
    assert found.low > 0.5
    assert found.high <= 1.0


@pytest.mark.parametrize("shares", [(0.5, 0.5, 0.5), (0.1, 0.1), (0.2, 0.5, 0.6), (0.9, 0.5)])
def test_the_spread_of_shares_is_covered(shares):
    rng, n, held = np.random.default_rng(0), 50, 0
    for _ in range(600):
        found = spread(*pairs_of_shares(rng.binomial(n, shares), [n] * len(shares), pair_level(len(shares), 0.95)))
        held += found.low <= max(shares) - min(shares) <= found.high
    assert held / 600 >= 0.93


def test_means_of_independent_rows_are_welchs():
    rng = np.random.default_rng(1)
    a, b = rng.normal(0, 1, 20), rng.normal(1, 3, 35)
    groups = np.repeat([0, 1], [20, 35])
    found = group_means(np.concatenate([a, b]), groups, np.arange(55))
    assert found.means == pytest.approx([a.mean(), b.mean()])
    expected = a.var(ddof=1) / 20 + b.var(ddof=1) / 35
    assert found.covariance[0, 0] + found.covariance[1, 1] == pytest.approx(expected)
    assert found.covariance[0, 1] == 0.0
    low, high = found.ends(0.95)
    mine = stats.ttest_1samp(b, 0).confidence_interval()
    assert (low[1], high[1]) == pytest.approx((mine.low, mine.high))


def test_clusters_across_groups_make_it_the_paired_t_interval():
    rng = np.random.default_rng(2)
    shared = rng.normal(0, 5, 15)
    a, b = shared + rng.normal(size=15), shared + rng.normal(0.5, 1, 15)
    found = group_means(np.concatenate([a, b]), np.repeat([0, 1], 15), np.tile(np.arange(15), 2))
    low, high = found.limits(0.95)
    expected = stats.ttest_rel(a, b).confidence_interval()
    assert (low[0, 1], high[0, 1]) == pytest.approx((expected.low, expected.high))


def test_a_single_prompt_a_group_leaves_the_rows_as_units():
    rng = np.random.default_rng(3)
    values, groups = rng.normal(size=40), np.repeat([0, 1], 20)
    found = group_means(values, groups, groups)
    assert found.clusters.tolist() == [20, 20]
    expected = group_means(values, groups, np.arange(40))
    assert found.covariance == pytest.approx(expected.covariance)


def test_the_spread_of_means_over_prompts_is_covered():
    rng, held, truth = np.random.default_rng(4), 0, np.array([27.0, 27.0, 28.0])
    groups, prompts = np.repeat([0, 1, 2], 80), np.repeat(np.arange(30), 8)
    for _ in range(500):
        values = truth[groups] + rng.normal(0, 1, 30)[prompts] + rng.normal(0, 2, 240)
        found = group_means(values, groups, prompts)
        lows, highs = found.limits(pair_level(3, 0.95))
        got = spread(found.means, lows, highs)
        held += got.low <= 1.0 <= got.high
    assert held / 500 >= 0.93


@pytest.mark.parametrize(("g", "expected"), [(2, 1.128), (3, 1.693), (5, 2.326)])
def test_the_floor_is_the_range_of_normal_samples(g, expected):
    # d2, the mean range of g standard normals, as tabulated for control charts
    assert spread_floor(np.eye(g), reps=40_000) == pytest.approx(expected, rel=0.015)
    assert spread_floor(np.zeros((g, g))) == 0.0
