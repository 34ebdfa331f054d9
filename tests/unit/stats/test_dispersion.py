# SPDX-License-Identifier: Apache-2.0
"""The ratio of scatter within and between groups, against counting and simulations whose truth is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from audit.stats.dispersion import dispersion


def drawn(rng, *, m=12, n=6, d=5, within=1.0, between=1.0):
    means = rng.normal(0, between, (m, 1, d))
    return list(means + rng.normal(0, within, (m, n, d)))


def squared(a, b):
    return float(((a - b) ** 2).sum())


def test_both_parts_are_means_over_pairs():
    rng = np.random.default_rng(0)
    groups = [rng.normal(k, 1, (n, 3)) + 50 for k, n in enumerate((2, 3, 5, 4))]
    within = np.mean([np.mean([squared(a, b) for a, b in itertools.combinations(g, 2)]) for g in groups])
    pairs = itertools.combinations(groups, 2)
    between = np.mean([np.mean([squared(a, b) for a in g for b in h]) for g, h in pairs])
    found = dispersion(groups)
    assert (found.within, found.between, found.value) == pytest.approx((within, between, within / between))
    assert (found.n, found.groups) == (14, 4)
    assert found.low < found.value < found.high


@pytest.mark.parametrize(("within", "between"), [(1.0, 0.0), (1.0, 1.0), (0.3, 1.0)])
def test_intervals_hold_the_truth(within, between):
    truth = within**2 / (within**2 + between**2)
    rng, hits = np.random.default_rng(7), 0
    for _ in range(400):
        found = dispersion(drawn(rng, within=within, between=between))
        hits += found.low <= truth <= found.high
    assert hits / 400 >= 0.92


def test_neither_part_depends_on_the_number_of_members():
    rng = np.random.default_rng(3)
    found = {n: np.mean([dispersion(drawn(rng, n=n)).value for _ in range(400)]) for n in (2, 12)}
    assert found[2] == pytest.approx(found[12], rel=0.05)


def test_without_any_scatter_the_upper_limit_is_what_may_have_been_missed():
    rng = np.random.default_rng(4)
    groups = [np.repeat(rng.normal(size=(1, 4)), 6, axis=0) for _ in range(5)]
    found = dispersion(groups)
    assert (found.value, found.low) == (0, 0)
    assert found.high == pytest.approx(1 - 0.025 ** (2 / 30))


def test_too_little_to_compare():
    rng = np.random.default_rng(5)
    assert dispersion(drawn(rng, m=3)) is None
    assert dispersion([np.ones((3, 4))] * 6) is None
