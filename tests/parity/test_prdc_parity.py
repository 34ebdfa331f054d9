# SPDX-License-Identifier: Apache-2.0
"""Precision, recall, density and coverage against the package of their authors."""

from __future__ import annotations

import numpy as np
import pytest

from audit.stats.neighbours import neighbours

prdc = pytest.importorskip("prdc")


def agree(generated, reference, k):
    found = neighbours(generated, reference, k=k)
    theirs = prdc.compute_prdc(real_features=reference, fake_features=generated, nearest_k=k)
    for name, value in theirs.items():
        assert getattr(found, name).value == pytest.approx(float(value), abs=1e-14)
    return theirs


@pytest.mark.parametrize(
    ("n", "m", "d", "k"), [(80, 70, 4, 3), (500, 700, 64, 5), (1500, 1100, 16, 5), (600, 600, 512, 1)]
)
def test_random_sets(n, m, d, k, capsys):
    rng = np.random.default_rng(n)
    agree(rng.normal(0.05, 0.95, (n, d)), rng.normal(size=(m, d)), k)


def test_ties_and_copies(capsys):
    # Whole numbers, so that their inner products are exact and ties are ties in their computation too.
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 5, (300, 4)).astype(float), rng.integers(0, 5, (400, 4)).astype(float)
    x[:40], y[50:60] = y[:40], y[:10]
    agree(x, y, 5)


def test_the_example_of_their_readme_at_a_tenth_of_its_size(capsys):
    # At n = 10,000 it prints .4772, .4705, 1.0555, .9735.
    rng = np.random.default_rng(1)
    theirs = agree(rng.normal(size=(1000, 1000)), rng.normal(size=(1000, 1000)), 5)
    assert 0.3 < theirs["precision"] < 0.7
