# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from audit.stats._near import distances, lower_bounds, nearest
from audit.stats.neighbours import expected_coverage, neighbours

FOUR = ("precision", "recall", "density", "coverage")


def brute(x, y, k):
    """The four and the three flags from full distance matrices of sums of squared differences."""
    radius = lambda z: np.sort(cdist(z, z, "sqeuclidean") + np.diag(np.full(len(z), np.inf)), axis=1)[:, k - 1]  # noqa: E731
    between = cdist(y, x, "sqeuclidean")
    real, made = between < radius(y)[:, None], between < radius(x)[None, :]
    four = real.any(axis=0).mean(), made.any(axis=1).mean(), real.sum() / (k * len(x)), real.any(axis=1).mean()
    return four, ~real.any(axis=0), ~real.any(axis=1), ~made.any(axis=1)


def agree(x, y, k):
    found = neighbours(x, y, k=k)
    four, outside, uncovered, missed = brute(np.asarray(x, float), np.asarray(y, float), k)
    assert [getattr(found, name).value for name in FOUR] == pytest.approx(four, abs=1e-14)
    assert (found.outside == outside).all()
    assert (found.uncovered == uncovered).all()
    assert (found.missed == missed).all()
    return found


@pytest.mark.parametrize(
    ("n", "m", "d", "k"), [(12, 10, 2, 3), (300, 200, 10, 5), (900, 1300, 3, 1), (1100, 1050, 200, 5)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_full_distance_matrices(n, m, d, k, dtype):
    rng = np.random.default_rng(n)
    agree(rng.normal(0.1, 0.9, (n, d)).astype(dtype), rng.normal(size=(m, d)).astype(dtype), k)


def test_ties_and_copies():
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 4, (400, 3)).astype(float), rng.integers(0, 4, (500, 3)).astype(float)
    agree(x, y, 5)
    agree(np.repeat(x[:20], 20, axis=0), y, 5)
    agree(x, x, 3)


@pytest.mark.parametrize("offset", [0.0, 100.0])
@pytest.mark.parametrize("noise", [1e-3, 1e-5])
def test_near_copies_that_float32_cannot_tell_apart(offset, noise):
    rng = np.random.default_rng(2)
    kinds = rng.normal(size=(6, 30))
    x = kinds[rng.integers(6, size=300)] + noise * rng.normal(size=(300, 30)) + offset
    y = kinds[rng.integers(6, size=260)] + noise * rng.normal(size=(260, 30)) + offset
    agree(x, y, 4)


@pytest.mark.parametrize("scale", [1e-18, 1e20])
def test_numbers_whose_squares_float32_cannot_hold(scale):
    rng = np.random.default_rng(3)
    agree(scale * rng.normal(size=(60, 5)), scale * rng.normal(size=(50, 5)), 3)


def test_the_bounds_hold():
    rng = np.random.default_rng(4)
    x, y = rng.normal(3, 1, (1200, 64)), rng.normal(3, 2, (300, 64))
    left, right = distances(x, y)
    exact = cdist(x, y, "sqeuclidean")
    for rows, columns, low in lower_bounds(left, right):
        slack = left.slack * (left.squares[rows, None] + right.squares[columns])
        assert (low <= exact[rows, columns]).all()
        assert (exact[rows, columns] <= low + 2 * slack).all()
        assert left.dtype is np.float32


def test_nearest_rows_beyond_one_block():
    x = np.random.default_rng(5).normal(size=(2500, 6))
    found = nearest(distances(x, x)[0], 4)
    exact = np.sort(cdist(x, x, "sqeuclidean"), axis=1)[:, 1:]
    assert found.radius == pytest.approx(exact[:, 3], rel=1e-13)
    assert found.near == pytest.approx(exact[:, : found.near.shape[1]], rel=1e-3, abs=1e-4)


@pytest.mark.parametrize(("n", "m", "k"), [(60, 60, 5), (30, 90, 3), (90, 30, 1)])
def test_coverage_and_density_of_the_very_law(n, m, k):
    rng = np.random.default_rng(6)
    found = [neighbours(rng.normal(size=(n, 3)), rng.normal(size=(m, 3)), k=k) for _ in range(100)]
    for name in ("coverage", "density"):
        values = np.array([getattr(f, name).value for f in found])
        assert abs(values.mean() - getattr(found[0], name).alike) < 3.5 * values.std() / 100**0.5
    assert found[0].coverage.alike == expected_coverage(n, m, k=k)


def test_expected_coverage_in_numbers():
    assert expected_coverage(10**7, 10**7, k=5) == pytest.approx(1 - 2**-5, abs=1e-6)
    assert expected_coverage(1, 2, k=1) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("n", "m", "d", "scale", "shift"),
    [(60, 60, 4, 1, 0), (120, 120, 16, 1, 0), (100, 200, 8, 0.7, 0.3), (100, 100, 6, 1, 0.6)],
)
def test_the_intervals_cover_the_expectation_at_this_n(n, m, d, scale, shift):
    rng = np.random.default_rng(7)
    draw = lambda: neighbours(rng.normal(shift, scale, (n, d)), rng.normal(size=(m, d)))  # noqa: E731
    found = [draw() for _ in range(80)]
    for name in FOUR:
        some = [getattr(f, name) for f in found]
        values = np.array([one.value for one in some])
        assert np.mean([one.low <= values.mean() <= one.high for one in some]) >= 0.9
        error = np.mean([one.standard_error**2 for one in some]) ** 0.5
        assert 0.8 * values.std() < error < 1.7 * values.std()


def test_nothing_in_common():
    rng = np.random.default_rng(8)
    found = neighbours(rng.normal(50, 1, (100, 4)), rng.normal(size=(80, 4)))
    for name in FOUR:
        one = getattr(found, name)
        assert (one.value, one.low) == (0, 0)
        assert 0.02 < one.high < 0.08
    assert found.outside.all()
    assert found.uncovered.all()


def test_a_collapsed_generator():
    rng = np.random.default_rng(9)
    y = rng.normal(size=(200, 3))
    found = neighbours(np.repeat(y[np.abs(y).sum(axis=1).argmin()][None], 100, axis=0), y)
    assert found.precision.value == 1
    assert found.recall.value == 0
    assert found.coverage.high < 0.2 < found.coverage.alike


@pytest.mark.parametrize(
    ("x", "y", "k"), [((9, 3), (50, 3), 5), ((50, 3), (50, 4), 5), ((50, 3), (50, 3), 0), ((50, 3), (50, 3), 49)]
)
def test_wrong_shapes(x, y, k):
    with pytest.raises(ValueError, match=r"needs|must be"):
        neighbours(np.zeros(x), np.zeros(y), k=k)
