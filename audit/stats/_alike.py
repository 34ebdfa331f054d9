# SPDX-License-Identifier: Apache-2.0
"""How much images of one cluster (prompt, seed) are alike, and how well that is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audit.stats._instrument import Array, Instrument

__all__ = ["Alike", "Robust", "alike", "robust_variance"]

#: What is believed before the data: two pseudo-images in clusters of this intraclass correlation. Few clusters with a
#: rare group show no variation between them, and that is no evidence that there is none.
_CORRELATION, _PSEUDO_IMAGES = 0.3, 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Alike:
    """Likeness of the images of a cluster, by group.

    Attributes:
        most: (..., 1) what ``between`` is where the images of a cluster are always of one group.
        between: (..., k) excess variance of the share p that clusters cause is ``between * p * (1 - p)``.
        sampling: (..., k) variance of the share from the sampling of the images.
        guessed: (..., k) the part of it that is as uncertain as ``degrees`` say: the excess, and half of the variance
            of independent images, which the shares give but the estimate of the excess leans on.
        degrees: (..., 1) degrees of freedom of the estimate.
    """

    most: Array
    between: Array
    sampling: Array
    guessed: Array
    degrees: Array


@dataclass(frozen=True, slots=True, eq=False)
class Robust:
    """Cluster-robust variance of the linear estimate, each (..., k), degrees (..., 1).

    Attributes:
        variance: Liang and Zeger (1986), made free of bias for the correlation that is believed.
        alone: variance if images were independent.
        degrees: of freedom of ``variance`` for normal clusters (Bell and McCaffrey 2002); G - 1 for equal clusters.
        informed: the same, lowered where the fourth moment shows that a few clusters make up the variance.
    """

    variance: Array
    alone: Array
    degrees: Array
    informed: Array


def robust_variance(instrument: Instrument, table: Array, raw: Array) -> Robust:
    """Cluster-robust variance of the linear estimate.

    Args:
        instrument: k groups, r answers.
        table: counts of answers that are heard, by cluster, shape (..., G, r).
        raw: linear estimate, (..., k).
    """
    sizes = table.sum(axis=-1)
    n = sizes.sum(axis=-1)[..., None]
    away = table @ instrument.scores - sizes[..., None] * raw[..., None, :]
    second, fourth = (away**2).sum(axis=-2), (away**4).sum(axis=-2)
    whole, trace, square = _moments(sizes, n)
    degrees = trace**2 / np.maximum(square, 1e-300)
    # Satterthwaite (1946) with the variance of squares as it is seen instead of that of normal clusters.
    spread = fourth - second**2 / np.maximum((sizes > 0).sum(axis=-1)[..., None], 1)
    informed = np.where(second > 0, 2 * second**2 / np.maximum(spread, 1e-9 * second**2 + 1e-300), degrees)
    total = table.sum(axis=-2)
    alone = np.maximum((total[..., None, :] @ instrument.scores**2)[..., 0, :] / n - raw**2, 0.0) / n
    variance = second * (whole / np.maximum(trace, 1e-300)) / n**2
    return Robust(variance, alone, degrees, np.minimum(degrees, informed))


def _moments(sizes: Array, n: Array) -> tuple[Array, Array, Array]:
    """Working variance of the total, and the trace of the covariance of cluster residuals and of its square; (..., 1).

    Residuals are totals less their part of the whole, so their covariance is that of the totals plus rank two.
    """
    share, totals = sizes / n, sizes * (1 + np.maximum(sizes - 1, 0.0) * _CORRELATION)
    whole = totals.sum(axis=-1, keepdims=True)
    a = (share**2).sum(axis=-1, keepdims=True)
    b = (share * totals).sum(axis=-1, keepdims=True)
    c = (totals**2).sum(axis=-1, keepdims=True)
    cross = (totals * (whole * share**2 - 2 * share * totals)).sum(axis=-1, keepdims=True)
    square = c + 2 * cross + 2 * (b**2 + a * c) - 4 * whole * a * b + (whole * a) ** 2
    return whole, whole - 2 * b + a * whole, square


def alike(instrument: Instrument, table: Array, raw: Array, shares: Array) -> Alike:
    """Intraclass correlation of each group, moved towards what is believed before the data.

    Degrees of freedom that a few clusters with nearly all of the variance cost are filled with the belief.

    Args:
        instrument: k groups, r answers.
        table: counts of answers that are heard, by cluster, shape (..., G, r).
        raw: linear estimate, (..., k).
        shares: the same projected onto the simplex.
    """
    found = robust_variance(instrument, table, raw)
    sizes = table.sum(axis=-1)
    n = sizes.sum(axis=-1)[..., None]
    others = (sizes**2).sum(axis=-1)[..., None] / n - 1  # images that an image shares its cluster with
    pseudo = _PSEUDO_IMAGES / n
    seen = n * (found.variance - found.alone) + pseudo * _CORRELATION * others
    correlation = seen / np.maximum((shares * (1 - shares) + pseudo) * others, 1e-9)
    weight = found.informed / np.maximum(found.degrees, 1e-9)
    correlation = np.clip(weight * correlation + (1 - weight) * _CORRELATION, 0.0, 1.0)
    between = correlation * others / n
    smooth = (n * shares + 1) / (n + 2)
    excess = between * smooth * (1 - smooth)
    degrees = np.maximum(found.degrees, 1.0)
    return Alike(others / n, between, found.alone + excess, found.alone / 2 + excess, degrees)
