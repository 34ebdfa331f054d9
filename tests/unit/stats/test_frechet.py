# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import mpmath
import numpy as np
import pytest

from audit.stats.frechet import (
    Moments,
    frechet,
    frechet_from_features,
    frechet_from_moments,
    frechet_to_fixed,
    least_rows,
)


def gaussian(mean, covariance):
    return Moments(None, np.asarray(mean, dtype=float), np.asarray(covariance, dtype=float))


def features(n, d, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    return np.maximum(rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) / d**0.5 + shift, 0)


def test_shifted_identity():
    d = 1024
    found = frechet_from_moments(gaussian(np.zeros(d), np.eye(d)), gaussian(np.ones(d), np.eye(d)))
    assert found == pytest.approx(1024, rel=1e-13)


def test_commuting_covariances():
    a, b = np.linspace(0.1, 2, 64), np.linspace(2, 0.5, 64)
    found = frechet_from_moments(gaussian(np.zeros(64), np.diag(a)), gaussian(np.full(64, 0.3), np.diag(b)))
    assert found == pytest.approx(22.76298657003766, abs=1e-11)
    assert found == pytest.approx(((np.sqrt(a) - np.sqrt(b)) ** 2).sum() + 64 * 0.09)


def test_two_by_two():
    a, b = np.array([[1, 0.5], [0.5, 2]]), np.array([[2, -0.3], [-0.3, 1]])
    found = frechet_from_moments(gaussian([0, 0], a), gaussian([0, 0], b))
    assert found == pytest.approx(0.5754258933050069, abs=1e-13)


def test_scaled_copy():
    a = np.diag(np.linspace(0.1, 2, 64))
    found = frechet_from_moments(gaussian(np.zeros(64), a), gaussian(np.zeros(64), 2.25 * a))
    assert found == pytest.approx(0.25 * np.trace(a))
    assert found == pytest.approx(16.8)


def test_one_dimension():
    x, y = np.array([[0.0], [2.0]]), np.array([[1.0], [5.0], [6.0]])
    assert frechet_from_features(x, y) == pytest.approx(9 + (2**0.5 - 7**0.5) ** 2, rel=1e-13)


@pytest.mark.parametrize(("n", "m"), [(2, 2), (2, 40), (5, 40), (40, 5), (12, 9), (16, 70), (17, 70), (20, 16)])
def test_rank_deficient_sides_agree_with_fifty_digits(n, m):
    d = 16
    x, y = features(n, d, seed=n), features(m, d, seed=100 + m, shift=0.3)
    with mpmath.workdps(50):
        small, other = (mpmath.matrix((z - z.mean(axis=0)).tolist()) / mpmath.sqrt(len(z) - 1) for z in (x, y))
        cross = small * other.T
        gram = cross * cross.T if n <= m else cross.T * cross
        nuclear = sum(mpmath.sqrt(abs(v)) for v in mpmath.eigsy(gram, eigvals_only=True))
        step = mpmath.matrix((x.mean(axis=0) - y.mean(axis=0)).tolist())
        traces = sum(sum(v**2 for v in z) for z in (small, other))
        exact = float((step.T * step)[0] + traces - 2 * nuclear)
    assert frechet_from_features(x, y) == pytest.approx(exact, rel=1e-10)
    assert frechet_from_moments(Moments.of(x), Moments.of(y)) == pytest.approx(exact, rel=1e-10)


@pytest.mark.parametrize("n", [2, 30, 100, 101, 250])
@pytest.mark.parametrize("steepness", [0, 2])
def test_a_set_has_no_distance_to_itself(n, steepness):
    x = features(n, 100, seed=1) * np.arange(1.0, 101) ** -steepness
    assert abs(frechet_from_features(x, x)) < 1e-9
    assert abs(frechet_from_moments(Moments.of(x), Moments.of(x))) < 1e-9


def test_features_without_variance_add_their_mean_difference_only():
    x, y = features(60, 8, seed=1), features(70, 8, seed=2)
    padded = [np.hstack([z, np.full((len(z), 5), c), z[:, :1]]) for z, c in ((x, 1.0), (y, 3.0))]
    plain = [np.hstack([z, z[:, :1]]) for z in (x, y)]
    assert frechet_from_features(*padded) == pytest.approx(frechet_from_features(*plain) + 20, rel=1e-12)
    wide, narrow = frechet(*padded), frechet(*plain)
    assert wide.value == pytest.approx(narrow.value + 20, rel=1e-9)
    assert wide.standard_error == pytest.approx(narrow.standard_error, rel=1e-9)
    constant = np.ones((60, 3)), np.full((70, 3), 2.0)
    assert frechet_from_features(*constant) == pytest.approx(3.0)
    assert frechet(*constant).value == pytest.approx(3.0)


