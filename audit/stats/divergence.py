# SPDX-License-Identifier: Apache-2.0
"""How uneven shares are, and how far from a reference, in one number - and what such a number is worth.

Entropy and divergence of estimated shares lean: chance makes shares look less even, and further from any reference,
than they are. Their intervals are therefore bootstrapped through the instrument, and made to hold the truth at the ends
of the scale too, where the estimate can err to one side only.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from audit.stats.annotator_error import Correction
from audit.stats.floor import draw_answers

__all__ = ["divergence_floor", "entropy_floor", "jensen_shannon", "normalised_entropy", "plug_in_interval"]

Array = NDArray[np.float64]
Counts = tuple[tuple[int, ...], ...]


def normalised_entropy(shares: Array) -> Array:
    """Entropy over that of equal shares, H / ln k (Shannon 1948; Pielou 1966); shares (..., k) to (...,).

    1 for equal shares, 0 where all is one group; the base of the logarithm cancels.

    >>> float(normalised_entropy(np.array([0.5, 0.5, 0.0]))).__round__(4)
    0.6309
    """
    found: Array = -_x_log_x(shares).sum(axis=-1) / np.log(shares.shape[-1])
    return np.clip(found, 0.0, 1.0)


def jensen_shannon(shares: Array, reference: Array) -> Array:
    """Jensen-Shannon divergence in bits, in [0, 1] (Lin 1991, eq. 4.1); shares (..., k) and reference (k,) to (...,).

    JS(p, q) = H((p + q) / 2) - (H(p) + H(q)) / 2 with logarithms to base 2: finite where a group is missing on one
    side, which the Kullback-Leibler divergence is not, and 1 where the two have no group in common.
    """
    middle = (shares + reference) / 2
    nats = (_x_log_x(shares) + _x_log_x(reference)) / 2 - _x_log_x(middle)
    found: Array = nats.sum(axis=-1) / np.log(2.0)
    return np.clip(found, 0.0, 1.0)


def plug_in_interval(
    of: Callable[[Array], Array],
    shares: Array,
    correction: Correction,
    *,
    n: float,
    limits: tuple[Array, Array] | None = None,
    level: float = 0.95,
    seed: int = 0,
    reps: int = 1000,
) -> tuple[float, float]:
    """Interval of a function of corrected shares, by parametric bootstrap of answers and confusion counts.

    The bootstrap draws from shares to which 3 / (k - 1) pseudo-images of every group are added: no image of the other
    groups among n leaves room for a share of 3 / n. With D the difference of a repetition to that centre, each end is
    as far out as the symmetric interval (quantile of its absolute value) or the percentile interval, whichever is
    wider, and the mean of D, by which such a function leans, comes on top where it leans away from that end. Near equal
    shares and near the reference, where percentile intervals always miss the truth, this reaches the end of the scale.

    Args:
        of: shares (..., k) to a number (...,) in [0, 1].
        shares: corrected, shape (k,).
        correction: of the instrument.
        n: images, fewer where images of one prompt resemble each other.
        limits: of each share, both (k,), where they are known: the interval is widened to what the function gives with
            the largest group at its upper limit, the others in proportion; and with the groups left out that may be
            missing altogether, if the estimate is then no rarer than the level allows.
        level: confidence level.
        seed: same seed, same numbers.
        reps: repetitions.
    """
    size, k = max(1, round(n)), len(shares)

    def again(centre: Array) -> Array:
        drawn = draw_answers(correction, centre, n=size, seed=seed, reps=reps)
        return of(correction.shares(drawn / size))

    tails = (1 - level) / 2, (1 + level) / 2
    centre = (size * shares + 3.0 / (k - 1)) / (size + 3.0 * k / (k - 1))
    away, value = again(centre) - of(centre), float(of(shares))
    lean, radius = float(away.mean()), float(np.quantile(np.abs(away), level))
    below, above = np.quantile(away, tails)
    ends = [value - max(radius, -float(below)) - max(lean, 0.0), value + max(radius, float(above)) + max(-lean, 0.0)]
    if limits is not None:
        ends.append(float(of(_with_largest(shares, float(limits[1][shares.argmax()])))))
        fewer = np.where(limits[0] > 0, shares, 0.0)
        if 0 < fewer.sum() < 1 - 1e-9:
            fewer /= fewer.sum()
            below, above = np.quantile(again(fewer), tails)
            ends += [float(of(fewer))] if below <= value <= above else []
    return max(0.0, min(ends)), min(1.0, max(ends))


@lru_cache(maxsize=4096)
def entropy_floor(n: int, counts: Counts, *, seed: int = 0, reps: int = 1000) -> float:
    """Mean normalised entropy of ``n`` images drawn with equal shares, seen through the instrument and corrected."""
    correction, k = Correction(np.asarray(counts, dtype=np.float64)), len(counts)
    drawn = draw_answers(correction, np.full(k, 1.0 / k), n=n, seed=seed, reps=reps)
    return float(normalised_entropy(correction.shares(drawn / n)).mean())


@lru_cache(maxsize=4096)
def divergence_floor(n: int, reference: tuple[float, ...], counts: Counts, *, seed: int = 0, reps: int = 1000) -> float:
    """Mean Jensen-Shannon divergence of ``n`` images drawn at the reference, seen through the instrument."""
    correction, q = Correction(np.asarray(counts, dtype=np.float64)), np.asarray(reference)
    drawn = draw_answers(correction, q, n=n, seed=seed, reps=reps)
    return float(jensen_shannon(correction.shares(drawn / n), q).mean())


def _x_log_x(x: Array) -> Array:
    found: Array = np.where(x > 0, x * np.log(np.where(x > 0, x, 1.0)), 0.0)
    return found


def _with_largest(shares: Array, top: float) -> Array:
    """The shares with the largest one at ``top`` and the others in proportion."""
    largest = int(shares.argmax())
    rest = 1.0 - shares[largest]
    if rest <= 0:
        return shares
    moved: Array = shares * (1.0 - top) / rest
    moved[largest] = top
    return moved
