# SPDX-License-Identifier: Apache-2.0
"""Exact search of the most similar enrolled references.

Blocked matrix products are fast enough for an audit (10,000 queries against 100,000 references of 512 dimensions are
about 1e12 operations), and an approximate index would hide matches.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.errors import AnnotatorError

__all__ = ["best_match", "top_k"]


def best_match(
    queries: NDArray[np.float32], gallery: NDArray[np.float32], *, block: int = 4096
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The most similar reference of every query.

    Args:
        queries: (m, d), finite, of length one each.
        gallery: (n, d) with n >= 1, finite, of length one each.
        block: rows of either that are compared at a time; bounds memory to block x block scores.

    Returns:
        Cosine similarity (m,) and row in the gallery (m,); of equal scores the lowest row wins.

    Raises:
        AnnotatorError: shapes do not fit, something is not finite, or the gallery is empty.
    """
    scores, index = top_k(queries, gallery, k=1, block=block)
    return scores[:, 0], index[:, 0]


def top_k(
    queries: NDArray[np.float32], gallery: NDArray[np.float32], *, k: int, block: int = 4096
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The ``k`` most similar references of every query, best first.

    Args:
        queries: (m, d) as in `best_match`.
        gallery: (n, d) as in `best_match`, with n >= k.
        k: how many.
        block: as in `best_match`.

    Returns:
        Scores (m, k) and rows (m, k).

    Raises:
        AnnotatorError: as in `best_match`, or fewer than ``k`` references.
    """
    queries, gallery = _checked(queries, "queries"), _checked(gallery, "gallery")
    if queries.shape[1] != gallery.shape[1]:
        message = f"queries have {queries.shape[1]} dimensions, the gallery has {gallery.shape[1]}"
        raise AnnotatorError(message, where="likeness search", hint="embed both with the same model")
    if not 1 <= k <= len(gallery):
        raise AnnotatorError(
            f"{k} best of {len(gallery)} enrolled references", where="likeness search", hint="enrol more"
        )
    if block < 1:
        raise ValueError(f"block is {block}, must be at least 1")
    found = [
        _search(queries[start : start + block], gallery, k=k, block=block) for start in range(0, len(queries), block)
    ]
    if not found:
        return np.zeros((0, k), np.float32), np.zeros((0, k), np.int64)
    return np.concatenate([scores for scores, _ in found]), np.concatenate([index for _, index in found])


def _search(
    queries: NDArray[np.float32], gallery: NDArray[np.float32], *, k: int, block: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Running best ``k`` of one block of queries over all blocks of the gallery."""
    scores = np.empty((len(queries), 0), np.float32)
    index = np.empty((len(queries), 0), np.int64)
    for start in range(0, len(gallery), block):
        fresh = queries @ gallery[start : start + block].T
        rows = np.broadcast_to(np.arange(start, start + fresh.shape[1]), fresh.shape)
        scores, index = np.hstack([scores, fresh]), np.hstack([index, rows])
        # Stable, and earlier rows stand further left: of equal scores the lowest row stays.
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        scores, index = np.take_along_axis(scores, order, axis=1), np.take_along_axis(index, order, axis=1)
    return scores, index


def _checked(values: NDArray[Any], what: str) -> NDArray[np.float32]:
    values = np.ascontiguousarray(values, dtype=np.float32)
    if values.ndim != 2:
        raise AnnotatorError(f"{what} have shape {values.shape}, expected (rows, dimensions)", where="likeness search")
    if not np.isfinite(values).all():
        raise AnnotatorError(f"{what} hold values that are not finite", where="likeness search")
    return values
