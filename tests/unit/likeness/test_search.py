# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.errors import AnnotatorError
from audit.likeness import best_match, top_k


def unit(n: int, d: int = 16, seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@given(st.integers(0, 40), st.integers(1, 40), st.integers(1, 50), st.integers(0, 9))
def test_equals_the_full_matrix_whatever_the_block(m: int, n: int, block: int, seed: int) -> None:
    queries, gallery = unit(m, seed=seed), unit(n, seed=seed + 100)
    scores, index = best_match(queries, gallery, block=block)
    full = queries.astype(np.float64) @ gallery.T.astype(np.float64)
    assert scores.dtype == np.float32
    if m:
        np.testing.assert_allclose(scores, full.max(axis=1), atol=1e-6)
        np.testing.assert_array_equal(index, full.argmax(axis=1))
    assert len(scores) == len(index) == m


def test_k_best_in_order() -> None:
    queries, gallery = unit(30), unit(50, seed=1)
    scores, index = top_k(queries, gallery, k=5, block=7)
    order = np.argsort(-(queries @ gallery.T), axis=1, kind="stable")[:, :5]
    np.testing.assert_array_equal(index, order)
    assert (np.diff(scores, axis=1) <= 0).all()
    np.testing.assert_array_equal(index[:, 0], best_match(queries, gallery)[1])


@pytest.mark.parametrize("block", [1, 2, 3, 100])
def test_of_equal_scores_the_lowest_row_wins(block: int) -> None:
    gallery = np.repeat(np.eye(2, dtype=np.float32), 3, axis=0)
    _, index = best_match(np.eye(2, dtype=np.float32), gallery, block=block)
    assert index.tolist() == [0, 3]


@pytest.mark.parametrize(
    ("queries", "gallery", "message"),
    [
        (unit(2, 4), unit(2, 5), "4 dimensions"),
        (unit(2), unit(0), "0 enrolled"),
        (np.full((1, 16), np.nan, np.float32), unit(2), "not finite"),
        (unit(2)[0], unit(2), "expected"),
    ],
)
def test_what_does_not_fit_is_an_error(queries: np.ndarray, gallery: np.ndarray, message: str) -> None:
    with pytest.raises(AnnotatorError, match=message):
        best_match(queries, gallery)
