# SPDX-License-Identifier: Apache-2.0
"""Frechet distance at the usual width of 2048 features."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.linalg
import torch
from torchmetrics.image.fid import _compute_fid

from audit.stats.frechet import Moments, frechet_from_features, frechet_from_moments
from benchmarks._measure import Case

__all__ = ["cases"]

_WIDTH = 2048


def cases() -> Iterator[Case]:
    """Few images (fewer than features) and many."""
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((_WIDTH, _WIDTH)) / np.sqrt(_WIDTH)
    draw = lambda n: np.maximum(rng.standard_normal((n, _WIDTH)) @ mixing, 0.0)  # noqa: E731
    x, y = draw(500), draw(500) + 0.05
    yield Case(
        name="Frechet distance from 2 x 500 features of width 2048",
        ours=lambda: frechet_from_features(x, y),
        peers={"torchmetrics 1.9 (eigvals)": lambda: _torchmetrics(_moments(x), _moments(y))},
        agree=lambda a, b: abs(a - b) < 1e-3,
        limit="one 500 x 2048 x 500 product and the eigenvalues of a 500 x 500 matrix, about 20 ms",
        rounds=3,
    )
    a, b = _moments(draw(4096)), _moments(draw(4096) + 0.05)
    ours = Moments(4096, a[0], a[1] * 4095), Moments(4096, b[0], b[1] * 4095)
    yield Case(
        name="Frechet distance from moments of width 2048",
        ours=lambda: frechet_from_moments(*ours),
        peers={
            "torchmetrics 1.9 (eigvals)": lambda: _torchmetrics(a, b),
            "scipy sqrtm (pytorch-fid, clean-fid)": lambda: _sqrtm(a, b),
        },
        agree=lambda p, q: abs(p - q) < 1e-6 * max(abs(p), 1.0),
        limit="eigenvalues of one symmetric 2048 x 2048 matrix, about 0.35 s on 2 cores",
        rounds=3,
    )


def _moments(x: Any) -> tuple[Any, Any]:
    return x.mean(0), np.cov(x, rowvar=False)


def _torchmetrics(a: tuple[Any, Any], b: tuple[Any, Any]) -> float:
    return float(_compute_fid(*(torch.from_numpy(part) for part in (a[0], a[1], b[0], b[1]))))


def _sqrtm(a: tuple[Any, Any], b: tuple[Any, Any]) -> float:
    root = scipy.linalg.sqrtm(a[1] @ b[1])
    step = a[0] - b[0]
    return float(step @ step + np.trace(a[1]) + np.trace(b[1]) - 2 * np.trace(root).real)
