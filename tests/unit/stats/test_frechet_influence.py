# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from audit.stats.frechet import Moments, frechet_from_features
from audit.stats.frechet_influence import influence


def sides(n, m, d, seed=0):
    rng = np.random.default_rng(seed)
    x = np.maximum(rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) / d**0.5 + 0.2, 0) * rng.gamma(4, 0.25, (n, 1))
    return x, np.maximum(rng.normal(size=(m, d)), 0)


@pytest.mark.parametrize(
    ("n", "m", "d"), [(40, 60, 5), (80, 300, 16), (200, 100, 8), (30, 50, 64), (60, 200, 64), (200, 30, 64), (20, 9, 1)]
)
def test_leaving_every_image_out_in_turn(n, m, d):
    x, y = sides(n, m, d)
    whole = frechet_from_features(x, y)
    exact = np.array([whole - frechet_from_features(np.delete(x, i, 0), y) for i in range(n)])
    exact -= exact.mean()
    found = influence(x, y)
    assert np.corrcoef(found, exact)[0, 1] > 0.99
    assert np.abs(found - exact).max() < (0.03 if n > 2 * d else 0.1) * np.abs(exact).max()
    assert abs(found.sum()) < 1e-12 * np.abs(found).sum()


def test_many_images():
    x, y = sides(3000, 500, 6, seed=1)
    whole, found = frechet_from_features(x, y), influence(x, y)
    some = np.r_[np.argsort(found)[[0, 1, -2, -1]], 0:20]
    exact = np.array([whole - frechet_from_features(np.delete(x, i, 0), y) for i in some])
    assert found[some] == pytest.approx(exact, abs=0.002 * np.abs(found).max())


def test_the_image_that_does_not_belong():
    x, y = sides(120, 500, 10, seed=2)
    x[17] += 6
    found = influence(x, y)
    assert np.argmax(found) == 17
    assert found[17] > 2 * np.sort(found)[-2]


def test_fixed_moments_do_as_well_as_their_rows():
    x, y = sides(120, 90, 10, seed=3)
    assert influence(x, Moments.of(y)) == pytest.approx(influence(x, y), rel=1e-9, abs=1e-12)
    wide, other = sides(20, 30, 40, seed=4)
    assert influence(wide, Moments.of(other)) == pytest.approx(influence(wide, other), rel=1e-6, abs=1e-9)


def test_what_is_refused():
    x, y = sides(5, 6, 3)
    for bad, other, why in ((x[:2], y, "needs 3 rows"), (x, y[:, :2], "widths 3 and 2"), (x * np.nan, y, "not finite")):
        with pytest.raises(ValueError, match=why):
            influence(bad, other)


def test_no_variance_no_trouble():
    assert influence(np.ones((4, 3)), np.zeros((5, 3))) == pytest.approx(np.zeros(4))
