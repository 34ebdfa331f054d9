# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from audit.stats.differences import miettinen_nurminen, restricted_shares
from audit.stats.intervals import (
    agresti_coull,
    clopper_pearson,
    cluster_bootstrap,
    jeffreys,
    mean_interval,
    median_interval,
    newcombe,
    wald,
    wilson,
)
from audit.stats.multinomial import dirichlet_jeffreys, goodman


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


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
@pytest.mark.parametrize(("k", "n"), [(1, 9), (3, 7), (17, 400)])
def test_normal_and_bayesian_intervals_equal_scipy(k, n, level):
    p = k / n
    normal = stats.norm(p, (p * (1 - p) / n) ** 0.5).interval(level)
    found = wald(k, n, level=level)
    assert (found.low, found.high) == pytest.approx((max(0, normal[0]), normal[1]))
    found = jeffreys(k, n, level=level)
    assert (found.low, found.high) == pytest.approx(stats.beta(k + 0.5, n - k + 0.5).interval(level))


def test_agresti_coull_has_the_middle_of_wilson_and_is_wider():
    for k, n in ((3, 7), (17, 400), (200, 399)):
        ours, score = agresti_coull(k, n), wilson(k, n)
        assert (ours.low + ours.high) / 2 == pytest.approx((score.low + score.high) / 2)
        assert ours.low < score.low < score.high < ours.high


@pytest.mark.parametrize("interval", [wald, agresti_coull, jeffreys, wilson, clopper_pearson])
def test_the_observed_share_lies_in_its_interval(interval):
    for n in (1, 2, 13):
        for k in range(n + 1):
            found = interval(k, n)
            assert 0 <= found.low <= k / n <= found.high <= 1
            mirrored = interval(n - k, n)
            assert (found.low, found.high) == pytest.approx((1 - mirrored.high, 1 - mirrored.low))
    with pytest.raises(ValueError, match="n > 0"):
        interval(1, 0)


def covered(interval, *, n, p):
    """Exact coverage, summed over the counts."""
    k = np.arange(n + 1)
    found = [interval(int(i), n) for i in k]
    hit = [i.low <= p <= i.high for i in found]
    return float((stats.binom.pmf(k, n, p) * hit).sum())


def test_wald_covers_too_rarely_and_the_others_do_not():
    # Brown, Cai and DasGupta 2001, sec. 2.1: the Wald interval at p = 0.2, n = 30 covers 0.946, at n = 98 0.928.
    assert covered(wald, n=30, p=0.2) == pytest.approx(0.946, abs=5e-4)
    assert covered(wald, n=98, p=0.2) == pytest.approx(0.928, abs=5e-4)
    grid = [0.02, 0.05, 0.1, 0.2, 0.35, 0.5]
    assert min(covered(wald, n=20, p=p) for p in grid) < 0.4
    for interval in (agresti_coull, wilson, jeffreys):
        assert np.mean([covered(interval, n=20, p=p) for p in grid]) > 0.94


def test_goodman_is_wilson_at_the_bonferroni_level():
    counts = [50, 30, 15, 5]
    for found, count in zip(goodman(counts), counts, strict=True):
        single = wilson(count, 100, level=1 - 0.05 / 4)
        assert (found.low, found.high) == (single.low, single.high)


def test_goodman_covers_all_shares_together():
    shares, hit = np.array([0.4, 0.3, 0.2, 0.1]), 0
    for counts in np.random.default_rng(0).multinomial(100, shares, size=1000):
        hit += all(i.low <= p <= i.high for i, p in zip(goodman(counts.tolist()), shares, strict=True))
    assert 0.94 <= hit / 1000 <= 0.99


def test_dirichlet_marginals_are_those_of_samples():
    counts = [5, 0, 3, 2]
    drawn = np.random.default_rng(0).dirichlet(np.array(counts) + 0.5, size=200_000)
    for j, found in enumerate(dirichlet_jeffreys(counts, level=0.9)):
        assert found.value == pytest.approx(drawn[:, j].mean(), abs=2e-3)
        assert (found.low, found.high) == pytest.approx(np.quantile(drawn[:, j], [0.05, 0.95]), abs=4e-3)
    assert dirichlet_jeffreys(counts)[1].low > 0


@pytest.mark.parametrize("counts", [[3], [0, 0], [1, -1]])
@pytest.mark.parametrize("interval", [goodman, dirichlet_jeffreys])
def test_counts_that_are_no_sample(interval, counts):
    with pytest.raises(ValueError, match="two groups"):
        interval(counts)


@pytest.mark.parametrize(
    ("table", "low", "high"),
    [  # Newcombe 1998, Statistics in Medicine 17:873, table II, method 6
        ((56, 70, 48, 80), 0.0528, 0.3382),
        ((9, 10, 3, 10), 0.1700, 0.8406),
        ((5, 56, 0, 29), -0.0326, 0.1933),
        ((0, 10, 0, 10), -0.2879, 0.2879),
        ((10, 10, 0, 20), 0.7156, 1.0),
    ],
)
def test_miettinen_nurminen_of_the_published_table(table, low, high):
    found = miettinen_nurminen(*table)
    assert (found.low, found.high) == pytest.approx((low, high), abs=6e-5)


def test_restricted_shares_are_the_most_likely_ones():
    from scipy.special import xlogy

    rng = np.random.default_rng(0)
    for _ in range(60):
        n1, n2 = (int(n) for n in rng.integers(1, 40, 2))
        k1, k2 = int(rng.integers(0, n1 + 1)), int(rng.integers(0, n2 + 1))
        d = float(rng.uniform(-0.95, 0.95))
        p1, p2 = restricted_shares(k1, n1, k2, n2, difference=d)
        assert p1 - p2 == pytest.approx(d)
        first = np.linspace(max(0.0, d), min(1.0, 1.0 + d), 4001)[1:-1]

        def likelihood(a, b, k1=k1, n1=n1, k2=k2, n2=n2):
            return xlogy(k1, a) + xlogy(n1 - k1, 1 - a) + xlogy(k2, b) + xlogy(n2 - k2, 1 - b)

        best = first[np.argmax(likelihood(first, first - d))]
        assert p1 == pytest.approx(best, abs=6e-4)


@pytest.mark.parametrize("table", [(7, 34, 1, 34), (84, 250, 137, 246), (0, 7, 3, 9), (5, 5, 5, 5)])
def test_a_difference_changes_sign_with_its_order(table):
    forth, back = miettinen_nurminen(*table), miettinen_nurminen(*table[2:], *table[:2])
    assert (forth.low, forth.high) == pytest.approx((-back.high, -back.low), abs=1e-9)
    assert -1 <= forth.low < forth.value <= forth.high <= 1


def test_miettinen_nurminen_covers():
    hit = 0
    n1, n2, p1, p2 = 25, 15, 0.9, 0.7
    for k1 in range(n1 + 1):
        for k2 in range(n2 + 1):
            chance = stats.binom.pmf(k1, n1, p1) * stats.binom.pmf(k2, n2, p2)
            found = miettinen_nurminen(k1, n1, k2, n2)
            hit += chance * (found.low <= p1 - p2 <= found.high)
    assert 0.94 <= hit <= 0.97


def test_two_shares_of_nothing_are_refused():
    with pytest.raises(ValueError, match="n > 0"):
        miettinen_nurminen(0, 0, 1, 2)
