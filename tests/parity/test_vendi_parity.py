# SPDX-License-Identifier: Apache-2.0
"""Vendi scores against the package of their authors."""

from __future__ import annotations

import numpy as np
import pytest

from audit.stats.diversity import vendi, vendi_score

theirs = pytest.importorskip("vendi_score.vendi")
pytestmark = pytest.mark.filterwarnings("ignore:.*scipy.sparse.csr.*:DeprecationWarning")


def unit(n, d):
    x = np.random.default_rng(n).normal(size=(n, d)) * np.arange(1, d + 1) ** -0.5
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.mark.parametrize(("n", "d"), [(60, 12), (40, 100), (30, 30)])
def test_order_one_by_either_matrix(n, d):
    x = unit(n, d)
    assert vendi(x) == pytest.approx(theirs.score_X(x), rel=1e-6)
    assert vendi(x) == pytest.approx(theirs.score_dual(x), rel=1e-6)
    assert vendi_score(3 * x).value == pytest.approx(theirs.score_X(x), rel=1e-6)


@pytest.mark.parametrize("q", [0.5, 2, 3, "inf"])
def test_other_orders_by_their_matrix_of_features(q):
    x = unit(80, 10)
    order = np.inf if q == "inf" else q
    assert vendi(x, order=order) == pytest.approx(theirs.score_dual(x, q=q), rel=1e-6)


def test_their_score_of_features_ignores_the_order():
    x = unit(80, 10)
    assert theirs.score_X(x, q=2) == theirs.score_X(x, q=1)
    assert vendi(x, order=2) < 0.95 * vendi(x, order=1)
    assert vendi(x, order=2) == pytest.approx(theirs.score_K(x @ x.T, q=2), rel=1e-6)
