# SPDX-License-Identifier: Apache-2.0
"""Inception scores over splits against torchmetrics, same order of images."""

from __future__ import annotations

import numpy as np
import pytest

from audit.stats.inception_score import inception_score_splits

torch = pytest.importorskip("torch")


@pytest.mark.parametrize(("n", "splits"), [(200, 10), (157, 4)])
def test_torchmetrics(n, splits, monkeypatch):
    from torchmetrics.image.inception import InceptionScore

    class Identity(torch.nn.Module):
        num_features = 30

        def forward(self, x):
            return x

    logits = 2 * np.random.default_rng(n).normal(size=(n, 30))
    order = np.random.default_rng(1).permutation(n)
    with pytest.warns(UserWarning, match="InceptionScore"):
        metric = InceptionScore(feature=Identity(), splits=splits)
    metric.update(torch.from_numpy(logits))
    monkeypatch.setattr(torch, "randperm", lambda _: torch.from_numpy(order))
    mean, spread = (float(part) for part in metric.compute())
    found = inception_score_splits(logits, splits=splits, order=order)
    assert (found.mean, found.spread) == pytest.approx((mean, spread), rel=1e-6)
    # torch-fidelity divides by the number of splits: other figures from the same images.
    assert found.spread / found.spread_population == pytest.approx((splits / (splits - 1)) ** 0.5)
