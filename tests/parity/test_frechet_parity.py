# SPDX-License-Identifier: Apache-2.0
"""Frechet distances against scipy's matrix square root and torchmetrics, where those are right and where not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg

from audit.generators.networks._pixels import levels
from audit.stats.frechet import Moments, frechet_from_features, frechet_from_moments

torch = pytest.importorskip("torch")
fid = pytest.importorskip("torchmetrics.image.fid")


def features(n, d, *, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    return np.maximum(rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) / d**0.5 + shift, 0)


def by_sqrtm(x, y):
    """As in pytorch-fid and clean-fid."""
    a, b = np.cov(x.T), np.cov(y.T)
    step = x.mean(axis=0) - y.mean(axis=0)
    return step @ step + np.trace(a + b - 2 * linalg.sqrtm(a @ b).real)


def by_torchmetrics(x, y):
    parts = [torch.from_numpy(part) for z in (x, y) for part in (z.mean(axis=0), np.cov(z.T))]
    return float(fid._compute_fid(*parts))


class Flat(torch.nn.Module):
    """A feature extractor that takes pixels as they come."""

    num_features = 4

    def forward(self, x):
        self.seen = x
        return x.flatten(1).double()


@pytest.mark.parametrize(("n", "m", "d"), [(200, 300, 8), (500, 400, 48), (90, 700, 64), (600, 500, 192)])
def test_scipy_and_torchmetrics_where_covariances_have_full_rank(n, m, d):
    x, y = features(n, d, seed=1), features(m, d, seed=2, shift=0.2)
    for ours in (frechet_from_features(x, y), frechet_from_moments(Moments.of(x), Moments.of(y))):
        assert ours == pytest.approx(by_sqrtm(x, y), rel=1e-9)
        assert ours == pytest.approx(by_torchmetrics(x, y), rel=1e-6)


def test_the_metric_of_torchmetrics_over_batches():
    x, y = features(300, 4, seed=3), features(200, 4, seed=4, shift=0.1)
    metric = fid.FrechetInceptionDistance(feature=Flat(), normalize=False)
    metric.set_dtype(torch.float64)
    for data, real in ((y, True), (x, False)):
        for start in range(0, len(data), 64):
            metric.update(torch.from_numpy(data[start : start + 64]), real=real)
    assert frechet_from_features(x, y) == pytest.approx(float(metric.compute()), rel=1e-6)


def test_torchmetrics_finds_a_negative_distance_between_identical_sets_below_the_dimension():
    """Eigenvalues of a singular product that should be 0 come out as rounding noise, whose roots add up."""
    x = features(60, 256, seed=5)
    assert by_torchmetrics(x, x) < -1e-6
    assert abs(frechet_from_features(x, x)) < 1e-9
    assert abs(frechet_from_moments(Moments.of(x), Moments.of(x))) < 1e-9


def test_torchmetrics_is_off_below_the_dimension():
    x, y = features(60, 256, seed=5), features(80, 256, seed=6, shift=0.1)
    nuclear = linalg.svdvals((x - x.mean(axis=0)) @ (y - y.mean(axis=0)).T).sum() / (59 * 79) ** 0.5
    exact = ((x.mean(axis=0) - y.mean(axis=0)) ** 2).sum() + np.trace(np.cov(x.T) + np.cov(y.T)) - 2 * nuclear
    assert frechet_from_features(x, y) == pytest.approx(exact, rel=1e-12)
    assert abs(by_torchmetrics(x, y) / exact - 1) > 1e-8


def test_torchmetrics_wraps_levels_past_white_where_ours_stay_white():
    """With its own network torchmetrics makes bytes by (images * 255).byte(): 1.01 becomes level 1, nearly black."""
    metric = fid.FrechetInceptionDistance(feature=Flat(), normalize=True)
    metric.used_custom_model = False  # the path that its own network takes
    images = torch.tensor([1.01, -0.01, 1.0, 0.999]).reshape(1, 4)
    metric.update(images, real=True)
    assert metric.inception.seen.tolist() == [[1, 254, 255, 254]]
    for value, level in ((1.01, 255), (-0.01, 0)):
        assert (levels(np.full((2, 2, 3), value), (0.0, 1.0)) == level).all()
    assert (levels(np.full((2, 2, 3), 254.6 / 255), (0.0, 1.0)) == 255).all()  # rounded, not cut off


def test_published_statistics_of_other_tools(tmp_path):
    """pytorch-fid, clean-fid: ``np.savez(path, mu=mean, sigma=np.cov(features, rowvar=False))``."""
    x, y = features(300, 16, seed=7), features(200, 16, seed=8, shift=0.2)
    np.savez_compressed(tmp_path / "stats.npz", mu=y.mean(axis=0), sigma=np.cov(y, rowvar=False))
    found = frechet_from_moments(Moments.of(x), Moments.load(tmp_path / "stats.npz"))
    assert found == pytest.approx(by_sqrtm(x, y), rel=1e-9)
