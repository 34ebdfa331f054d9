# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from audit.stats.inception_score import inception_score, inception_score_splits


def plain(logits):
    """exp(mean KL) written out."""
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return np.exp((p * np.log(p / p.mean(axis=0))).sum(axis=1).mean())


def certain(classes, *, n):
    """Images whose class leaves no doubt, in turn."""
    return np.where(np.arange(n)[:, None] % classes == np.arange(classes), 200.0, 0.0)


def draw(n, rng, classes=20):
    return rng.normal(size=(n, 6)) @ np.random.default_rng(0).normal(size=(6, classes)) * 2


def test_certain_images_of_every_class_and_of_one():
    assert inception_score(certain(8, n=800)).raw == pytest.approx(8)
    assert inception_score_splits(certain(5, n=100), order=np.arange(100)).values == pytest.approx(np.full(10, 5.0))
    one = inception_score(np.tile(np.arange(5.0), (40, 1)))
    assert (one.value, one.low, one.high, one.raw) == pytest.approx((1, 1, 1, 1))


def test_the_formula_and_the_jackknife_written_out():
    logits = draw(300, np.random.default_rng(1))
    found = inception_score(logits)
    assert found.raw == pytest.approx(plain(logits), rel=1e-12)
    logs = np.log([plain(np.delete(logits, i, axis=0)) for i in range(300)])
    corrected = 300 * np.log(found.raw) - 299 * logs.mean()
    assert found.value == pytest.approx(np.exp(corrected), rel=1e-9)
    assert found.standard_error == pytest.approx(found.value * (299 * np.var(logs)) ** 0.5, rel=1e-9)


@pytest.mark.parametrize("n", [50, 200])
def test_the_interval_covers_where_the_plug_in_value_is_too_small(n):
    rng = np.random.default_rng(2)
    true = plain(draw(100_000, rng))
    found = [inception_score(draw(n, rng)) for _ in range(250)]
    values, raw = np.array([f.value for f in found]), np.array([f.raw for f in found])
    assert np.mean([f.low <= true <= f.high for f in found]) >= 0.92
    assert true - raw.mean() > 5 * abs(true - values.mean())
    assert np.mean([f.standard_error for f in found]) == pytest.approx(values.std(), rel=0.15)


def test_the_mean_over_splits_falls_with_their_size():
    logits = draw(2000, np.random.default_rng(3))
    few, many = inception_score_splits(logits, splits=2), inception_score_splits(logits, splits=100)
    assert many.mean < few.mean < plain(logits)
    assert inception_score_splits(logits, seed=1).mean != few.mean


def test_float32_logits_and_huge_ones():
    logits = draw(100, np.random.default_rng(4))
    assert inception_score(logits.astype(np.float32)).raw == pytest.approx(plain(logits), rel=1e-5)
    assert inception_score(logits + 1e4).raw == pytest.approx(plain(logits), rel=1e-9)


@pytest.mark.parametrize("shape", [(9, 5), (50, 1), (50,)])
def test_wrong_shapes(shape):
    with pytest.raises(ValueError, match=r"needs|must be"):
        inception_score(np.zeros(shape))


def test_numbers_that_are_not_finite():
    with pytest.raises(ValueError, match="finite"):
        inception_score(np.full((20, 3), np.inf))
