# SPDX-License-Identifier: Apache-2.0
"""Distances and diversity of feature sets against the code that is commonly run for them."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from prdc import compute_prdc
from torchmetrics.image.kid import poly_mmd
from torchmetrics.image.mifid import _compute_cosine_distance
from vendi_score import vendi as vendi_score

from audit.stats.cmmd import UnitMoments, cmmd
from audit.stats.diversity import vendi
from audit.stats.kernel_distance import _within, kernel_distance, kernel_distance_subsets
from audit.stats.memorisation import memorisation
from audit.stats.neighbours import neighbours
from benchmarks._measure import Case

__all__ = ["cases"]

_N, _WIDTH = 5000, 2048
_FOUR = ("precision", "recall", "density", "coverage")


def cases() -> Iterator[Case]:
    """The sizes of a usual evaluation: 5,000 images and 2,048 features, 10,000 and 768 for CMMD."""
    rng = np.random.default_rng(0)
    mixing = (rng.standard_normal((_WIDTH, _WIDTH)) / np.sqrt(_WIDTH)).astype(np.float32)
    draw = lambda: np.maximum(rng.standard_normal((_N, _WIDTH), dtype=np.float32) @ mixing, 0)  # noqa: E731
    x, y = draw() + np.float32(0.01), draw()
    yield from _kernel(x, y)
    yield from _neighbours(x, y)
    yield from _nearest(x, y)
    yield from _cmmd(rng)
    unit = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float64)
    yield Case(
        name=f"Vendi score of {_N} x {_WIDTH} features",
        ours=lambda: float(vendi(unit)),
        peers={"vendi_score 0.0.3": lambda: float(vendi_score.score_K(unit @ unit.T))},
        agree=lambda a, b: abs(a - b) < 1e-6 * b,
        limit=f"one product of {2 * _N * _WIDTH**2 / 1e9:.0f} GFLOP, half of it saved by symmetry, and the eigenvalues "
        "of a symmetric 2048 x 2048 matrix (11 GFLOP, half of them bound by memory)",
    )


def _kernel(x: Any, y: Any) -> Iterator[Case]:
    work = 4 * _N**2 * _WIDTH / 1e9
    limit = (
        f"products of {work:.0f} GFLOP in float32: {_seconds(work):.1f} s at the {_peak():.0f} GFLOP/s measured here"
    )
    peers = {"torchmetrics 1.9 (100 subsets of 1000)": lambda: _torchmetrics_kid(x, y)}
    yield Case(
        name=f"kernel distance over all pairs of 2 x {_N} features of width {_WIDTH}",
        ours=lambda: _afresh(x, y),
        peers=peers,
        agree=lambda a, b: abs(a.value - b[0]) < 4 * a.standard_error,
        targets=dict.fromkeys(peers, 3.5),
        limit=limit,
    )
    yield Case(
        name="kernel distance over 100 subsets of 1000 of the same",
        ours=lambda: kernel_distance_subsets(x, y),
        peers=peers,
        agree=lambda a, b: abs(a.mean - b[0]) < 0.7 * a.spread,
        limit=limit + ", and 10 GFLOP in float64 for the sums",
    )


def _neighbours(x: Any, y: Any) -> Iterator[Case]:
    work = 4 * _N**2 * _WIDTH / 1e9  # two symmetric products and one that is not
    yield Case(
        name=f"precision, recall, density and coverage of 2 x {_N} features of width {_WIDTH}",
        ours=lambda: neighbours(x, y),
        peers={"prdc 0.2": lambda: _prdc(x, y)},
        # prdc rounds distances of float32 features to float32, which moves a few of them over a radius.
        targets={"prdc 0.2": 4},
        agree=lambda a, b: all(abs(getattr(a, name).value - b[name]) < 2e-4 * max(b[name], 1) for name in _FOUR),
        limit=f"products of {work:.0f} GFLOP in float32: {_seconds(work):.1f} s at the {_peak():.0f} GFLOP/s measured",
    )


def _nearest(x: Any, y: Any) -> Iterator[Case]:
    work = 2 * _N**2 * _WIDTH / 1e9
    yield Case(
        name=f"distance of {_N} images to the nearest of {_N}, width {_WIDTH}",
        ours=lambda: memorisation(x, y).distance.value,
        peers={
            "torchmetrics 1.9 (double, as its states are)": lambda: float(
                _compute_cosine_distance(torch.from_numpy(x).double(), torch.from_numpy(y).double(), 1.0)
            )
        },
        agree=lambda a, b: abs(a - b) < 1e-6,
        limit=f"a product of {work:.0f} GFLOP in float32: {_seconds(work):.1f} s",
    )


def _cmmd(rng: np.random.Generator) -> Iterator[Case]:
    n, width = 10_000, 768
    x, y = (rng.standard_normal((n, width), dtype=np.float32) + 1 for _ in range(2))
    x += np.linspace(0, 0.1, width, dtype=np.float32)
    peers = {
        "Gram matrices in float64": lambda: _gram(x, y, torch.float64),
        "Gram matrices in float32 (cmmd-pytorch)": lambda: _gram(x, y, torch.float32),
    }
    work = 2 * n * width**2 / 1e9
    limit = f"two symmetric products, {work:.0f} GFLOP in float64 together: {2 * _seconds(work):.2f} s"
    yield Case(
        name=f"CMMD with its interval, 2 x {n} embeddings of width {width}",
        ours=lambda: cmmd(x, y).value,
        peers=peers,
        targets=dict.fromkeys(peers, 20),
        agree=lambda a, b: abs(a - b) < 7e-4,
        limit=limit,
    )
    yield Case(
        name="CMMD of the same from streamed moments, value alone",
        ours=lambda: UnitMoments.of(x).distance(UnitMoments.of(y)),
        peers=peers,
        agree=lambda a, b: abs(a - b) < 7e-4,
        limit=limit,
    )


def _afresh(x: Any, y: Any) -> Any:
    """Nothing remembered of the rounds before."""
    _within.forget()
    return kernel_distance(x, y)


def _torchmetrics_kid(x: Any, y: Any) -> tuple[float, float]:
    a, b = torch.from_numpy(x), torch.from_numpy(y)
    found = [float(poly_mmd(b[torch.randperm(_N)[:1000]], a[torch.randperm(_N)[:1000]])) for _ in range(100)]
    return float(np.mean(found)), float(np.std(found))


def _prdc(x: Any, y: Any) -> dict[str, float]:
    with contextlib.redirect_stdout(io.StringIO()):
        return {name: float(value) for name, value in compute_prdc(y, x, 5).items()}


def _gram(x: Any, y: Any, dtype: torch.dtype) -> float:
    """The published code: five Gram matrices, two of them for their diagonals."""
    a, b = (torch.from_numpy(side).to(dtype) for side in (x, y))
    a, b = a / a.norm(dim=1, keepdim=True), b / b.norm(dim=1, keepdim=True)
    square_a, square_b = torch.diag(a @ a.T), torch.diag(b @ b.T)

    def mean(p: Any, q: Any, left: Any, right: Any) -> Any:
        return torch.mean(torch.exp(-0.005 * (-2 * (p @ q.T) + left[:, None] + right[None, :])))

    inside = mean(a, a, square_a, square_a) + mean(b, b, square_b, square_b)
    return float(1000 * (inside - 2 * mean(a, b, square_a, square_b)))


def _peak(rounds: int = 3) -> float:
    """GFLOP/s of a large float32 product."""
    a = np.ones((2048, 2048), np.float32)
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        a @ a
        seconds.append(time.perf_counter() - start)
    return 2 * 2048**3 / min(seconds) / 1e9


def _seconds(work: float) -> float:
    return work / _peak()
