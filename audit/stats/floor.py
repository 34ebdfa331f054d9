# SPDX-License-Identifier: Apache-2.0
"""Finite-sample floor: what a generator that matches the reference exactly would score at this number of images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from audit.stats.annotator_error import Correction, project_to_simplex

__all__ = ["Floor", "binomial_floor", "correction_floor", "multinomial_floor", "total_variation_radius"]


@dataclass(frozen=True, slots=True)
class Floor:
    """Expected distances of a perfect generator.

    Attributes:
        gap: expected |share - reference| by group, shape (k,).
        tv: expected total variation distance.
    """

    gap: tuple[float, ...]
    tv: float


def binomial_floor(n: int, p: float) -> float:
    """Expected |X/n - p| for X binomial, in closed form (de Moivre 1730; Diaconis and Zabell 1991, eq. 1.1)."""
    if n < 1 or not 0.0 <= p <= 1.0:
        raise ValueError(f"needs n >= 1 and 0 <= p <= 1, got n={n}, p={p}")
    if p in {0.0, 1.0}:
        return 0.0
    v = int(np.floor(n * p)) + 1
    return float(2 * v * (1 - p) * stats.binom.pmf(v, n, p)) / n


def multinomial_floor(n: int, reference: tuple[float, ...]) -> Floor:
    """Floor of shares counted without error: half the sum of binomial floors is the expected total variation."""
    gap = tuple(binomial_floor(n, p) for p in reference)
    return Floor(gap, sum(gap) / 2)


@lru_cache(maxsize=4096)
def correction_floor(
    n: int,
    reference: tuple[float, ...],
    counts: tuple[tuple[int, ...], ...],
    *,
    seed: int = 0,
    reps: int = 2000,
) -> Floor:
    """Floor of shares seen through a classifier and corrected for it.

    Every repetition draws a true confusion matrix around the measured one (Dirichlet, one pseudo-count a row), answers
    of ``n`` images of a generator with the reference shares, and corrects them with the measured matrix: what the
    instrument does to a perfect generator.

    Args:
        n: images.
        reference: share of each of the k groups, sum 1.
        counts: confusion counts, k rows of r.
        seed: same seed, same numbers.
        reps: repetitions.
    """
    correction = Correction(np.asarray(counts, dtype=np.float64))
    answers = draw_answers(correction, np.asarray(reference), n=n, seed=seed, reps=reps)
    away = np.abs(correction.shares(answers / n) - np.asarray(reference))
    return Floor(tuple(float(x) for x in away.mean(axis=0)), float(away.sum(axis=1).mean() / 2))


def draw_answers(
    correction: Correction, shares: NDArray[np.float64], *, n: int, seed: int, reps: int
) -> NDArray[np.float64]:
    """Answers of ``n`` images in ``reps`` repetitions, both sources of error drawn; shape (reps, r)."""
    rng = np.random.default_rng(seed)
    alpha = correction.counts + 1.0 / correction.counts.shape[1]
    gammas = rng.standard_gamma(alpha, size=(reps, *alpha.shape))
    matrices = gammas / gammas.sum(axis=2, keepdims=True)
    answers: NDArray[np.float64] = rng.multinomial(n, shares @ matrices).astype(np.float64)
    return answers


@lru_cache(maxsize=4096)
def total_variation_radius(
    answers: tuple[int, ...],
    counts: tuple[tuple[int, ...], ...],
    *,
    level: float,
    size: int | None = None,
    seed: int = 0,
    reps: int = 2000,
) -> float:
    """Radius of the total-variation ball around the corrected shares that holds the true ones at ``level``.

    Parametric bootstrap of both sources of error. By the triangle inequality the distance to any reference then lies
    within the radius of its estimate: safe where the truth is the reference itself and percentile intervals of a
    distance, which cannot reach 0, always fail.

    Args:
        answers: counts of each answer, r of them.
        counts: confusion counts, k rows of r.
        level: confidence level.
        size: independent images that the answers are worth (`SharesEstimate.effective`); None: all of them.
        seed: same seed, same numbers.
        reps: repetitions.
    """
    correction = Correction(np.asarray(counts, dtype=np.float64))
    n, k = sum(answers), len(counts)
    shares = correction.shares(np.asarray(answers) / n)
    # One pseudo-image: a group that was not seen may still be there.
    centre = (n * shares + 1.0 / k) / (n + 1.0)
    size = n if size is None else size
    drawn = draw_answers(correction, centre, n=size, seed=seed, reps=reps)
    raw = correction.linear(drawn / size)
    away = np.abs(project_to_simplex(raw) - centre).sum(axis=1) / 2
    return float(np.quantile(away, level))
