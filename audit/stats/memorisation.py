# SPDX-License-Identifier: Apache-2.0
"""How near generated images are to training images, and the memorisation-informed Frechet distance MiFID.

d(x) = min over training images t of 1 - |cos(x, t)| for a generated image x; m is the mean of d over generated images,
and MiFID = FD / m where m is below a threshold, FD otherwise (Bai et al. 2021, section 3.2). The direction matters: a
generator that replays a few training images is near the training set, while most of the training set is far from it.

An image is near a large training set by chance. Where real images that were not trained on are given, their distances
say how near: the difference of the two means is what the generator adds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from audit.stats._products import Array, Features, checked_pair, cuts

__all__ = ["Mean", "Memorisation", "memorisation", "mifid", "nearest_distances"]

_TINY = 1e-15

Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over images, the training set taken as fixed, with its t interval.

    Attributes:
        value: the mean, or the difference of two.
        low, high: t interval (Welch's for a difference). standard_error: of ``value``.
        n: images. m: training images.
        method: in words.
    """

    value: float
    low: float
    high: float
    standard_error: float
    n: int
    m: int
    method: str


@dataclass(frozen=True, slots=True, eq=False)
class Memorisation:
    """Distances of generated images to their nearest training images.

    Attributes:
        distance: mean, m of MiFID.
        baseline: mean over held-out real images; None without them.
        excess: ``baseline`` less ``distance``: above 0 where generated images are nearer than real ones come by chance.
        auc: probability that a generated image is nearer than a held-out one, ties half (Mann and Whitney 1947).
        p_value: one-sided, that generated images are not nearer.
        distances: one each generated image, (n,). nearest: which training image, (n,).
    """

    distance: Mean
    baseline: Mean | None
    excess: Mean | None
    auc: float | None
    p_value: float | None
    distances: Array
    nearest: Codes


def memorisation(
    generated: Features, training: Features, held_out: Features | None = None, *, level: float = 0.95
) -> Memorisation:
    """Distances of generated images to the training set, and how they compare with those of held-out images.

    Args:
        generated: features, (n, D), n at least 2.
        training: features of the images trained on, (m, D).
        held_out: features of real images not trained on, (h, D), h at least 2.
        level: confidence level.

    Raises:
        ValueError: for shapes that do not go together, too few rows, or features without a direction.
    """
    checked_pair(generated, generated, least=2)
    found, who = nearest_distances(generated, training)
    distance = _mean(found, len(training), level)
    if held_out is None:
        return Memorisation(distance, None, None, None, None, found, who)
    checked_pair(held_out, held_out, least=2)
    others, _ = nearest_distances(held_out, training)
    test = stats.mannwhitneyu(others, found, alternative="greater")
    return Memorisation(
        distance=distance,
        baseline=_mean(others, len(training), level),
        excess=_difference(others, found, len(training), level),
        auc=float(test.statistic) / (len(others) * len(found)),
        p_value=float(test.pvalue),
        distances=found,
        nearest=who,
    )


def mifid(frechet_distance: float, distance: float, *, threshold: float = 0.1) -> float:
    """Memorisation-informed Frechet distance.

    Args:
        frechet_distance: of generated and training features.
        distance: mean distance to the nearest training image, by :func:`memorisation`.
        threshold: from here on nothing is taken to be memorised; 0.1 is published for Inception features.
    """
    return frechet_distance / (distance + _TINY) if distance < threshold else frechet_distance


def nearest_distances(x: Features, training: Features) -> tuple[Array, Codes]:
    """1 - |cosine| of each row to the training row it is nearest to, and which that is: (n,), (n,).

    The nearest is found in float32 and its distance computed in float64 as half the squared distance of unit vectors,
    which keeps its digits for copies.

    Raises:
        ValueError: for shapes that do not go together, or rows without a direction.
    """
    checked_pair(x, training, least=1)
    best, who = np.full(len(x), -1.0, np.float32), np.zeros(len(x), np.int64)
    lengths = _lengths(x), _lengths(training)
    for columns in cuts(len(training)):
        right = _unit(training, columns, lengths[1])
        for rows in cuts(len(x)):
            cosine = _unit(x, rows, lengths[0]) @ right.T
            np.abs(cosine, out=cosine)
            at = cosine.argmax(axis=1)
            top = cosine[np.arange(len(at)), at]
            better = top > best[rows]
            best[rows] = np.where(better, top, best[rows])
            who[rows] = np.where(better, at + columns.start, who[rows])
    return _apart(x, training, who, lengths), who


def _apart(x: Features, training: Features, who: Codes, lengths: tuple[Array, Array]) -> Array:
    out = np.empty(len(x))
    for cut in cuts(len(x)):
        a, b = x[cut] / lengths[0][cut, None], training[who[cut]] / lengths[1][who[cut], None]
        sign = np.where(np.einsum("nd,nd->n", a, b) < 0, -1.0, 1.0)
        step = a - sign[:, None] * b
        out[cut] = np.einsum("nd,nd->n", step, step) / 2
    return out


def _unit(x: Features, cut: slice, lengths: Array) -> Features:
    return (x[cut] / lengths[cut, None]).astype(np.float32)


def _lengths(x: Features) -> Array:
    squares = [np.einsum("nd,nd->n", x[cut], x[cut], dtype=np.float64) for cut in cuts(len(x))]
    lengths = np.sqrt(np.concatenate(squares))
    if not (lengths > 0).all():
        raise ValueError("a feature vector of length 0 has no direction")
    return np.asarray(lengths)


def _mean(found: Array, m: int, level: float) -> Mean:
    error, value = float(found.std(ddof=1)) / len(found) ** 0.5, float(found.mean())
    half = float(special.stdtrit(len(found) - 1, (1 + level) / 2)) * error
    return Mean(value, max(0.0, value - half), value + half, error, len(found), m, "mean over images; t interval")


def _difference(real: Array, made: Array, m: int, level: float) -> Mean:
    parts = [float(side.var(ddof=1)) / len(side) for side in (real, made)]
    value, error = float(real.mean() - made.mean()), sum(parts) ** 0.5
    below = sum(part**2 / (len(side) - 1) for part, side in zip(parts, (real, made), strict=True))
    df = error**4 / below if below > 0 else float(len(real) + len(made) - 2)
    half = float(special.stdtrit(df, (1 + level) / 2)) * error
    return Mean(value, value - half, value + half, error, len(made), m, "difference of means; Welch t interval")
