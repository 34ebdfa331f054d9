# SPDX-License-Identifier: Apache-2.0
"""Kernels and neighbours against scikit-learn's, and why images are not drawn again for an interval."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics.pairwise import polynomial_kernel, rbf_kernel
from sklearn.neighbors import NearestNeighbors

from audit.stats.cmmd import cmmd_all_pairs
from audit.stats.frechet import frechet_from_features
from audit.stats.kernel_distance import kernel_distance
from audit.stats.neighbours import neighbours


@pytest.fixture(scope="module")
def sets():
    rng = np.random.default_rng(11)
    return rng.normal(0.3, 1, (120, 24)), rng.normal(0, 1, (150, 24))


def mmd(kernel, x, y):
    """Unbiased and biased squared discrepancy from whole matrices."""
    a, b, c = kernel(x, x), kernel(y, y), kernel(x, y)
    n, m = len(x), len(y)
    within = (a.sum() - np.trace(a)) / (n * (n - 1)) + (b.sum() - np.trace(b)) / (m * (m - 1))
    return within - 2 * c.mean(), a.mean() + b.mean() - 2 * c.mean()


def test_kernel_distance_is_that_of_the_polynomial_kernel(sets):
    found = kernel_distance(*sets)
    expected = mmd(lambda a, b: polynomial_kernel(a, b, degree=3, gamma=1 / 24, coef0=1), *sets)
    assert (found.value, found.raw) == pytest.approx(expected, rel=1e-6)


def test_cmmd_is_that_of_the_gaussian_kernel_on_unit_vectors(sets):
    found = cmmd_all_pairs(*sets)
    unit = [part / np.linalg.norm(part, axis=1, keepdims=True) for part in sets]
    expected = mmd(lambda a, b: 1000 * rbf_kernel(a, b, gamma=1 / 200), *unit)
    assert (found.value, found.raw) == pytest.approx(expected, rel=1e-6)


def test_precision_and_coverage_are_those_of_its_nearest_neighbours(sets):
    generated, reference = sets
    tree = NearestNeighbors(n_neighbors=6).fit(reference)  # the first is the row itself
    radius = tree.kneighbors(reference)[0][:, -1]
    apart = np.linalg.norm(generated[:, None] - reference[None], axis=2)
    found = neighbours(generated, reference, k=5)
    assert found.precision.value == pytest.approx((apart < radius).any(axis=1).mean(), rel=1e-12)
    assert found.coverage.value == pytest.approx((apart < radius).any(axis=0).mean(), rel=1e-12)


def test_a_bootstrap_of_the_frechet_distance_does_not_contain_it():
    rng = np.random.default_rng(12)
    x, y = rng.normal(0.1, 1, (150, 64)), rng.normal(0, 1, (2000, 64))
    drawn = [frechet_from_features(x[rng.integers(0, 150, 150)], y) for _ in range(60)]
    assert min(drawn) > frechet_from_features(x, y)
