# SPDX-License-Identifier: Apache-2.0
"""Inception score of class logits, of all images at once with its standard error, and over splits as published.

IS = exp(E KL(p(class | image) || p(class))) (Salimans et al. 2016, eq. 1): the exponential of the mutual information of
image and class. The plug-in value is too small: p(class) is the mean over the very images it is compared with, so each
pulls it towards itself, by about (C - 1) / 2n on the logarithm at worst. The jackknife takes that off to first order;
left out image by image it has a closed form.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

import numpy as np
from numpy.typing import NDArray
from scipy import special

from audit.stats._products import Array, Features, cuts

__all__ = ["InceptionScore", "Splits", "inception_score", "inception_score_splits"]

_BLOCK = 256


@dataclass(frozen=True, slots=True)
class InceptionScore:
    """An inception score of all images.

    Attributes:
        value: bias-corrected by the jackknife on the logarithm.
        low, high: t interval on the logarithm.
        standard_error: of ``value``, by the delta method: an image's share in the logarithm is its own divergence.
        raw: plug-in value.
        n: images. classes: of the logits.
        method: in words.
    """

    value: float
    low: float
    high: float
    standard_error: float
    raw: float
    n: int
    classes: int
    method: str


@dataclass(frozen=True, slots=True, eq=False)
class Splits:
    """Inception score as commonly printed.

    Attributes:
        mean: of the splits' scores; falls with the number of images a split.
        spread: their standard deviation with divisor splits - 1 (torchmetrics).
        spread_population: with divisor splits (torch-fidelity).
        values: one each split.
        seed: of the order of images.
    """

    mean: float
    spread: float
    spread_population: float
    values: Array
    seed: int


def inception_score(logits: Features, *, level: float = 0.95) -> InceptionScore:
    """Inception score of logits (n, C), n at least 10, C at least 2.

    Args:
        logits: before the softmax, of the classes the published network has or any others.
        level: confidence level.

    Raises:
        ValueError: for another shape, too few rows, or numbers that are not finite.
    """
    _check(logits, 10)
    n, classes = logits.shape
    within, marginal = _entropies(logits)
    left = np.empty(n)
    for cut in cuts(n, _BLOCK):
        rest = (n * marginal - _probabilities(logits[cut])) / (n - 1)
        left[cut] = special.entr(np.maximum(rest, 0.0)).sum(axis=1)
    total = float(special.entr(marginal).sum())
    raw = total - float(within.mean())
    without = left - (within.sum() - within) / (n - 1)
    corrected = raw + (n - 1) * (raw - float(without.mean()))
    # The influence of an image on the information is its divergence, up to a constant; the jackknife's pseudo-values
    # differ from it by terms of order 1 / n and keep what they share with the correction.
    error = ((n - 1) * float(np.var(without))) ** 0.5
    half = float(special.stdtrit(n - 1, (1 + level) / 2)) * error
    return InceptionScore(
        value=exp(corrected),
        low=exp(corrected - half),
        high=exp(corrected + half),
        standard_error=exp(corrected) * error,
        raw=exp(raw),
        n=n,
        classes=classes,
        method="all images; jackknife on the logarithm, t interval",
    )


def inception_score_splits(
    logits: Features, *, splits: int = 10, seed: int = 0, order: NDArray[np.integer] | None = None
) -> Splits:
    """Inception score over ``splits`` parts of the images in random order, to set beside figures computed so.

    Args:
        logits: (n, C), n at least 2 * splits.
        splits: parts of ceil(n / splits) images, the last one smaller.
        seed: of the order of images.
        order: to take instead of a random one, (n,).

    Raises:
        ValueError: for another shape, too few rows, or numbers that are not finite.
    """
    _check(logits, 2 * splits)
    rows = np.random.default_rng(seed).permutation(len(logits)) if order is None else order
    values = []
    for cut in cuts(len(rows), -(-len(rows) // splits)):
        within, marginal = _entropies(logits[rows[cut]])
        values.append(exp(float(special.entr(marginal).sum()) - float(within.mean())))
    found = np.array(values)
    return Splits(float(found.mean()), float(found.std(ddof=1)), float(found.std()), found, seed)


def _check(logits: Features, least: int) -> None:
    if logits.ndim != 2 or logits.shape[1] < 2:
        raise ValueError(f"logits must be (n, C) with C at least 2, got {logits.shape}")
    if len(logits) < least:
        raise ValueError(f"needs {least} rows, got {len(logits)}")
    if not np.isfinite(logits).all():
        raise ValueError("logits must be finite")


def _probabilities(logits: Features) -> Array:
    return np.asarray(special.softmax(logits.astype(np.float64), axis=1))


def _entropies(logits: Features) -> tuple[Array, Array]:
    """Entropy of each image's classes, (n,), and the mean over images of their probabilities, (C,)."""
    within, marginal = np.empty(len(logits)), np.zeros(logits.shape[1])
    for cut in cuts(len(logits), _BLOCK):
        p = _probabilities(logits[cut])
        within[cut] = special.entr(p).sum(axis=1)
        marginal += p.sum(axis=0)
    return within, marginal / len(logits)
