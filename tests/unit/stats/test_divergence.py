# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from functools import partial
from itertools import product

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from audit.stats.annotator_error import Correction
from audit.stats.divergence import (
    divergence_floor,
    entropy_floor,
    jensen_shannon,
    normalised_entropy,
    plug_in_interval,
)

PERFECT = ((10**7, 0, 0), (0, 10**7, 0), (0, 0, 10**7))


def test_entropy_is_that_of_scipy_and_one_for_equal_shares():
    shares = np.random.default_rng(0).dirichlet(np.ones(7), 20)
    assert np.allclose(normalised_entropy(shares), stats.entropy(shares, axis=1) / np.log(7))
    assert normalised_entropy(np.full(10, 0.1)) == pytest.approx(1)
    assert normalised_entropy(np.eye(4)[2]) == 0
    assert normalised_entropy(np.array([0.5, 0.5, 0, 0])) == pytest.approx(0.5)


def test_divergence_is_the_squared_distance_of_scipy_in_bits():
    rng = np.random.default_rng(1)
    for p, q in zip(rng.dirichlet(np.ones(5), 20), rng.dirichlet(np.ones(5), 20), strict=True):
        assert jensen_shannon(p, q) == pytest.approx(jensenshannon(p, q, base=2) ** 2)
        assert jensen_shannon(p, q) == pytest.approx(jensen_shannon(q, p))
    assert jensen_shannon(np.array([1.0, 0, 0]), np.array([0, 0.5, 0.5])) == pytest.approx(1)
    assert jensen_shannon(p, p) == pytest.approx(0, abs=1e-12)


def exactly(of, n):
    """Mean over all counts of n images of three equal groups."""
    counts = np.array([(a, b, n - a - b) for a, b in product(range(n + 1), repeat=2) if a + b <= n])
    return float(stats.multinomial.pmf(counts, n, [1 / 3] * 3) @ of(counts / n))


def test_floors_are_the_exact_means_where_the_instrument_does_not_err():
    third = (1 / 3,) * 3
    assert entropy_floor(24, PERFECT) == pytest.approx(exactly(normalised_entropy, 24), abs=0.003)
    expected = exactly(partial(jensen_shannon, reference=np.array(third)), 24)
    assert divergence_floor(24, third, PERFECT) == pytest.approx(expected, abs=0.001)
    # An instrument that errs scatters the shares further.
    erring = ((80, 10, 10), (10, 80, 10), (10, 10, 80))
    assert entropy_floor(24, erring) < entropy_floor(24, PERFECT)


def covered(truth, *, n, accuracy=0.92, audits=100, validation=500, seed=0):
    """Share of audits whose interval holds the truth, of the entropy and of the divergence from equal shares."""
    rng, k = np.random.default_rng(seed), len(truth)
    matrix = np.full((k, k), (1 - accuracy) / (k - 1))
    np.fill_diagonal(matrix, accuracy)
    measures = normalised_entropy, partial(jensen_shannon, reference=np.full(k, 1 / k))
    held = np.zeros(2)
    for audit in range(audits):
        counts = np.stack([rng.multinomial(validation, row) for row in matrix]).astype(float)
        correction = Correction(counts)
        found = correction.estimate(rng.multinomial(n, truth @ matrix))
        limits = found.low, found.high
        for i, of in enumerate(measures):
            low, high = plug_in_interval(of, found.shares, correction, n=n, limits=limits, seed=audit, reps=200)
            held[i] += low - 1e-9 <= of(truth) <= high + 1e-9
    return held / audits


SKEWED = np.array([0.55, 0.25, 0.12, 0.08])
EQUAL = np.full(4, 0.25)
RARE = np.array([0.96, 0.02, 0.01, 0.01])


@pytest.mark.parametrize("truth", [EQUAL, SKEWED, RARE, np.eye(4)[0], np.array([0.6, 0.4, 0, 0])])
@pytest.mark.parametrize("n", [24, 120])
def test_intervals_hold_the_truth_within_the_scale_and_at_its_ends(truth, n):
    # 100 audits have a standard error of 0.022.
    assert (covered(truth, n=n) >= 0.95 - 2 * 0.022).all()


def test_a_percentile_interval_would_miss_equal_shares():
    """What the widening is for: the plug-in entropy of a sample never reaches 1."""
    correction = Correction(np.eye(4) * 1e6)
    shares = np.array([26, 25, 25, 24]) / 100
    draws = np.random.default_rng(0).multinomial(100, shares, 2000) / 100
    assert np.quantile(normalised_entropy(draws), 0.975) < 1 - 1e-4
    assert plug_in_interval(normalised_entropy, shares, correction, n=100)[1] == 1.0
