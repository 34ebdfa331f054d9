# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from audit.stats.cmmd import UnitMoments, cmmd, cmmd_all_pairs, cmmd_from_groups


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def embeddings(n, d=48, *, seed, tilt=0.0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) + 1.0 + tilt * np.arange(d) / d


def published(x, y, dtype):
    """The published formula: three Gram matrices of unit embeddings, sigma = 10, times 1000."""
    x, y = unit(x).astype(dtype), unit(y).astype(dtype)
    gamma = dtype(1 / (2 * 10**2))

    def mean(a, b):
        squares = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1)
        return np.exp(-gamma * (squares - 2 * (a @ b.T))).mean()

    return float(dtype(1000) * (mean(x, x) + mean(y, y) - 2 * mean(x, y)))


@pytest.mark.parametrize(("n", "m"), [(30, 80), (1100, 1200)])
def test_all_pairs_are_the_published_formula_in_float64(n, m):
    x, y = embeddings(n, seed=1, tilt=0.2), embeddings(m, seed=2)
    assert cmmd_all_pairs(x, y).raw == pytest.approx(published(x, y, np.float64), rel=1e-6)


@pytest.mark.parametrize("tilt", [0.0, 0.3, 3.0])
def test_the_series_is_within_its_bound_below(tilt):
    x, y = embeddings(200, seed=3, tilt=tilt), embeddings(150, seed=4)
    found, exact = cmmd(x, y), published(x, y, np.float64)
    assert found.value <= exact + 1e-9
    assert exact <= found.value + found.remainder
    assert found.remainder < 7e-4
    assert found.corrected == pytest.approx(cmmd_all_pairs(x, y).value, abs=1e-4)


def test_float32_loses_digits_that_matter_between_near_sets():
    x, y = embeddings(3000, 64, seed=5, tilt=0.01), embeddings(3000, 64, seed=6)
    exact = published(x, y, np.float64)
    theirs = abs(published(x, y, np.float32) - exact)
    assert theirs > 1e-3 * exact
    assert abs(cmmd(x, y).value - exact) < theirs / 10
    assert cmmd_all_pairs(x, y).raw == pytest.approx(exact, rel=1e-6)


def test_moments_merge_over_batches():
    x = embeddings(100, seed=7)
    merged = UnitMoments.of(x[:30]).merge(UnitMoments.of(x[30:95])).merge(UnitMoments.of(x[95:]))
    assert merged.n == 100
    assert merged.mean == pytest.approx(unit(x).mean(axis=0))
    assert merged.second == pytest.approx(unit(x).T @ unit(x) / 100)
    left = merged.without(UnitMoments.of(x[:30]))
    assert left.second == pytest.approx(UnitMoments.of(x[30:]).second)


def test_groups_that_stream_in_give_the_same_estimate():
    x, y = embeddings(200, seed=8, tilt=0.3), embeddings(300, seed=9)
    parts = [[UnitMoments.of(side[g::10]) for g in range(10)] for side in (x, y)]
    assert cmmd_from_groups(*parts) == cmmd(x, y)
    with pytest.raises(ValueError, match="2 groups"):
        cmmd_from_groups(parts[0][:1], parts[1])


@pytest.mark.parametrize("tilt", [0.0, 0.1, 0.5])
def test_the_intervals_cover_and_the_published_figure_does_not_reach(tilt):
    rng = np.random.default_rng(10)
    rows = embeddings(300, 16, seed=11)
    other = rows + tilt * np.arange(16) / 16
    true = published(other, rows, np.float64)
    drawn = [(other[rng.integers(300, size=80)], rows[rng.integers(300, size=120)]) for _ in range(150)]
    series, pairs = [cmmd(*pair) for pair in drawn], [cmmd_all_pairs(*pair) for pair in drawn]
    assert np.mean([f.low <= true <= f.high for f in series]) >= 0.93
    assert np.mean([f.low <= true + 1e-12 and true <= f.high for f in pairs]) >= 0.93
    alike = [float(unit(side).mean(axis=0) @ unit(side).mean(axis=0)) for side in (other, rows)]
    excess = 1000 * 0.01 * np.exp(-0.01) * ((1 - alike[0]) / 80 + (1 - alike[1]) / 120)
    assert np.mean([f.raw for f in pairs]) - np.mean([f.value for f in pairs]) == pytest.approx(excess, rel=0.05)


def test_length_does_not_matter_and_none_is_refused():
    x, y = embeddings(60, seed=12), embeddings(60, seed=13)
    scaled = x * np.random.default_rng(0).uniform(0.1, 9, (60, 1))
    assert cmmd(scaled, y).value == pytest.approx(cmmd(x, y).value)
    x[3] = 0
    for measure in (cmmd, cmmd_all_pairs):
        with pytest.raises(ValueError, match="direction"):
            measure(x, y)


def test_wrong_shapes():
    with pytest.raises(ValueError, match="needs 20"):
        cmmd(np.ones((19, 3)), np.ones((50, 3)))
    with pytest.raises(ValueError, match="must be"):
        cmmd(np.ones((50, 3)), np.ones((50, 4)))
