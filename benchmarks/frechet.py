# SPDX-License-Identifier: Apache-2.0
"""Frechet distance at the usual width of 2048 features: ``python -m benchmarks.frechet``.

A limit is measured, not looked up: the one LAPACK or BLAS call that no method here can do without, timed in the same
interleaved rounds as a peer. Its ratio below 1 says how near to it we are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import scipy.linalg
import torch
from torchmetrics.image.fid import _compute_fid

from audit.stats._blas import times
from audit.stats.frechet import Moments, frechet, frechet_from_features, frechet_from_moments
from benchmarks._measure import Case, report

__all__ = ["cases"]

_WIDTH = 2048


def cases() -> Iterator[Case]:
    """From statistics, from few images (fewer than features), and corrected with standard error from many."""
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((_WIDTH, _WIDTH)) / np.sqrt(_WIDTH)
    draw = lambda n: np.maximum(rng.standard_normal((n, _WIDTH)) @ mixing, 0.0).astype(np.float32)  # noqa: E731
    x, y = draw(5000), draw(5000) + np.float32(0.05)
    yield _statistics(x, y)
    yield _few(x[:500], y[:500])
    yield _corrected(x, y)


def _statistics(x: Any, y: Any) -> Case:
    ours = Moments.of(x), Moments.of(y)
    theirs = [part for moments in ours for part in (moments.mean, moments.covariance)]
    return Case(
        name="Frechet distance from statistics of width 2048",
        ours=lambda: frechet_from_moments(*ours),
        peers={
            "torchmetrics (eigvals)": lambda: _torchmetrics(*theirs),
            "scipy sqrtm (pytorch-fid, clean-fid)": lambda: _sqrtm(*theirs),
            "the limit": _limit(lambda: scipy.linalg.eigvalsh(theirs[1], check_finite=False)),
        },
        agree=lambda p, q: q is None or abs(p - q) < 1e-6 * max(abs(p), 1.0),
        limit="eigenvalues of one symmetric 2048 x 2048 matrix, without forming it",
        targets={"torchmetrics (eigvals)": 5, "scipy sqrtm (pytorch-fid, clean-fid)": 15},
    )


def _few(x: Any, y: Any) -> Case:
    cross = x.astype(np.float64), y.astype(np.float64).T
    square = np.cov(cross[0])
    return Case(
        name="Frechet distance from 2 x 500 features of width 2048",
        ours=lambda: frechet_from_features(x, y),
        peers={
            "torchmetrics (its moments, eigvals)": lambda: _torchmetrics(*_moments(x), *_moments(y)),
            "the limit": _limit(lambda: (times(*cross), scipy.linalg.eigvalsh(square, check_finite=False))),
        },
        agree=lambda p, q: q is None or abs(p - q) < 1e-3,  # theirs is off by rounding noise
        limit="one 500 x 2048 x 500 product and the eigenvalues of a 500 x 500 matrix",
        targets={"torchmetrics (its moments, eigvals)": 120},
    )


def _corrected(x: Any, y: Any) -> Case:
    square = np.cov(x[:3000].T)
    wide = x.astype(np.float64)
    return Case(
        name="corrected Frechet distance with standard error, 2 x 5,000 features of width 2048",
        ours=lambda: frechet(x, y).raw,
        peers={
            "two plug-in values of torchmetrics": lambda: _twice(x, y),
            "the limit": _limit(
                lambda: (scipy.linalg.eigh(square, check_finite=False), times(wide, square), times(wide.T, wide))
            ),
        },
        agree=lambda p, q: q is None or abs(p - q) < 1e-6 * max(abs(p), 1.0),
        limit="one eigendecomposition of 2048 x 2048, and a covariance and a 5,000 x 2048 x 2048 product of one side",
        targets={"two plug-in values of torchmetrics": 1},
    )


def _limit(work: Callable[[], Any]) -> Callable[[], None]:
    """The work, without a value to agree with."""

    def done() -> None:
        work()

    return done


def _moments(x: Any) -> tuple[Any, Any]:
    """As torchmetrics accumulates them, in one batch."""
    features = torch.from_numpy(x).double()
    mean = features.sum(dim=0) / len(features)
    scatter = features.t().mm(features) - len(features) * mean[:, None].mm(mean[None])
    return mean.numpy(), (scatter / (len(features) - 1)).numpy()


def _twice(x: Any, y: Any) -> float:
    """Two generators' worth of their number, with neither correction nor error."""
    return [_torchmetrics(*_moments(x), *_moments(y)) for _ in range(2)][1]


def _torchmetrics(*statistics: Any) -> float:
    return float(_compute_fid(*(torch.from_numpy(part) for part in statistics)))


def _sqrtm(mean: Any, covariance: Any, other_mean: Any, other: Any) -> float:
    root = scipy.linalg.sqrtm(covariance @ other)
    step = mean - other_mean
    return float(step @ step + np.trace(covariance) + np.trace(other) - 2 * np.trace(root).real)


if __name__ == "__main__":
    for case in cases():
        for line in report(case):
            print(line, flush=True)
