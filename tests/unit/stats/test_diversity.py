# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import special

from audit.stats.diversity import (
    Diversity,
    copies_limit,
    diversity,
    mean_over_prompts,
    pairwise_distance,
    vendi,
    vendi_score,
)


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


@pytest.mark.parametrize("order", [0, 0.5, 1, 2, 3, np.inf])
def test_every_order_counts_kinds_at_right_angles(order):
    assert vendi(np.repeat(np.eye(3), 4, axis=0), order=order) == pytest.approx(3.0)
    assert vendi(np.eye(7), order=order) == pytest.approx(7.0)


def test_orders_of_uneven_kinds_are_those_of_their_shares():
    share = np.array([0.6, 0.3, 0.1])
    x = np.repeat(np.eye(5)[:3], [6, 3, 1], axis=0)
    assert vendi(x, order=0) == pytest.approx(3)
    assert vendi(x, order=1) == pytest.approx(np.exp(-(share * np.log(share)).sum()))
    assert vendi(x, order=2) == pytest.approx(1 / (share**2).sum())
    assert vendi(x, order=np.inf) == pytest.approx(1 / 0.6)


def factor(kernel):
    values, vectors = np.linalg.eigh(kernel)
    return vectors * np.sqrt(np.maximum(values, 0))


def test_the_examples_of_the_authors():
    alike = np.array([[1, 0.9, 0], [0.9, 1, 0], [0, 0, 1.0]])
    points = np.array([0, 0, 10, 10, 20, 20.0])
    assert vendi(factor(alike)) == pytest.approx(2.1573, abs=5e-5)
    assert 2.9999 < vendi(factor(np.exp(-np.abs(points[:, None] - points)))) < 3  # printed as 2.9999


@pytest.mark.parametrize(("n", "d"), [(30, 8), (20, 40)])
def test_the_smaller_matrix_and_the_jackknife_written_out(n, d):
    x = np.random.default_rng(6).normal(size=(n, d))
    score = lambda rows: np.exp(special.entr(np.maximum(np.linalg.eigvalsh(rows @ rows.T / len(rows)), 0)).sum())  # noqa: E731
    left = np.log([score(np.delete(unit(x), np.s_[g::5], axis=0)) for g in range(5)])
    found = vendi_score(x, groups=5)
    assert found.value == pytest.approx(score(unit(x)))
    assert found.standard_error == pytest.approx(found.value * (4 * np.var(left)) ** 0.5)
    assert (found.n, found.dimension) == (n, d)


@pytest.mark.parametrize(("n", "order"), [(40, 1), (200, 2), (200, 0.5), (200, 1), (200, np.inf)])
def test_the_interval_covers_the_expectation_at_this_n(n, order):
    rng = np.random.default_rng(7)
    found = [vendi_score(two_kinds(n, rng), order=order) for _ in range(150)]
    expectation = np.mean([f.value for f in found])
    assert np.mean([f.low <= expectation <= f.high for f in found]) >= 0.91


def test_what_a_vendi_score_cannot_be_of():
    with pytest.raises(ValueError, match="at least 20"):
        vendi_score(np.ones((19, 3)))
    with pytest.raises(ValueError, match="direction"):
        vendi_score(np.zeros((30, 3)))
    with pytest.raises(ValueError, match="order"):
        vendi_score(np.ones((30, 3)), order=-1)
