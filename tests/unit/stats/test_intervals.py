# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from audit.stats.intervals import (
    clopper_pearson,
    cluster_bootstrap,
    mean_interval,
    median_interval,
    newcombe,
    wilson,
)


@pytest.mark.parametrize(
    ("k", "n", "low", "high", "digits"),
    [
        (84, 250, 0.2803229471, 0.3966407752, 10),
        (11, 250, 0.024744, 0.077058, 6),
        (0, 250, 0.0, 0.015133, 6),
        (4, 8, 0.215216, 0.784784, 6),
    ],
)
def test_wilson_golden(k, n, low, high, digits):
    found = wilson(k, n)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.6 * 10**-digits)


@pytest.mark.parametrize(
    ("k", "n", "low", "high", "digits"),
    [
        (84, 250, 0.2777082577, 0.3982346678, 10),
        (11, 250, 0.022166, 0.077363, 6),
        (0, 250, 0.0, 0.014647, 6),
        (250, 250, 0.985353, 1.0, 6),
    ],
)
def test_clopper_pearson_golden(k, n, low, high, digits):
    found = clopper_pearson(k, n)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.6 * 10**-digits)


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (3, 7), (24, 24), (17, 400)])
def test_share_intervals_equal_scipy(k, n, level):
    test = stats.binomtest(k, n)
    for ours, method in ((wilson, "wilson"), (clopper_pearson, "exact")):
        theirs = test.proportion_ci(level, method)
        found = ours(k, n, level=level)
        assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_newcombe_golden():
    found = newcombe(84, 250, 137, 246)
    assert (found.low, found.high) == pytest.approx((-0.303298402, -0.133843117), abs=1e-9)


def test_share_of_nothing_is_refused():
    with pytest.raises(ValueError, match="n > 0"):
        wilson(0, 0)


def test_mean_without_clusters_is_the_t_interval():
    x = np.random.default_rng(0).normal(3, 2, 40)
    theirs = stats.ttest_1samp(x, 0).confidence_interval(0.9)
    found = mean_interval(x, level=0.9)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))


def test_balanced_clusters_are_the_t_interval_of_their_means():
    x = np.random.default_rng(1).normal(size=(12, 5)) + np.random.default_rng(2).normal(size=(12, 1))
    theirs = stats.ttest_1samp(x.mean(axis=1), 0).confidence_interval(0.95)
    found = mean_interval(x.ravel(), np.repeat(np.arange(12), 5))
    assert found is not None
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))
    assert (found.n, found.clusters) == (60, 12)


def test_cluster_interval_covers_where_the_plain_one_does_not():
    rng = np.random.default_rng(3)
    labels = np.repeat(np.arange(20), 8)
    robust = plain = 0
    for _ in range(400):
        x = rng.normal(size=160) + rng.normal(size=20)[labels]
        a, b = mean_interval(x, labels), mean_interval(x)
        assert a is not None
        assert b is not None
        robust += a.low <= 0 <= a.high
        plain += b.low <= 0 <= b.high
    assert robust / 400 > 0.92
    assert plain / 400 < 0.7


def test_one_unit_has_no_interval():
    assert mean_interval(np.array([1.0])) is None
    assert mean_interval(np.array([])) is None
    assert mean_interval(np.array([1.0, 2.0]), np.array(["a", "a"])) is None
    assert cluster_bootstrap(np.array([1.0, 2.0]), np.array(["a", "a"])) is None


def test_bootstrap_agrees_with_scipy_and_repeats():
    x = np.random.default_rng(4).gamma(2.0, size=60)
    theirs = stats.bootstrap((x,), np.mean, n_resamples=9999, method="percentile", rng=0).confidence_interval
    found = cluster_bootstrap(x, reps=9999)
    assert found == cluster_bootstrap(x, reps=9999)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.03)


@pytest.mark.parametrize("n", [6, 7, 20, 101])
def test_median_interval_is_the_narrowest_pair_that_covers(n):
    found = median_interval(np.arange(1.0, n + 1))
    assert found is not None
    rank = int(found.low)
    assert found.high == n + 1 - rank
    covered = [1 - 2 * stats.binom.cdf(r - 1, n, 0.5) for r in (rank, rank + 1)]
    assert covered[0] >= 0.95 > covered[1]


def test_too_few_values_for_a_median_interval():
    assert median_interval(np.arange(5.0)) is None
    assert median_interval(np.array([])) is None
