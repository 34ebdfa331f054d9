# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from audit.stats.diversity import Diversity, copies_limit, diversity, mean_over_prompts, pairwise_distance, vendi


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def two_kinds(n, rng):
    """Images of two kinds and their noise: what is drawn is known, so its expectation can be simulated."""
    kind = (rng.random(n) < 0.3).astype(int)
    return unit(np.eye(16)[kind] + 0.15 * rng.normal(size=(n, 16)))


def test_images_at_right_angles_and_copies():
    assert vendi(np.eye(7)) == pytest.approx(7.0)
    assert vendi(unit(np.ones((9, 4)))) == pytest.approx(1.0)
    assert vendi(np.repeat(np.eye(3), 4, axis=0)) == pytest.approx(3.0)


def test_two_vectors_at_an_angle():
    # eigenvalues of [[1, c], [c, 1]] / 2 are (1 + c) / 2 and (1 - c) / 2
    c = 0.6
    expected = np.exp(-(0.8 * np.log(0.8) + 0.2 * np.log(0.2)))
    assert vendi(np.array([[1.0, 0.0], [c, 0.8]])) == pytest.approx(expected)


def test_subsets_of_orthonormal_vectors_and_of_copies():
    assert diversity(np.eye(20)).value == pytest.approx(8.0)
    found = diversity(unit(np.ones((20, 4))))
    assert (found.value, found.variance) == (pytest.approx(1.0), pytest.approx(0.0, abs=1e-18))


def test_the_mean_over_subsets_does_not_depend_on_n():
    rng = np.random.default_rng(0)
    few = np.mean([diversity(two_kinds(12, rng), seed=i).value for i in range(150)])
    many = np.mean([diversity(two_kinds(60, rng), seed=i).value for i in range(60)])
    whole = np.mean([vendi(two_kinds(12, rng)) for _ in range(300)]), vendi(two_kinds(400, rng))
    assert few == pytest.approx(many, rel=0.02)
    assert whole[1] > 1.15 * whole[0]  # the score of all images does


def test_drawn_subsets_come_near_all_of_them():
    vectors = two_kinds(11, np.random.default_rng(1))
    every = np.mean([vendi(vectors[list(c)]) for c in combinations(range(11), 8)])
    assert diversity(vectors).value == pytest.approx(every, rel=0.01)
    assert diversity(vectors) == diversity(vectors)


def test_pairwise_distance_by_brute_force():
    vectors = two_kinds(9, np.random.default_rng(2))

    def mean(rows):
        return np.mean([1 - vectors[i] @ vectors[j] for i, j in combinations(rows, 2)])

    left = [mean([j for j in range(9) if j != i]) for i in range(9)]
    found = pairwise_distance(vectors)
    assert found.value == pytest.approx(mean(range(9)))
    assert found.variance == pytest.approx(8 / 9 * np.sum((np.array(left) - np.mean(left)) ** 2))


@pytest.mark.parametrize(("n", "prompts", "runs"), [(24, 1, 250), (24, 6, 60), (120, 1, 150)])
def test_the_truth_is_covered(n, prompts, runs):
    rng = np.random.default_rng(3)
    truth = float(vendi(two_kinds(8 * 20_000, rng).reshape(20_000, 8, 16)).mean())
    held = 0
    for run in range(runs):
        found = mean_over_prompts([diversity(two_kinds(n, rng), seed=run) for _ in range(prompts)])
        held += found.low <= truth <= found.high
    assert held / runs >= 0.92


def test_a_mean_of_prompts_is_welch_and_satterthwaites():
    from scipy import stats

    a, b = np.random.default_rng(4).normal(size=(2, 12))
    parts = [Diversity(float(x.mean()), float(x.var(ddof=1) / 12), 12, 11) for x in (a, -b)]
    expected = stats.ttest_ind(a, b, equal_var=False).confidence_interval()
    found = mean_over_prompts(parts)
    assert (2 * found.low, 2 * found.high) == pytest.approx((expected.low, expected.high))
    assert found.n == 24


def test_copies_leave_room_for_rare_images():
    rng, share = np.random.default_rng(5), 1 - 0.025 ** (1 / 24)
    drawn = []
    for _ in range(3000):
        odd = int(rng.binomial(8, share))
        drawn.append(float(vendi(np.vstack([np.eye(9)[np.zeros(8 - odd, int)], np.eye(9)[1 : odd + 1]]))))
    assert copies_limit(24) == pytest.approx(np.mean(drawn), rel=0.02)
    assert copies_limit(10_000) < 1.01
