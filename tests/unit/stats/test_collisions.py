# SPDX-License-Identifier: Apache-2.0
"""The rate at which pictures repeat, against closed forms and against simulations whose truth is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from audit.stats.collisions import collision_interval, collision_rate, effective_size


def drawn(rng, p, n):
    return np.unique(rng.choice(len(p), size=n, p=p), return_counts=True)[1]


def atom(a, rare=3000):
    """One frequent picture and a host of rare ones."""
    return np.r_[a, np.full(rare, (1 - a) / rare)]


@given(st.lists(st.integers(0, 3), min_size=2, max_size=9))
def test_the_rate_is_the_share_of_pairs_that_agree(pictures):
    counts = np.unique(pictures, return_counts=True)[1]
    pairs = [a == b for a, b in itertools.combinations(pictures, 2)]
    assert collision_rate(counts) == pytest.approx(np.mean(pairs))


@pytest.mark.parametrize("k", [2, 5, 50])
def test_k_equally_likely_pictures_collide_once_in_k(k):
    rng = np.random.default_rng(k)
    rates = [collision_rate(drawn(rng, np.full(k, 1 / k), 6)) for _ in range(4000)]
    assert np.mean(rates) == pytest.approx(1 / k, abs=4 * np.std(rates) / 4000**0.5)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=6))
def test_effective_size_is_n_over_the_design_effect(counts):
    counts = np.array(counts)
    n = int(counts.sum())
    if n > 1:
        assert effective_size(counts) == pytest.approx(n / (1 + (n - 1) * collision_rate(counts)))
    assert 1 <= effective_size(counts) <= n


def test_the_mean_of_effective_size_pictures_scatters_as_much():
    rng = np.random.default_rng(0)
    counts = np.array([5, 3, 1, 1, 1, 1])
    means = (
        rng.normal(size=(20_000, len(counts))) @ counts
    ) / counts.sum()  # each picture has a score, copies share it
    assert 1 / means.var() == pytest.approx(effective_size(counts), rel=0.04)


def test_nothing_repeats():
    one = collision_interval([np.ones(24, int)])
    assert (one.value, one.low) == (0.0, 0.0)
    assert stats.binom.cdf(1, 24, one.high**0.5) == pytest.approx(0.025)
    eight = collision_interval([np.ones(24, int)] * 8)
    # All of it may come from one prompt, which alone would have to lie below the limit of one.
    assert eight.high == pytest.approx(one.high / 8)
    pairs = collision_interval([np.ones(2, int)] * 40)  # one pair a prompt: forty independent answers
    assert pairs.high >= 1 - 0.025 ** (1 / 40)
    assert pairs.high < 0.1
    lone = collision_interval([*[np.ones(24, int)] * 7, np.ones(2, int)])
    assert one.high / 8 < lone.high < 1 / 8 + one.high / 8


def test_nothing_but_repeats():
    one = collision_interval([np.array([24])])
    assert (one.value, one.high) == (1.0, 1.0)
    assert one.low ** (24 / 2) == pytest.approx(0.025)  # theta^(n/2) is the probability of n times the same
    assert collision_interval([np.array([24])] * 8).low == pytest.approx(0.025 ** (2 / 192))


@pytest.mark.parametrize(
    ("prompts", "n", "p", "least"),
    [
        (1, 24, np.full(2, 0.5), 0.93),
        (1, 24, np.full(50, 0.02), 0.93),
        (1, 6, atom(0.5), 0.93),
        (8, 4, np.full(5, 0.2), 0.93),
        (8, 24, np.full(500, 0.002), 0.93),
        (8, 24, atom(0.1), 0.78),  # the hardest: repeats that are rare and come in clumps
        (40, 6, np.full(50, 0.02), 0.93),
        (40, 2, np.full(5, 0.2), 0.9),
    ],
)
def test_the_interval_holds_the_truth(prompts, n, p, least):
    rng, theta = np.random.default_rng(5), float(p @ p)
    found = [collision_interval([drawn(rng, p, n) for _ in range(prompts)]) for _ in range(200)]
    assert all(i.low <= i.value <= i.high for i in found)
    assert np.mean([i.low <= theta <= i.high for i in found]) >= least


def test_pairs_are_needed():
    with pytest.raises(ValueError, match="two images, got 1"):
        collision_interval([np.ones(1, int)])
    with pytest.raises(ValueError, match="no prompt"):
        collision_interval([])
    assert effective_size(np.array([], int)) == 0.0
    two = collision_interval([np.ones(2, int)])  # one pair: nearly anything is possible
    assert two.high == pytest.approx(0.975)