def test_constant_features_do_not_count_among_the_dimensions():
    rng = np.random.default_rng(0)
    x, y = (np.hstack([rng.normal(size=(60, 30)), np.full((60, 40), 0.1)]) for _ in range(2))
    assert frechet(x, y).value == pytest.approx(frechet(x[:, :30], y[:, :30]).value, rel=1e-9)


def test_float32_features_give_the_numbers_of_their_float64_values():
    x, y = (features(n, 12, seed=n).astype(np.float32) for n in (90, 200))
    assert frechet_from_features(x, y) == pytest.approx(
        frechet_from_features(x.astype(float), y.astype(float)), rel=1e-12
    )
    assert frechet(x, y).value == pytest.approx(frechet(x.astype(float), y.astype(float)).value, rel=1e-12)


def test_rotations_shifts_and_scales():
    x, y = features(300, 12, seed=1), features(200, 12, seed=2)
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(12, 12)))[0]
    plain, moved = frechet(x, y), frechet(3 * x @ turn + 7, 3 * y @ turn + 7)
    for name in ("value", "low", "high", "standard_error", "bias", "raw"):
        assert getattr(moved, name) == pytest.approx(9 * getattr(plain, name), rel=1e-8), name


def test_the_sides_are_alike():
    x, y = features(300, 12, seed=1), features(200, 12, seed=2)
    forth, back = frechet(x, y), frechet(y, x)
    assert (forth.n, forth.m, forth.dimension) == (300, 200, 12)
    assert back.value == pytest.approx(forth.value, rel=1e-9)
    assert back.standard_error == pytest.approx(forth.standard_error, rel=1e-9)
    assert forth.raw == pytest.approx(frechet_from_features(x, y), rel=1e-12)


def test_a_fixed_reference_adds_neither_bias_nor_error():
    x, y = features(400, 12, seed=1), features(300, 12, seed=2)
    sampled, fixed = frechet(x, y), frechet_to_fixed(x, Moments.of(y))
    huge = frechet(x, np.tile(y, (200, 1)))  # the same moments, up to the divisor
    assert fixed.raw == pytest.approx(sampled.raw, rel=1e-12)
    assert sampled.value < fixed.value
    assert fixed.standard_error < sampled.standard_error
    assert huge.value == pytest.approx(fixed.value, rel=0.01)
    assert huge.standard_error == pytest.approx(fixed.standard_error, rel=0.02)


@pytest.mark.parametrize(
    ("x", "y", "why"),
    [
        ((49, 3), (50, 3), "x: needs 50 rows, got 49"),
        ((50, 3), (49, 3), "y: needs 50 rows, got 49"),
        ((79, 64), (90, 64), "needs 80 rows for 64 dimensions that vary, got 79"),
        ((50, 3), (50, 4), "widths 3 and 4"),
        ((50,), (50, 3), r"shape \(n, D\)"),
    ],
)
def test_what_is_refused(x, y, why):
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=why):
        frechet(rng.normal(size=x), rng.normal(size=y))


def test_the_least_number_of_rows():
    assert [least_rows(d) for d in (1, 40, 41, 64, 2048)] == [50, 50, 52, 80, 2560]


def test_plain_distances_refuse_too():
    for bad, why in ((np.zeros((1, 3)), "needs 2 rows"), (np.full((4, 3), np.inf), "not finite")):
        with pytest.raises(ValueError, match=why):
            frechet_from_features(bad, np.zeros((4, 3)))
    with pytest.raises(ValueError, match="widths 3 and 4"):
        frechet_from_features(np.zeros((4, 3)), np.zeros((4, 4)))
    with pytest.raises(ValueError, match="widths 3 and 4"):
        frechet_from_moments(gaussian(np.zeros(3), np.eye(3)), gaussian(np.zeros(4), np.eye(4)))
    with pytest.raises(ValueError, match="not finite"):
        frechet_from_moments(gaussian(np.zeros(3), np.eye(3)), gaussian(np.full(3, np.nan), np.eye(3)))
    with pytest.raises(ValueError, match="needs 2 feature vectors"):
        frechet_from_moments(Moments.of(np.zeros((1, 3))), Moments.of(np.zeros((2, 3))))
