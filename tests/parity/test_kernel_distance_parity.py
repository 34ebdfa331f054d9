# SPDX-License-Identifier: Apache-2.0
"""Kernel distances against torchmetrics, all rows and subset by subset."""

from __future__ import annotations

import numpy as np
import pytest

from audit.stats.kernel_distance import kernel_distance, kernel_distance_subsets

torch = pytest.importorskip("torch")


def theirs(x, y):
    from torchmetrics.image.kid import poly_mmd

    return float(poly_mmd(torch.from_numpy(y), torch.from_numpy(x)))


def features(n, *, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    return np.maximum(rng.normal(size=(n, 48)) + shift, 0)


@pytest.mark.parametrize("n", [30, 400])
def test_torchmetrics_all_rows(n):
    x, y = features(n, seed=1, shift=0.1), features(n, seed=2)
    assert kernel_distance(x, y).value == pytest.approx(theirs(x, y), rel=1e-9)


def test_torchmetrics_over_subsets():
    x, y = features(1500, seed=3, shift=0.05), features(1200, seed=4)
    found = kernel_distance_subsets(x, y, subsets=8, size=500, seed=7)
    rng = np.random.default_rng(7)
    expected = [theirs(x[rng.permutation(1500)[:500]], y[rng.permutation(1200)[:500]]) for _ in range(8)]
    assert found.values == pytest.approx(expected, rel=1e-6)
    assert (found.mean, found.spread) == pytest.approx((np.mean(expected), np.std(expected)), rel=1e-6)
