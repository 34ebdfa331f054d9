# SPDX-License-Identifier: Apache-2.0
"""Two other intervals of corrected shares, to hold `Correction.estimate` against: delta method and bootstrap."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from audit.stats._alike import robust_variance
from audit.stats._instrument import Array, Instrument, project_to_simplex
from audit.stats.annotator_error import Correction, SharesEstimate
from audit.stats.bootstrap import bootstrap_shares

__all__ = ["bootstrap_intervals", "delta_intervals", "delta_limits"]


def delta_intervals(
    correction: Correction, answers: Array | NDArray[np.int64], *, level: float = 0.95, clusters: Array | None = None
) -> SharesEstimate:
    """Estimate plus and minus z (with clusters t) standard errors by the delta method, clipped to [0, 1].

    For two groups and two answers this is `annotator_error.delta_interval`. Near 0 and 1, and with few counted errors,
    it covers too rarely.

    Args:
        correction: of the instrument.
        answers: counts of each answer, shape (r,).
        level: confidence level of each single share.
        clusters: counts of each answer by cluster, shape (G, r), which add up to ``answers``; None: independent images.

    Raises:
        ValueError: without answers that some group gave, or where the matrix is not identified.
    """
    counts = np.asarray(answers, dtype=np.float64)
    n = _usable(correction, counts)
    low, high = delta_limits(correction.instrument, counts, level=level, clusters=clusters)
    raw = correction.linear(counts)
    shares, units = project_to_simplex(raw), n if clusters is None else len(clusters)
    low, high = np.minimum(low, shares), np.maximum(high, shares)
    return SharesEstimate(shares, low, high, raw, n, units, "delta method")


def delta_limits(
    instrument: Instrument, answers: Array, *, level: float, clusters: Array | None = None
) -> tuple[Array, Array]:
    """Limits of whole batches: answers (..., r) and clusters (..., G, r) to two arrays (..., k)."""
    known = instrument.heard(answers)
    n, raw = known.sum(axis=-1)[..., None], instrument.linear(answers)
    far: NDArray[Any]
    within = (instrument.second - np.eye(raw.shape[-1])) / instrument.rows[..., None]
    matrix = np.einsum("...i,...ij->...j", raw**2, within)
    if clusters is None:
        images = ((known[..., None, :] @ instrument.scores**2)[..., 0, :] / n - raw**2) / n
        far = np.full_like(raw, special.ndtri((1 + level) / 2))
    else:
        robust = robust_variance(instrument, clusters * instrument.told[..., None, :], raw)
        images, far = robust.variance, special.stdtrit(np.maximum(robust.degrees, 1.0), (1 + level) / 2)
    half = far * np.sqrt(images + matrix)
    return np.clip(raw - half, 0.0, 1.0), np.clip(raw + half, 0.0, 1.0)


def bootstrap_intervals(
    correction: Correction,
    answers: Array | NDArray[np.int64],
    *,
    level: float = 0.95,
    clusters: Array | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> SharesEstimate:
    """Bias-corrected and accelerated bootstrap of images, or clusters, and of the confusion counts row by row.

    Args:
        correction: of the instrument.
        answers: counts of each answer, shape (r,).
        level: confidence level of each single share.
        clusters: counts of each answer by cluster, shape (G, r), which add up to ``answers``; None: independent images.
        draws: bootstrap samples.
        seed: same seed, same numbers.

    Raises:
        ValueError: without answers that some group gave, where the matrix is not identified, or its draws are not.
    """
    n = _usable(correction, np.asarray(answers, dtype=np.float64))
    table = np.asarray(answers if clusters is None else clusters, dtype=np.int64).reshape(
        -1, correction.counts.shape[1]
    )
    rows = np.repeat(np.arange(table.size), table.ravel())
    said, unit = rows % table.shape[1], None if clusters is None else rows // table.shape[1]
    found = bootstrap_shares(
        np.zeros_like(said), said, unit, shape=(1, table.shape[1]), correction=correction, draws=draws, seed=seed
    )
    low, high = (limit[0] for limit in found.intervals(level=level))
    raw, shares = correction.linear(table.sum(axis=0)), found.shares[0]
    low, high = np.minimum(low, shares), np.maximum(high, shares)
    return SharesEstimate(shares, low, high, raw, n, int(found.clusters[0]), f"BCa bootstrap, {draws} draws")


def _usable(correction: Correction, answers: Array) -> int:
    n = int(correction.heard(answers).sum())
    if n <= 0 or not correction.identified:
        raise ValueError("no answers, or a confusion matrix that cannot be undone")
    return n
