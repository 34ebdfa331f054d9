# SPDX-License-Identifier: Apache-2.0
"""Prediction-powered inference: people's labels on some images, an instrument's answers on all of them.

The instrument's answers narrow the interval as far as they agree with people, and its errors cannot bias it: the
labels come from the same generator, so nothing has to carry over from photographs on which the instrument was
measured. Angelopoulos et al. (2023a), "Prediction-powered inference", Science 382; power tuning of (2023b), "PPI++",
arXiv:2311.01453. For shares it is the difference estimator of survey sampling (Saerndal, Swensson and Wretman 1992,
ch. 6) on a two-phase sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from audit.stats.intervals import Interval

__all__ = ["PredictionPowered", "indicators", "ppi_mean", "ppi_shares"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PredictionPowered:
    """An estimate from labels and answers.

    Attributes:
        interval: the estimate; its n counts images with a label, its clusters what was independent of each other.
        lam: weight of the answers, 0 (labels alone) to 1.
        answered: images with an answer.
        gain: variance from the labels alone over the variance here; 2 means half the labels would have done.
    """

    interval: Interval
    lam: float
    answered: int
    gain: float


def indicators(values: Sequence[Any] | NDArray[Any], groups: Sequence[str]) -> Array:
    """One-hot rows, shape (n, k); a value that is no group ("could not tell", missing) is a row of zeros."""
    column = np.asarray([str(value) for value in values], dtype=object)
    return np.stack([(column == group).astype(np.float64) for group in groups], axis=1)


def ppi_mean(
    labels: Array,
    answers: Array,
    rest: Array,
    *,
    lam: float | None = None,
    clusters: tuple[NDArray[Any], NDArray[Any]] | None = None,
    quantile: Literal["z", "t"] = "z",
    level: float = 0.95,
) -> PredictionPowered | None:
    """Mean, or share, over all images (Angelopoulos et al. 2023a, algorithm 1; 2023b for the tuned weight).

    theta = mean(labels) + lam (mean(rest) - mean(answers)); the variances of labels - lam answers and of lam rest
    are added. As published they have divisors n and m and the quantile is the normal one: too short for few labels.

    Args:
        labels: what people said of the labelled images, shape (n,).
        answers: what the instrument said of the same images, shape (n,).
        rest: what it said of images without a label, shape (m,); the labelled ones are a random sample of all.
        lam: weight of the answers in [0, 1], 0 for the labels alone; None for the weight of least variance.
        clusters: names of the clusters of the labelled images and of the rest, shapes (n,) and (m,).
        quantile: "t" for u - 1 degrees of freedom with u independent labelled units, and variances times u / (u - 1).
        level: confidence level.

    Returns:
        The estimate, None with fewer than two independent labelled units or fewer than two images in the rest.
    """
    n, m = len(labels), len(rest)
    names = None if clusters is None else np.concatenate([np.asarray(column).astype(str) for column in clusters])
    units, seen = _named(names, n + m, np.arange(n))
    if seen < 2 or m < 2:
        return None
    weight = _tuned(labels, answers, rest) if lam is None else float(lam)
    residual = labels - weight * answers
    value = float(residual.mean() + weight * rest.mean())
    influence = np.concatenate([_centred(residual) / n, weight * _centred(rest) / m])
    alone = np.concatenate([_centred(labels) / n, np.zeros(m)])
    variance, before = (float(x) for x in _variance(np.stack([influence, alone], axis=1), units))
    z, wider = (_t(seen, level), seen / (seen - 1)) if quantile == "t" else (float(special.ndtri((1 + level) / 2)), 1.0)
    half = z * (variance * wider) ** 0.5
    method = f"prediction-powered, {quantile}" + (f" over {seen} labelled clusters" if clusters else "")
    gain = before / variance if variance > 0 else 1.0
    return PredictionPowered(Interval(value, value - half, value + half, n, seen, method), weight, n + m, gain)


def ppi_shares(
    labels: Array,
    answers: Array,
    rows: NDArray[np.int64],
    *,
    inclusion: Array | None = None,
    lam: float | None = None,
    clusters: NDArray[Any] | None = None,
    told: bool = False,
    level: float = 0.95,
) -> tuple[PredictionPowered, ...] | None:
    """Shares of k groups, each from people's labels and with its own tuned weight.

    Answers may be one-hot (`indicators`), corrected scores or probabilities: any number that goes with the label helps,
    none misleads. The linearised variance carries the drawing of the images and that of those for labelling, as if one
    by one, which is on the safe side of a fixed number a stratum. On top comes t^2 / (2 n^2): where neither a label nor
    an answer names a group, its interval ends not far from where Wilson's does, and not at 0.

    The k shares are estimated one by one and need not sum to exactly 1. A tuned weight costs a bias of order 1 / n:
    where none of few labels names a rare group, its share is that of the labels alone; ``lam=1`` avoids that.

    Args:
        labels: one-hot labels by people, shape (n, k); zeros where a person could not tell.
        answers: the instrument's answers on all images, labelled ones too, shape (N, k).
        rows: which rows of ``answers`` the labels belong to, shape (n,), no row twice.
        inclusion: chance with which each labelled image was drawn for labelling, shape (n,); only ratios count.
        lam: weight of the answers in [0, 1] for every group; None for tuned ones.
        clusters: name of the cluster of each image, shape (N,); None where images are independent.
        told: shares among images whose group a person could tell, instead of among all.
        level: confidence level of each single share.

    Returns:
        One estimate a group; None with fewer than two independent labelled units, or where nobody could ever tell.

    Raises:
        ValueError: shapes that do not fit, a row twice, or an inclusion probability outside (0, 1].
    """
    _check(labels, answers, rows, inclusion)
    total, k = answers.shape
    units, seen = _named(clusters, total, rows)
    if seen < 2 or (told and not labels.any()):
        return None
    weights = _weights(inclusion, len(rows))
    effective = float((labels.any(axis=1).mean() if told else 1.0) / (weights**2).sum())
    if told:
        labels, answers = (np.hstack([x, x.sum(axis=1, keepdims=True)]) for x in (labels, answers))
    tuned = _tuned_each(labels, answers[rows], weights) if lam is None else np.full(labels.shape[1], float(lam))
    (value, influence), (_, alone) = (
        _two_phase(labels, answers, rows, weights=weights, lam=each, told=told) for each in (tuned, 0.0 * tuned)
    )
    t, wider = _t(seen, level), seen / (seen - 1)
    variance, before = (_variance(x, units) * wider + (t / effective) ** 2 / 2 for x in (influence, alone))
    method = "prediction-powered, t" + ("" if clusters is None else f" over {seen} labelled clusters")
    middle = np.clip(value, 0.0, 1.0)
    low, high = (np.clip(middle + way * t * np.sqrt(variance), 0.0, 1.0) for way in (-1, 1))
    found = []
    for j in range(k):
        interval = Interval(float(middle[j]), float(low[j]), float(high[j]), len(rows), seen, method)
        found.append(PredictionPowered(interval, float(tuned[j]), total, float(before[j] / variance[j])))
    return tuple(found)


def _check(labels: Array, answers: Array, rows: NDArray[np.int64], inclusion: Array | None) -> None:
    if labels.ndim != 2 or answers.ndim != 2 or labels.shape[1] != answers.shape[1] or len(rows) != len(labels):
        raise ValueError(f"labels {labels.shape}, answers {answers.shape} and {len(rows)} rows do not fit together")
    if len(np.unique(rows)) != len(rows):
        raise ValueError("an image is labelled in two rows: settle its label first")
    if inclusion is not None and (inclusion.shape != rows.shape or not ((inclusion > 0) & (inclusion <= 1)).all()):
        raise ValueError("inclusion probabilities must be one a label, above 0 and at most 1")


def _weights(inclusion: Array | None, n: int) -> Array:
    """Inverse inclusion probabilities, sum 1."""
    raw = np.ones(n) if inclusion is None else 1 / inclusion
    weights: Array = raw / raw.sum()
    return weights


def _named(clusters: NDArray[Any] | None, total: int, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Number of the unit of each image, and how many units have a label."""
    if clusters is None:
        return np.arange(total), len(rows)
    units = np.unique(np.asarray(clusters).astype(str), return_inverse=True)[1]
    return units, len(np.unique(units[rows]))


