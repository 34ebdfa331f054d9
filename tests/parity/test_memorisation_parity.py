# SPDX-License-Identifier: Apache-2.0
"""The distance of MiFID against torchmetrics, which takes it in the other direction."""

from __future__ import annotations

import numpy as np
import pytest

from audit.stats.memorisation import memorisation, mifid

torch = pytest.importorskip("torch")


def theirs(first, second):
    from torchmetrics.image.mifid import _compute_cosine_distance

    return float(_compute_cosine_distance(torch.from_numpy(first), torch.from_numpy(second), 10.0))


def features(n, *, seed):
    return np.maximum(np.random.default_rng(seed).normal(size=(n, 32)) + 1.0, 0)


def test_their_formula_in_the_published_direction():
    generated, training = features(300, seed=1), features(800, seed=2)
    assert memorisation(generated, training).distance.value == pytest.approx(theirs(generated, training), rel=1e-6)


def test_a_generator_that_replays_100_of_2000_training_images():
    training = features(2000, seed=3)
    rng = np.random.default_rng(4)
    replayed, fresh = training[rng.integers(100, size=500)], features(500, seed=5)
    found, honest = (memorisation(made, training).distance.value for made in (replayed, fresh))
    assert found < 1e-12
    assert honest > 0.01
    assert mifid(10.0, found) > 1e10 * mifid(10.0, honest)
    # What torchmetrics computes, real images first: the replaying generator does not come out nearer than the honest.
    assert theirs(training, replayed) > theirs(training, fresh) > 0.01


def test_what_the_library_prints_for_the_replay():
    from torchmetrics.image.mifid import MemorizationInformedFrechetInceptionDistance as Theirs

    class Identity(torch.nn.Module):
        num_features = 32

        def forward(self, x):
            return x.flatten(1)

    training = features(2000, seed=3)
    replayed = training[np.random.default_rng(4).integers(100, size=500)]
    metric = Theirs(feature=Identity(), cosine_distance_eps=1.0)
    metric.update(torch.from_numpy(training), real=True)
    metric.update(torch.from_numpy(replayed), real=False)
    assert float(metric.compute()) < 1e3 < mifid(1e-3, memorisation(replayed, training).distance.value)
