# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from audit.stats.frechet import Moments, frechet, frechet_from_features
from audit.stats.frechet_pairs import frechet_difference, swap_test

D = 12
MIX = np.random.default_rng(9).normal(size=(D, D)) / D**0.5
REFERENCE = np.maximum(np.random.default_rng(8).normal(size=(600, D)) @ MIX, 0)


def pair(rng, n, *, scale=1.0, each=1, d=D):
    """Two generators' features: what a prompt asks for is common to both, and scaled by the second."""
    asked = np.repeat(rng.normal(size=(n // each, d)), each, axis=0)
    x, y = (np.maximum((0.8 * asked + 0.6 * rng.normal(size=(n, d))) @ MIX[:d, :d] + 0.3, 0) for _ in range(2))
    return x, scale * y


def test_the_difference_of_the_two_corrected_distances():
    x, y = pair(np.random.default_rng(0), 100)
    found = frechet_difference(x, y, REFERENCE)
    one, two = frechet(x, REFERENCE), frechet(y, REFERENCE)
    assert (found.first, found.second) == pytest.approx((one.value, two.value), rel=1e-12)
    assert found.value == pytest.approx(one.value - two.value)
    assert found.low < found.value < found.high
    assert (found.n, found.clusters) == (100, 100)
    turned = frechet_difference(y, x, REFERENCE)
    assert turned.value == pytest.approx(-found.value)
    assert turned.p_value == pytest.approx(found.p_value, abs=1e-12)
    assert turned.standard_error == pytest.approx(found.standard_error)


def test_what_pairs_share_cancels():
    x, _ = pair(np.random.default_rng(1), 100)
    y = x + np.random.default_rng(2).normal(0, 0.05, x.shape)
    apart = (frechet(x, REFERENCE).standard_error ** 2 + frechet(y, REFERENCE).standard_error ** 2) ** 0.5
    assert frechet_difference(x, y, REFERENCE).standard_error < 0.3 * apart


def test_the_same_images_twice_do_not_differ():
    x, _ = pair(np.random.default_rng(1), 60)
    found = frechet_difference(x, x, REFERENCE)
    assert (found.value, found.low, found.high, found.p_value) == (0, 0, 0, 1)


def test_a_fixed_reference_is_said_to_be_one():
    x, y = pair(np.random.default_rng(3), 80)
    fixed, sampled = frechet_difference(x, y, Moments.of(REFERENCE)), frechet_difference(x, y, REFERENCE)
    assert "taken as fixed" in fixed.method
    assert "taken as fixed" not in sampled.method
    assert fixed.standard_error < sampled.standard_error
    assert fixed.p_value == sampled.p_value


@pytest.mark.parametrize(("n", "d"), [(16, 8), (10, 12)])
def test_the_permutation_test_counts_every_swap_of_the_distances_themselves(n, d):
    """All sign patterns, each with two full distances: the linearised statistic ranks them the same, but for a few."""
    rng = np.random.default_rng(n)
    n = 10
    x, y = pair(rng, n, scale=1.3, d=d)
    reference = REFERENCE[:, :d]
    signs = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    totals = []
    for sign in signs[: 2 ** (n - 1)]:  # the other half mirrors it
        swapped = np.where(sign[:, None], y, x), np.where(sign[:, None], x, y)
        totals.append(np.subtract(*(frechet_from_features(side, reference) for side in swapped)))
    exact = float((np.abs(totals) >= abs(totals[0]) - 1e-12).mean())
    found = swap_test(x, y, reference)
    assert found.exact
    assert found.p == pytest.approx(exact, abs=0.05)


@pytest.mark.parametrize(("n", "each", "d"), [(24, 1, D), (60, 5, D), (8, 1, 6)])
def test_p_values_without_a_difference_are_uniform(n, each, d):
    rng = np.random.default_rng(n)
    clusters = np.repeat(np.arange(n // each), each)
    p = [swap_test(*pair(rng, n, each=each, d=d), REFERENCE[:, :d], clusters=clusters).p for _ in range(300)]
    assert abs(np.mean(np.array(p) <= 0.05) - 0.05) < 3 * (0.05 * 0.95 / 300) ** 0.5
    assert stats.kstest(p, "uniform").pvalue > 0.001


def test_a_difference_is_found_and_its_interval_holds_it():
    rng = np.random.default_rng(5)
    big = pair(rng, 50_000, scale=1.1)
    target = Moments.of(np.maximum(rng.normal(size=(50_000, D)) @ MIX, 0))
    true = frechet_difference(*big, target).value
    found = [frechet_difference(*pair(rng, 120, scale=1.1), REFERENCE) for _ in range(60)]
    assert np.mean([f.low <= true <= f.high for f in found]) >= 0.93
    assert np.mean([f.p_value <= 0.05 for f in found]) > 0.5
    assert np.mean([f.value for f in found]) == pytest.approx(true, rel=0.15)


def test_clusters_that_answer_alike_widen_the_interval():
    rng = np.random.default_rng(6)
    x, y = (np.repeat(side, 5, axis=0) for side in pair(rng, 60))
    x, y = (side + rng.normal(0, 0.01, side.shape) for side in (x, y))
    clusters = np.repeat(np.array([f"prompt {i}" for i in range(60)]), 5)
    by_prompt, by_row = (frechet_difference(x, y, Moments.of(REFERENCE), clusters=c) for c in (clusters, None))
    assert by_prompt.clusters == 60
    assert by_prompt.standard_error == pytest.approx(5**0.5 * by_row.standard_error, rel=0.05)
    assert by_prompt.p_value > by_row.p_value


def test_same_seed_same_numbers():
    x, y = pair(np.random.default_rng(7), 60)
    assert swap_test(x, y, REFERENCE, seed=3).p == swap_test(x, y, REFERENCE, seed=3).p


@pytest.mark.parametrize(
    ("x", "y", "reference", "clusters", "why"),
    [
        ((60, 3), (61, 3), (60, 3), None, "one shape"),
        ((60, 3), (60, 3), (60, 4), None, "widths 3 and 4"),
        ((49, 3), (49, 3), (60, 3), None, "needs 50 rows"),
        ((60, 3), (60, 3), (60, 3), np.arange(59), "clusters must be of shape"),
        ((60, 3), (60, 3), (60, 3), np.zeros(60), "needs 2 clusters"),
    ],
)
def test_what_is_refused(x, y, reference, clusters, why):
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=why):
        frechet_difference(*(rng.normal(size=s) for s in (x, y, reference)), clusters=clusters)
