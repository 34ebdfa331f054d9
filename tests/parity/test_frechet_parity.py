# SPDX-License-Identifier: Apache-2.0
"""Frechet distances against scipy's matrix square root and torchmetrics."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg

from audit.stats.frechet import frechet_from_features


def features(n, d, *, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    return np.maximum(rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) / d**0.5 + shift, 0)


@pytest.mark.parametrize(("n", "m", "d"), [(200, 300, 8), (500, 400, 48), (90, 700, 64)])
def test_scipy_sqrtm(n, m, d):
    x, y = features(n, d, seed=1), features(m, d, seed=2, shift=0.2)
    a, b = np.cov(x.T), np.cov(y.T)
    step = x.mean(axis=0) - y.mean(axis=0)
    expected = step @ step + np.trace(a + b - 2 * linalg.sqrtm(a @ b).real)
    assert frechet_from_features(x, y) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("n", "m", "d"), [(300, 200, 12), (600, 400, 32)])
def test_torchmetrics(n, m, d):
    torch = pytest.importorskip("torch")
    from torchmetrics.image.fid import FrechetInceptionDistance

    class Identity(torch.nn.Module):
        num_features = d

        def forward(self, x):
            return x.flatten(1)

    x, y = features(n, d, seed=3), features(m, d, seed=4, shift=0.1)
    metric = FrechetInceptionDistance(feature=Identity(), normalize=False, antialias=False)
    metric.set_dtype(torch.float64)
    for data, real in ((y, True), (x, False)):
        metric.update(torch.from_numpy(data.reshape(len(data), -1)), real=real)
    assert frechet_from_features(x, y) == pytest.approx(float(metric.compute()), rel=1e-6)
