# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

import audit.stats.kernel_distance as module
from audit.stats.kernel_distance import kernel_distance, kernel_distance_subsets


def kernel(a, b):
    return (a @ b.T / a.shape[1] + 1) ** 3


def brute(x, y):
    """U-statistic and V-statistic written out."""
    n, m = len(x), len(y)
    xx, yy, xy = kernel(x, x), kernel(y, y), kernel(x, y)
    off = lambda k: (k.sum() - np.trace(k)) / (len(k) * (len(k) - 1))  # noqa: E731
    return off(xx) + off(yy) - 2 * xy.sum() / (n * m), xx.mean() + yy.mean() - 2 * xy.mean()


def population(d, *, steep=0, size=400):
    """Vectors to draw from with replacement, so that the true distance is a finite sum."""
    rng = np.random.default_rng(d + steep)
    return np.maximum(rng.normal(size=(size, d)) * np.arange(1.0, d + 1) ** (-steep / 2), 0)


@pytest.mark.parametrize(("n", "m", "d"), [(5, 7, 3), (50, 20, 8), (130, 300, 17)])
def test_all_pairs_written_out(n, m, d):
    rng = np.random.default_rng(n)
    x, y = rng.normal(0.3, 1, (n, d)), rng.normal(size=(m, d))
    found = kernel_distance(x, y)
    assert (found.value, found.raw) == pytest.approx(brute(x, y), rel=1e-10)
    without = [brute(np.delete(x, i, axis=0), y)[0] for i in range(n)]
    assert found.influence == pytest.approx(brute(x, y)[0] - np.array(without), rel=1e-7, abs=1e-12)
    assert (found.n, found.m, found.dimension) == (n, m, d)


def test_more_rows_than_a_block_and_float32_products():
    rng = np.random.default_rng(1)
    x, y = rng.normal(0.02, 1, (1500, 40)).astype(np.float32), rng.normal(size=(2100, 40)).astype(np.float32)
    found = kernel_distance(x, y)
    expected = brute(x.astype(np.float64), y.astype(np.float64))
    assert (found.value, found.raw) == pytest.approx(expected, rel=1e-6)


def test_a_large_common_mean_costs_no_digits(monkeypatch):
    rng = np.random.default_rng(2)
    x, y = rng.normal(4.02, 1, (1100, 32)), rng.normal(4, 1, (1100, 32))
    found = kernel_distance(x, y)
    monkeypatch.setattr(module, "_MANY", 10**9)
    exact = kernel_distance(x, y)
    assert exact.value == pytest.approx(brute(x, y)[0], rel=1e-9)
    assert found.value == pytest.approx(exact.value, rel=1e-6)
    assert found.standard_error == pytest.approx(exact.standard_error, rel=1e-6)
    naive = x.astype(np.float32), y.astype(np.float32)
    assert abs(brute(*naive)[0] - exact.value) > 10 * abs(found.value - exact.value)


def test_the_expectation_does_not_depend_on_n_and_the_v_statistic_is_too_large():
    rng, rows = np.random.default_rng(3), population(8)
    found = {n: [kernel_distance(rows[rng.integers(400, size=n)], rows[rng.integers(400, size=n)]) for _ in range(300)]
             for n in (10, 40)}  # fmt: skip
    for n, some in found.items():
        values = np.array([f.value for f in some])
        assert abs(values.mean()) < 3 * values.std() / 300**0.5
        own = np.einsum("nd,nd->n", rows, rows) / 8
        excess = 2 * ((own + 1) ** 3 - kernel(rows, rows).mean(axis=1)).mean() / n
        assert np.mean([f.raw for f in some]) == pytest.approx(excess, rel=0.15)


@pytest.mark.parametrize(("d", "steep"), [(8, 0), (32, 2)])
@pytest.mark.parametrize("shift", [0.0, 0.1, 0.5])
@pytest.mark.parametrize(("n", "m"), [(50, 50), (50, 300)])
def test_the_interval_covers_also_where_both_laws_are_one(d, steep, shift, n, m):
    rng, rows = np.random.default_rng(4), population(d, steep=steep)
    other = rows + shift * np.mean(np.arange(1.0, d + 1) ** (-steep / 2))
    true = brute(other, rows)[1]
    found = [kernel_distance(other[rng.integers(400, size=n)], rows[rng.integers(400, size=m)]) for _ in range(200)]
    held = np.mean([f.low <= true + 1e-12 and true <= f.high for f in found])
    assert held >= 0.92
    errors = np.mean([f.standard_error**2 for f in found]) ** 0.5
    spread = np.std([f.value for f in found])
    assert 0.85 * spread < errors < 1.6 * spread


def test_copies_of_one_vector_on_both_sides():
    x = np.ones((20, 3))
    found = kernel_distance(x, x)
    assert (found.value, found.low, found.high, found.standard_error) == pytest.approx((0, 0, 0, 0), abs=1e-12)


def test_subsets_in_one_pass_are_those_taken_one_by_one():
    rng = np.random.default_rng(5)
    x, y = rng.normal(0.1, 1, (90, 6)), rng.normal(size=(120, 6))
    many, few = kernel_distance_subsets(x, y, subsets=60, size=50), kernel_distance_subsets(x, y, subsets=2, size=50)
    draw = np.random.default_rng(0)
    expected = [brute(x[draw.permutation(90)[:50]], y[draw.permutation(120)[:50]])[0] for _ in range(60)]
    assert many.values == pytest.approx(expected)
    assert few.values == pytest.approx(expected[:2])
    assert (many.mean, many.spread) == pytest.approx((np.mean(expected), np.std(expected)))


def test_the_spread_of_subsets_is_no_standard_error():
    rng, rows = np.random.default_rng(6), population(8)
    drawn = [(rows[rng.integers(400, size=200)] + 0.2, rows[rng.integers(400, size=200)]) for _ in range(40)]
    found = [kernel_distance_subsets(x, y, subsets=40, size=50) for x, y in drawn]
    assert np.mean([f.spread for f in found]) > 1.4 * np.std([f.mean for f in found])
    error = np.mean([kernel_distance(x, y).standard_error for x, y in drawn])
    assert error == pytest.approx(np.std([kernel_distance(x, y).value for x, y in drawn]), rel=0.25)


@pytest.mark.parametrize(("x", "y"), [((4, 3), (50, 3)), ((50, 3), (50, 4)), ((50,), (50, 3))])
def test_wrong_shapes(x, y):
    with pytest.raises(ValueError, match=r"needs|must be"):
        kernel_distance(np.zeros(x), np.zeros(y))


def test_numbers_that_are_not_finite():
    x = np.zeros((10, 3))
    x[4, 1] = np.nan
    with pytest.raises(ValueError, match="finite"):
        kernel_distance(x, np.zeros((10, 3)))
