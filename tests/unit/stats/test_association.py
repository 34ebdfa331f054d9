# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from audit.stats.association import associations, effect_interval, effect_size, permutation


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def around(shift, n, rng, *, prompts=None, spread=0.15):
    """Unit vectors that lean by ``shift`` along the second axis; prompts differ by a normal effect of their own."""
    labels = np.arange(n) if prompts is None else np.repeat(np.arange(prompts), n // prompts)
    effect = np.zeros((n, 12)) if prompts is None else spread * rng.normal(size=(prompts, 12))[labels]
    middle = np.zeros(12)
    middle[:2] = 1.0, shift
    return unit(middle + effect + 0.3 * rng.normal(size=(n, 12))), labels


def test_associations_by_brute_force():
    rng = np.random.default_rng(0)
    w, a, b = (unit(rng.normal(size=(n, 5))) for n in (4, 3, 6))
    expected = [np.mean([v @ u for u in a]) - np.mean([v @ u for u in b]) for v in w]
    assert associations(w, a, b) == pytest.approx(expected)


@pytest.mark.parametrize(("k", "m"), [(5, 5), (3, 8), (7, 2)])
def test_every_partition_is_counted(k, m):
    values = np.random.default_rng(k).normal(size=k + m)
    x, y = values[:k], values[k:]
    gaps = []
    for chosen in combinations(range(k + m), k):
        rest = [i for i in range(k + m) if i not in chosen]
        gaps.append(values[list(chosen)].mean() - values[rest].mean())
    observed = x.mean() - y.mean()
    found = permutation(x, y)
    assert found.greater == pytest.approx(np.mean([g >= observed - 1e-12 for g in gaps]))
    assert found.either == pytest.approx(np.mean([abs(g) >= abs(observed) - 1e-12 for g in gaps]))
    assert found.difference == pytest.approx(np.mean(np.abs(gaps)))


def test_it_is_scipys_permutation_test():
    rng = np.random.default_rng(1)
    x, y = rng.normal(0.5, 1, 6), rng.normal(0, 1, 9)

    def gap(a, b, axis):
        return a.mean(axis=axis) - b.mean(axis=axis)

    expected = stats.permutation_test((x, y), gap, n_resamples=np.inf, alternative="greater", vectorized=True)
    assert permutation(x, y).greater == pytest.approx(expected.pvalue)


def test_sampled_partitions_are_valid_repeat_and_are_never_zero():
    rng = np.random.default_rng(2)
    x, y = rng.normal(0.4, 1, 60), rng.normal(0, 1, 40)
    found = permutation(x, y, seed=3)
    assert not found.exact
    assert found == permutation(x, y, seed=3)
    expected = stats.ttest_ind(x, y, alternative="greater").pvalue  # close to it for normal values
    assert found.greater == pytest.approx(expected, abs=0.015)
    assert permutation(x + 9, y).greater == 1 / 10_000


def test_alike_is_no_effect():
    assert effect_size(np.ones(4), np.ones(5)) == 0.0
    assert permutation(np.ones(4), np.ones(5)).greater == 1.0


@pytest.mark.parametrize(("shift", "prompts", "n"), [(0.1, None, 24), (0.4, None, 24), (0.1, 8, 48), (2.0, 4, 32)])
def test_the_effect_of_all_images_there_are_is_covered(shift, prompts, n):
    rng, held = np.random.default_rng(4), 0

    def sets(n, prompts):
        return [around(s, n, rng, prompts=prompts) for s in (shift, -shift, 0.6, -0.6)]

    whole = [vectors for vectors, _ in sets(20_000, None if prompts is None else 20_000)]
    s = associations(np.concatenate(whole[:2]), *whole[2:])
    truth = effect_size(s[:20_000], s[20_000:])
    for _ in range(250):
        drawn = sets(n, prompts)
        found = effect_interval(tuple(v for v, _ in drawn), tuple(labels for _, labels in drawn))
        held += found.low <= truth <= found.high
    assert held / 250 >= 0.92


def test_many_units_are_left_out_in_groups():
    rng = np.random.default_rng(5)
    drawn = [around(s, 200, rng) for s in (0.2, -0.2, 0.6, -0.6)]
    found = effect_interval(tuple(v for v, _ in drawn), tuple(labels for _, labels in drawn))
    assert found.units == 800
    assert found.low < found.value < found.high
