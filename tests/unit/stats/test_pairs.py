# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from audit.stats.annotator_error import Correction
from audit.stats.intervals import mean_interval
from audit.stats.pairs import mcnemar, paired_mean, sign_flips


@pytest.mark.parametrize(("up", "down"), [(0, 0), (5, 5), (1, 9), (12, 2), (0, 6)])
def test_mcnemar_is_the_two_sided_binomial_test(up, down):
    expected = stats.binomtest(up, up + down, 0.5).pvalue if up + down else 1.0
    assert mcnemar(up, down) == pytest.approx(expected)
    assert mcnemar(up, down) == mcnemar(down, up)


def test_scores_have_the_paired_t_interval():
    rng = np.random.default_rng(0)
    one, two = rng.normal(size=30), rng.normal(0.3, 1, size=30)
    expected = stats.ttest_rel(two, one).confidence_interval(0.9)
    found = paired_mean(two - one)
    assert found.interval(0.9) == pytest.approx((expected.low, expected.high))
    assert found.value == pytest.approx((two - one).mean())


def test_scores_of_scenes_have_the_cluster_robust_interval():
    rng = np.random.default_rng(1)
    scene = np.repeat(np.arange(6), 5)
    differences = rng.normal(size=30) + rng.normal(size=6)[scene]
    expected = mean_interval(differences, scene)
    assert paired_mean(differences, scene).interval(0.95) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(("up", "down", "n"), [(30, 10, 400), (3, 0, 200), (0, 0, 300)])
def test_shares_have_the_interval_of_bonett_and_price(up, down, n):
    differences = np.array([1.0] * up + [-1.0] * down + [0.0] * (n - up - down))
    a, b = (up + 1) / (n + 2), (down + 1) / (n + 2)  # their eq. 4, with z; t with n - 1 is a little wider
    half = 1.959964 * np.sqrt((a + b - (a - b) ** 2) / (n + 2))
    found = paired_mean(differences, shares=True).interval(0.95)
    assert found == pytest.approx((a - b - half, a - b + half), abs=0.02 * half)


def test_no_pair_that_changes_and_only_pairs_that_change_leave_room():
    low, high = paired_mean(np.zeros(24), shares=True).interval(0.95)
    assert low == pytest.approx(-high)
    assert high + 0.03 > 1 - 0.025 ** (1 / 24)  # about the Clopper-Pearson limit of none in 24
    found = paired_mean(np.ones(24), shares=True)
    assert (found.value, found.interval(0.95)[1]) == (1.0, 1.0)
    assert found.interval(0.95)[0] < 0.9


@pytest.mark.parametrize(
    ("n", "scenes", "one", "two", "same"),
    [(60, 1, 0.5, 0.6, 0.8), (200, 1, 0.05, 0.95, 0.5), (100, 1, 0.5, 0.5, 0.98), (200, 10, 0.5, 0.6, 0.8)],
)
def test_a_known_difference_is_covered_through_an_instrument_that_errs(n, scenes, one, two, same):
    """Arms share their luck in a share ``same`` of pairs; scenes differ by a normal effect; the counts are redrawn."""
    rng = np.random.default_rng(2)
    errs, scene = np.array([[0.94, 0.06], [0.07, 0.93]]), np.repeat(np.arange(scenes), n // scenes)
    held = 0
    for _ in range(500):
        correction = Correction(np.array([rng.multinomial(400, row) for row in errs]))
        luck, effect = rng.random(n), rng.normal(0, 0.1 if scenes > 1 else 0.0, scenes)[scene]
        again = np.where(rng.random(n) < same, luck, rng.random(n))
        truth = (luck >= one).astype(int), (again >= two + effect).astype(int)
        said = [(rng.random(n) >= errs[t, 0]).astype(int) for t in truth]
        differences = correction.scores[said[1]] - correction.scores[said[0]]
        variance = differences.mean(axis=0) ** 2 @ correction.instrument.variance
        found = paired_mean(differences[:, 0], scene if scenes > 1 else None, variance=variance[0], shares=True)
        low, high = found.interval(0.95)
        held += low <= two - one <= high
    assert 0.92 <= held / 500 <= 0.99


def test_the_variance_of_scores_through_the_counts():
    counts = np.array([[270, 20, 10], [15, 180, 5]])
    correction, rng = Correction(counts), np.random.default_rng(3)
    for i, row in enumerate(counts):
        drawn = rng.multinomial(row.sum(), row / row.sum(), size=20_000) / row.sum() @ correction.scores
        assert correction.instrument.variance[i] == pytest.approx(drawn.var(axis=0), rel=0.08)


def test_sign_flips_count_every_pattern():
    differences = np.array([0.5, -0.2, 0.9, 0.4, 0.0, 0.7, -0.1])
    totals = [abs(np.dot(signs, differences)) for signs in product([-1, 1], repeat=7)]
    found = sign_flips(differences)
    assert found.exact
    assert found.p == pytest.approx(np.mean([t >= abs(differences.sum()) - 1e-12 for t in totals]))
    assert found.floor == pytest.approx(np.mean(totals) / 7)


def test_sign_flips_agree_with_scipy():
    differences = np.random.default_rng(4).normal(0.4, 1, size=12)
    expected = stats.permutation_test((differences,), np.sum, permutation_type="samples", n_resamples=np.inf)
    assert sign_flips(differences).p == pytest.approx(expected.pvalue)


def test_sampled_sign_flips_come_near_the_exact_ones_and_are_never_zero():
    rng = np.random.default_rng(5)
    differences = rng.choice([-1.0, 1.0], p=[0.35, 0.65], size=30)
    k = int((differences > 0).sum())
    found = sign_flips(differences, seed=1)
    assert not found.exact
    assert found.p == pytest.approx(stats.binomtest(k, 30, 0.5).pvalue, abs=0.02)
    assert sign_flips(np.ones(40)).p == pytest.approx(1 / 5000)
    assert found == sign_flips(differences, seed=1)


def test_units_are_turned_as_a_whole():
    scene = np.repeat(np.arange(4), 6)
    found = sign_flips(np.ones(24), scene)
    assert (found.exact, found.p) == (True, pytest.approx(2 / 2**4))


def test_no_difference_at_all():
    found = sign_flips(np.zeros(30))
    assert (found.p, found.floor) == (1.0, 0.0)
