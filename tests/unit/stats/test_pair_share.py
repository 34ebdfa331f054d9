# SPDX-License-Identifier: Apache-2.0
"""Shares of matching pairs, against counting, closed forms and simulations whose truth is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from audit.stats.collisions import collision_interval
from audit.stats.pair_share import hamming, matches_each, pairs_interval


def rows(matrix):
    """Sums over all others."""
    return matrix.sum(axis=1) - np.diagonal(matrix)


def equal(kinds):
    return rows((kinds[:, None] == kinds).astype(float))


def test_hamming_counts_bits():
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 2**64, n, dtype=np.uint64) for n in (5, 7))
    expected = [[bin(int(x) ^ int(y)).count("1") for y in b] for x in a]
    assert hamming(a, b).tolist() == expected


def test_others_within_so_many_bits_are_counted_in_blocks():
    rng = np.random.default_rng(2)
    hashes = rng.choice(rng.integers(0, 2**64, 40, dtype=np.uint64), 1500) ^ rng.integers(0, 8, 1500, dtype=np.uint64)
    bits = np.unpackbits(hashes.view(np.uint8).reshape(-1, 8), axis=1).astype(float)
    distance = bits.sum(1)[:, None] + bits.sum(1) - 2 * bits @ bits.T
    np.testing.assert_array_equal(matches_each(hashes, within=2), (distance <= 2).sum(axis=1) - 1)
    assert len(matches_each(hashes[:0], within=2)) == 0


def test_the_value_is_the_mean_over_groups_of_the_share_of_pairs():
    rng = np.random.default_rng(1)
    kinds = [rng.integers(0, 3, n) for n in (2, 5, 9)]
    shares = [np.mean([a == b for a, b in itertools.combinations(k, 2)]) for k in kinds]
    found = pairs_interval([equal(k) for k in kinds])
    assert found.value == pytest.approx(np.mean(shares))
    assert (found.n, found.clusters) == (16, 3)


@pytest.mark.parametrize("sizes", [(24,), (6, 9, 30, 12)])
def test_where_matching_is_equality_it_agrees_with_the_rate_of_collisions(sizes):
    rng = np.random.default_rng(len(sizes))
    kinds = [rng.integers(0, 4, n) for n in sizes]
    found = pairs_interval([equal(k) for k in kinds])
    other = collision_interval([np.unique(k, return_counts=True)[1] for k in kinds])
    assert (found.value, found.low, found.high) == pytest.approx((other.value, other.low, other.high))


def test_at_the_edges_the_limits_are_exact_for_the_worst_relations():
    nothing, everything = np.zeros(20), np.full(20, 19.0)
    # A share 1 - (1 - theta)^(1/2) of hubs matches everything, the rest nothing: no match among 20 has probability
    # (1 - theta)^10, which is 0.025 at this theta.
    assert pairs_interval([nothing]).high == pytest.approx(1 - 0.025**0.1)
    assert pairs_interval([everything]).low == pytest.approx(0.025**0.1)
    assert pairs_interval([nothing] * 3).high == pytest.approx(1 - 0.025 ** (1 / 30))


def near(x):
    return rows((np.abs(x[:, None] - x) < 0.1).astype(float))


def hubs(x):
    """A tenth matches everything: far from an equality."""
    return rows(((x[:, None] < 0.1) | (x < 0.1)).astype(float))


# Two uniform numbers are nearer than d with probability 2 d - d^2; one of two is a hub with 1 - 0.9^2.
@pytest.mark.parametrize(("relation", "truth"), [(near, 0.19), (hubs, 0.19)])
@pytest.mark.parametrize("m", [1, 6])
def test_intervals_hold_the_truth(relation, truth, m):
    rng, hits = np.random.default_rng(m), 0
    for _ in range(300):
        found = pairs_interval([relation(rng.random(20)) for _ in range(m)])
        hits += found.low <= truth <= found.high
    assert hits / 300 >= 0.93


def test_prompts_that_differ_are_covered():
    rng, hits = np.random.default_rng(5), 0
    for _ in range(300):
        kinds = [rng.integers(0, k, 12) for k in rng.choice([2, 4, 50], 10)]
        found = pairs_interval([equal(k) for k in kinds])
        hits += found.low <= np.mean([1 / 2, 1 / 4, 1 / 50]) <= found.high
    assert hits / 300 >= 0.92


def test_two_members_and_bad_groups():
    found = pairs_interval([np.zeros(2)])
    assert found.value == 0
    assert found.high == pytest.approx(0.975)
    for groups in ([], [np.zeros(1)], [np.zeros(4), np.zeros(1)]):
        with pytest.raises(ValueError, match="two members"):
            pairs_interval(groups)
