# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from audit.errors import ConfigError
from audit.stats.frechet import frechet_from_features, frechet_to_fixed
from audit.stats.moments import Moments


def rows(n, d, seed=0):
    return np.random.default_rng(seed).normal(5, 2, (n, d))


@pytest.mark.parametrize("kind", ["f4", "f8", "i4", "u1"])
def test_moments_of_many_blocks_are_numpys(kind):
    x = (10 * rows(2500, 7)).astype(kind)
    found = Moments.of(x)
    assert found.n == 2500
    assert found.mean == pytest.approx(x.astype(float).mean(axis=0), rel=1e-13)
    assert found.covariance == pytest.approx(np.cov(x.astype(float).T), rel=1e-12)
    assert np.array_equal(found.scatter, found.scatter.T)


def test_a_large_offset_costs_no_digits():
    x = rows(3000, 4)
    near, far = Moments.of(x), Moments.of(x + 2.0**30)  # a power of two: rows move by less than 1e-6 in the rounding
    assert far.covariance == pytest.approx(near.covariance, rel=1e-6)


@pytest.mark.parametrize("cut", [1, 13, 49])
def test_merged_moments_are_those_of_all_rows(cut):
    x = rows(50, 7)
    merged = Moments.of(x[:cut]).merge(Moments.of(x[cut:]))
    assert merged.n == 50
    assert merged.mean == pytest.approx(x.mean(axis=0), rel=1e-14)
    assert merged.covariance == pytest.approx(np.cov(x.T), rel=1e-12)


def test_merging_asks_for_numbers_and_widths():
    known = Moments.of(rows(5, 3))
    with pytest.raises(ValueError, match="without their n"):
        known.merge(Moments(None, known.mean, known.scatter))
    with pytest.raises(ValueError, match="widths 3 and 4"):
        known.merge(Moments.of(rows(5, 4)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(bad):
    x = rows(2000, 3).astype(np.float32)
    x[1500, 1] = bad
    with pytest.raises(ValueError, match="not finite"):
        Moments.of(x)


@pytest.mark.parametrize(
    "x", [np.zeros(3), np.zeros((2, 3, 4)), np.zeros((0, 3)), np.zeros((3, 0)), np.full((2, 2), "a")]
)
def test_what_are_no_feature_vectors(x):
    with pytest.raises(ValueError, match=r"shape \(n, D\)|needs 1 rows"):
        Moments.of(x)


def test_a_file_holds_what_was_saved(tmp_path):
    found = Moments.of(rows(40, 3))
    found.save(tmp_path / "own.npz")
    again = Moments.load(tmp_path / "own.npz")
    assert again.n == 40
    assert again.mean == pytest.approx(found.mean, rel=1e-15)
    assert again.scatter == pytest.approx(found.scatter, rel=1e-14)


def test_published_statistics_do_not_tell_their_number(tmp_path):
    x, y = rows(80, 3), rows(70, 3, seed=1)
    np.savez(tmp_path / "published.npz", mu=y.mean(axis=0).astype("f4"), sigma=np.cov(y.T).astype("f4"))
    target = Moments.load(tmp_path / "published.npz")
    assert target.n is None
    found = frechet_to_fixed(x, target)
    assert found.raw == pytest.approx(frechet_from_features(x, y), rel=1e-5)
    assert found.m == 0
    assert "reference statistics taken as fixed" in found.method
    target.save(tmp_path / "again.npz")
    assert Moments.load(tmp_path / "again.npz").n is None


@pytest.mark.parametrize(
    ("arrays", "why"),
    [
        ({"mu": np.zeros(3)}, "no reference statistics"),
        ({"mu": np.zeros(3), "sigma": np.eye(4)}, "do not go together"),
        ({"mu": np.zeros((3, 1)), "sigma": np.eye(3)}, "do not go together"),
        ({"mu": np.full(2, np.nan), "sigma": np.eye(2)}, "not finite"),
        ({"mu": np.zeros(2), "sigma": np.array([[1.0, 0.5], [0.0, 1.0]])}, "not a covariance"),
        ({"mu": np.zeros(2), "sigma": np.diag([1.0, -1.0])}, "not a covariance"),
        ({"mu": np.zeros(2), "sigma": np.eye(2), "n": 1}, "needs 2"),
        ({"mu": np.array([None, {}]), "sigma": np.eye(2)}, "no reference statistics"),
    ],
)
def test_files_that_are_no_statistics(tmp_path, arrays, why):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(ConfigError, match=why) as caught:
        Moments.load(tmp_path / "bad.npz")
    assert caught.value.where == str(tmp_path / "bad.npz")
    assert caught.value.hint


@pytest.mark.parametrize("content", [None, b"", b"no zip", b"PK\x03\x04 torn"])
def test_files_that_cannot_be_read(tmp_path, content):
    path = tmp_path / "bad.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match="no reference statistics"):
        Moments.load(path)


def test_a_single_array_is_no_statistics_file(tmp_path):
    np.save(tmp_path / "bad.npy", np.zeros(3))
    with pytest.raises(ConfigError, match="no reference statistics"):
        Moments.load(tmp_path / "bad.npy")
