# SPDX-License-Identifier: Apache-2.0
"""How often two pictures of one prompt agree in a class, read by an instrument with measured error.

With class shares p, two independent pictures agree with probability sum of p squared. A pair of answers x, y gets the
product of their corrected scores s(x) . s(y) (Rogan and Gladen 1978 for k classes: the expected score of an answer is
p), so the mean over all pairs of a prompt is a U-statistic that estimates p . p without bias (Hoeffding 1948), for a
perfect instrument the share of pairs that agree.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

from audit.stats.annotator_error import Correction, project_to_simplex
from audit.stats.intervals import Interval, clopper_pearson

__all__ = ["MIN_PICTURES", "agreement", "agreement_shares"]

#: Pictures of a prompt under which leaving one out leaves no pair.
MIN_PICTURES = 3

Array = NDArray[np.float64]


def agreement(answers: Array, correction: Correction, *, level: float = 0.95) -> Interval:
    """Probability that two pictures of one prompt agree, mean over prompts, which are taken as fixed.

    The interval is a t interval on the delete-one jackknife over pictures within prompts (Efron and Stein 1981), to
    which the delta method adds the sampling of the confusion counts. Where no two pictures of any prompt got different
    answers the jackknife sees no variance; there the exact limit on the share of other answers bounds it.

    Args:
        answers: counts of each answer by prompt, shape (m, r), at least ``MIN_PICTURES`` pictures a prompt.
        correction: of the instrument, identified.
        level: confidence level.

    Raises:
        ValueError: no prompt, or one with too few pictures.
    """
    sizes = answers.sum(axis=1)
    if len(answers) < 1 or (sizes < MIN_PICTURES).any():
        raise ValueError(f"agreement needs prompts of at least {MIN_PICTURES} pictures each")
    kernel = correction.scores @ correction.scores.T
    value = float(_pairs(answers, kernel).mean())
    variance = float(_jackknife(answers, kernel).sum()) / len(answers) ** 2 + _matrix_variance(answers, correction)
    degrees = float((sizes - 1).sum())
    half = float(special.stdtrit(degrees, (1 + level) / 2)) * variance**0.5
    low, high, n = value - half, value + half, int(sizes.sum())
    if bool(((answers > 0).sum(axis=1) == 1).all()):
        # Shares of other answers up to d on average leave agreement of at least (1 - d)^2, by Jensen's inequality.
        low = min(low, clopper_pearson(n, n, level=level).low ** 2)
    value, low, high = (float(np.clip(x, 0.0, 1.0)) for x in (value, low, high))
    method = "t on the jackknife over pictures and the error of the confusion counts; prompts taken as fixed"
    return Interval(value, low, high, n, len(answers), method)


def agreement_shares(answers: Array, correction: Correction) -> Array:
    """Corrected shares of the classes, mean over prompts; (m, r) to (k,)."""
    return project_to_simplex(correction.linear(answers / answers.sum(axis=1, keepdims=True)).mean(axis=0))


def _pairs(answers: Array, kernel: Array) -> Array:
    """Mean of the kernel over the ordered pairs of each prompt, (m,)."""
    n = answers.sum(axis=1)
    found: Array = _total(answers, kernel) / (n * (n - 1))
    return found


def _total(answers: Array, kernel: Array) -> Array:
    together: Array = np.einsum("ma,ab,mb->m", answers, kernel, answers) - answers @ np.diagonal(kernel)
    return together


def _jackknife(answers: Array, kernel: Array) -> Array:
    """Jackknife variance of the mean over pairs of each prompt, (m,)."""
    n = answers.sum(axis=1)
    left = _total(answers, kernel)[:, None] - 2 * (answers @ kernel - np.diagonal(kernel))
    left = left / ((n - 1) * (n - 2))[:, None]
    away = left - (answers * left).sum(axis=1, keepdims=True) / n[:, None]
    variance: Array = (n - 1) / n * (answers * away**2).sum(axis=1)
    return variance


def _matrix_variance(answers: Array, correction: Correction) -> float:
    """What the sampling of the confusion counts adds, by the gradient of the mean of p . p along each row."""
    counts, rows = correction.counts, correction.rows
    shares = project_to_simplex(correction.linear(answers / answers.sum(axis=1, keepdims=True)))
    slope = 2 * np.einsum("mi,ma->ia", shares, shares @ correction.scores.T) / len(answers)
    # One pseudo-count a row: "no error among 500" is not "no error ever".
    smooth = (counts + 1 / counts.shape[1]) / (rows[:, None] + 1)
    spread = (smooth * slope**2).sum(axis=1) - (smooth * slope).sum(axis=1) ** 2
    return float((spread / rows).sum())
