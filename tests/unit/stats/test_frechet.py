# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from audit.stats.frechet import Moments, frechet, frechet_from_features, frechet_from_moments


def gaussian(mean, covariance):
    return Moments(2, np.asarray(mean, dtype=float), np.asarray(covariance, dtype=float))


def test_shifted_identity():
    d = 256
    assert frechet_from_moments(gaussian(np.zeros(d), np.eye(d)), gaussian(np.ones(d), np.eye(d))) == pytest.approx(d)


def test_commuting_covariances():
    a, b = np.linspace(0.1, 2, 64), np.linspace(2, 0.5, 64)
    found = frechet_from_moments(gaussian(np.zeros(64), np.diag(a)), gaussian(np.full(64, 0.3), np.diag(b)))
    assert found == pytest.approx(22.76298657003766, abs=1e-11)
    assert found == pytest.approx(((np.sqrt(a) - np.sqrt(b)) ** 2).sum() + 64 * 0.09)


def test_two_by_two():
    a, b = np.array([[1, 0.5], [0.5, 2]]), np.array([[2, -0.3], [-0.3, 1]])
    found = frechet_from_moments(gaussian([0, 0], a), gaussian([0, 0], b))
    assert found == pytest.approx(0.5754258933050069, abs=1e-13)


def test_scaled_copy():
    a = np.diag(np.linspace(0.1, 2, 64))
    found = frechet_from_moments(gaussian(np.zeros(64), a), gaussian(np.zeros(64), 2.25 * a))
    assert found == pytest.approx(0.25 * np.trace(a))
    assert found == pytest.approx(16.8)


def test_merged_moments_are_those_of_all_rows():
    x = np.random.default_rng(0).normal(5, 2, (50, 7))
    merged = Moments.of(x[:13]).merge(Moments.of(x[13:]))
    assert merged.n == 50
    assert merged.mean == pytest.approx(x.mean(axis=0))
    assert merged.covariance == pytest.approx(np.cov(x.T))


@pytest.mark.parametrize(("n", "m"), [(5, 40), (40, 5), (12, 9), (16, 300), (20, 16)])
def test_the_small_eigenproblem_gives_the_same_distance(n, m):
    rng = np.random.default_rng(n)
    x, y = rng.normal(size=(n, 16)), rng.normal(0.2, 1.5, (m, 16))
    plain = frechet_from_moments(Moments.of(x), Moments.of(y))
    assert frechet_from_features(x, y) == pytest.approx(plain, abs=1e-5)


def test_identical_sets_smaller_than_their_dimension():
    x = np.maximum(np.random.default_rng(1).normal(size=(30, 100)), 0)
    assert frechet_from_features(x, x) == pytest.approx(0.0, abs=1e-6)


def test_jackknife_removes_the_bias_and_its_interval_covers():
    rng = np.random.default_rng(2)
    d, reps = 16, 200
    root_x, root_y = (rng.normal(size=(d, d)) / 4 for _ in range(2))
    true = frechet_from_moments(gaussian(np.zeros(d), root_x @ root_x.T), gaussian(np.full(d, 0.1), root_y @ root_y.T))
    found = [
        frechet(rng.normal(size=(60, d)) @ root_x.T, rng.normal(size=(400, d)) @ root_y.T + 0.1) for _ in range(reps)
    ]
    values, raw = np.array([f.value for f in found]), np.array([f.raw for f in found])
    assert raw.mean() - true > 20 * abs(values.mean() - true)
    assert np.mean([f.low <= true <= f.high for f in found]) >= 0.93
    assert np.mean([f.standard_error for f in found]) == pytest.approx(values.std(), rel=0.4)


@pytest.mark.slow
@pytest.mark.parametrize("steepness", [0, 1, 2])
@pytest.mark.parametrize("n", [40, 48, 64])
def test_the_interval_covers_with_hardly_more_vectors_than_dimensions(n, steepness):
    rng = np.random.default_rng(10 * n + steepness)
    d = 32
    root = np.diag(np.arange(1.0, d + 1) ** -steepness) ** 0.5
    other = root @ (np.eye(d) + 0.3 * rng.normal(size=(d, d)) / d**0.5)
    true = frechet_from_moments(gaussian(np.zeros(d), root @ root.T), gaussian(np.zeros(d), other @ other.T))
    hit = 0
    for _ in range(60):
        found = frechet(rng.normal(size=(n, d)) @ other.T, rng.normal(size=(500, d)) @ root.T)
        hit += found.low <= true <= found.high
    assert hit / 60 >= 0.9


def test_small_sets_take_the_other_path_to_the_same_numbers(monkeypatch):
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(40, 32)), rng.normal(0.3, 1, (200, 32))
    small = frechet(x, y)
    import audit.stats.frechet as module

    monkeypatch.setattr(
        module, "frechet_from_features", lambda a, b: frechet_from_moments(Moments.of(a), Moments.of(b))
    )
    assert small.value == pytest.approx(frechet(x, y).value, abs=1e-2)


@pytest.mark.parametrize(("x", "y"), [((19, 3), (50, 3)), ((50, 3), (50, 4)), ((50,), (50, 3))])
def test_wrong_shapes(x, y):
    with pytest.raises(ValueError, match=r"needs|must be"):
        frechet(np.zeros(x), np.zeros(y))