def _two_phase(
    labels: Array, answers: Array, rows: NDArray[np.int64], *, weights: Array, lam: Array, told: bool
) -> tuple[Array, Array]:
    """Difference estimator of k means, (k,), and each image's influence on it, (N, k); weights sum to 1.

    Where ``told``, the last column counts who could tell, and the others are taken over it by the delta method.
    """
    total = len(answers)
    residual = labels - lam * answers[rows]
    corrected = weights @ residual
    value: Array = lam * answers.mean(axis=0) + corrected
    influence: Array = lam * _centred(answers) / total
    influence[rows] += weights[:, None] * (residual - corrected)
    if not told:
        return value, influence
    # Answers that abstain where people can tell may bring the estimate of who can tell to 0; its share then to 1.
    base = max(float(value[-1]), 1.0 / total)
    share = value[:-1] / base
    return share, (influence[:, :-1] - share * influence[:, -1:]) / base


def _tuned(labels: Array, answers: Array, rest: Array) -> float:
    """Weight of least variance (Angelopoulos et al. 2023b), as their package estimates it."""
    n, m = len(labels), len(rest)
    if n < 2 or m < 1:
        return 0.0
    spread = float(np.var(np.concatenate([answers, rest]), ddof=1))
    together = float(_centred(labels) @ _centred(answers)) / n
    return float(np.clip(together / ((1 + n / m) * spread), 0.0, 1.0)) if spread > 0 else 0.0


def _tuned_each(labels: Array, seen: Array, weights: Array) -> Array:
    """Slope of each label on its answer, (k,): the same optimum where the mean runs over all images."""
    around_labels, around = labels - weights @ labels, seen - weights @ seen
    spread, together = weights @ around**2, weights @ (around_labels * around)
    tuned: Array = np.where(spread > 1e-12, np.clip(together / np.maximum(spread, 1e-12), 0.0, 1.0), 0.0)
    return tuned


def _variance(influence: Array, units: NDArray[np.int64]) -> Array:
    """Variance of k sums of influences, (N, k) to (k,), with whole units independent of each other."""
    count = int(units.max()) + 1
    sums = np.stack([np.bincount(units, weights=column, minlength=count) for column in influence.T])
    variance: Array = (sums**2).sum(axis=1)
    return variance


def _t(units: int, level: float) -> float:
    return float(special.stdtrit(units - 1, (1 + level) / 2))


def _centred(values: Array) -> Array:
    found: Array = values - values.mean(axis=0)
    return found
