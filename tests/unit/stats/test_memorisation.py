# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from audit.stats.memorisation import memorisation, mifid, nearest_distances


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def faces(n, rng, d=24):
    return rng.normal(size=(n, d)) + 1.0


def test_nearest_written_out():
    rng = np.random.default_rng(0)
    x, t = faces(1300, rng), faces(2300, rng)
    x[7] *= -3
    distances, who = nearest_distances(x, t)
    cosine = np.abs(unit(x) @ unit(t).T)
    assert distances == pytest.approx(1 - cosine.max(axis=1), abs=1e-7)
    assert (who == cosine.argmax(axis=1)).mean() > 0.999
    assert nearest_distances(t[:50] * 5, t)[1].tolist() == list(range(50))


def test_copies_keep_their_digits():
    rng = np.random.default_rng(1)
    t = faces(400, rng)
    step = 1e-7 * rng.normal(size=(30, 24))
    found = nearest_distances(t[:30] + step, t)[0]
    away = step - unit(t[:30]) * (step * unit(t[:30])).sum(axis=1, keepdims=True)
    expected = (away**2).sum(axis=1) / (t[:30] ** 2).sum(axis=1) / 2
    assert found == pytest.approx(expected, rel=1e-3)
    assert (nearest_distances(t[:30], t)[0] == 0).all()


def test_the_threshold():
    assert mifid(12.0, 0.05) == pytest.approx(240)
    assert mifid(12.0, 0.1) == 12.0
    assert mifid(12.0, 0.25, threshold=0.3) == pytest.approx(48)
    assert mifid(12.0, 0.0) > 1e15


def test_generated_images_from_the_law_of_the_training_set_are_no_nearer_than_held_out_ones():
    rng = np.random.default_rng(2)
    train = faces(500, rng)
    runs = [memorisation(faces(100, rng), train, faces(150, rng)) for _ in range(150)]
    assert np.mean([r.excess.low <= 0 <= r.excess.high for r in runs]) >= 0.9
    assert np.mean([r.p_value < 0.05 for r in runs]) < 0.1
    values = [r.distance.value for r in runs]
    assert np.mean([r.distance.standard_error for r in runs]) == pytest.approx(np.std(values), rel=0.2)
    true = nearest_distances(faces(20_000, rng), train)[0].mean()
    assert np.mean([r.distance.low <= true <= r.distance.high for r in runs]) >= 0.9


def test_a_tenth_of_copies_shows():
    rng = np.random.default_rng(3)
    train = faces(500, rng)
    generated = faces(200, rng)
    generated[:20] = train[rng.integers(500, size=20)]
    found = memorisation(generated, train, faces(300, rng))
    assert found.excess.low > 0
    assert found.p_value < 0.05
    assert (found.distances < 1e-12).sum() == 20
    assert found.auc == pytest.approx(0.55, abs=0.05)
    assert found.distance.n == 200
    assert found.distance.m == 500


def test_without_held_out_images_there_is_no_baseline():
    rng = np.random.default_rng(4)
    found = memorisation(faces(20, rng), faces(50, rng))
    assert (found.baseline, found.excess, found.auc, found.p_value) == (None, None, None, None)


def test_refusals():
    rng = np.random.default_rng(5)
    x = faces(20, rng)
    with pytest.raises(ValueError, match="direction"):
        memorisation(x, np.zeros((3, 24)))
    with pytest.raises(ValueError, match="must be"):
        memorisation(x, x[:, :5])
    with pytest.raises(ValueError, match="needs 2"):
        memorisation(x[:1], x)
