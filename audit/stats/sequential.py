# SPDX-License-Identifier: Apache-2.0
"""Intervals that may be looked at after every image: stop when the question is decided, at no cost in error.

An ordinary 95 % interval misses the truth in one of twenty audits when it is looked at once; looked at after every
image until it says something, it misses far more often. A confidence sequence covers at all times at once. Here the
error is split in advance: most of it between "at any time before the cap" (a betting confidence sequence) and "once,
at the cap" (the usual interval), so that clear cases stop early and close ones end much as the fixed design would.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from audit.stats._betting import bets_until, log_wealth
from audit.stats.annotator_error import Correction, SharesEstimate, project_to_simplex
from audit.stats.intervals import Interval

__all__ = ["Outlook", "Spending", "hopeless", "outlook", "refuted", "sequential_estimate", "share_sequence"]

Array = NDArray[np.float64]

_HALVINGS = 27


@dataclass(frozen=True, slots=True)
class Spending:
    """How the error of one interval is split; by the union bound its coverage holds whenever one stops.

    Attributes:
        early: share for looking at any time.
        matrix: share for the confusion counts, which are one sample however often one looks.
        final: share for the usual interval, once, at the cap.
    """

    early: float = 0.60
    matrix: float = 0.05
    final: float = 0.35

    def __post_init__(self) -> None:
        if min(self.early, self.matrix, self.final) <= 0 or self.early + self.matrix + self.final > 1 + 1e-9:
            raise ValueError(f"shares of the error must be positive and sum to 1 at most, got {self}")


def share_sequence(k: int, n: int, *, level: float = 0.95, best_at: int = 100) -> Interval:
    """Confidence sequence of a share by the beta-binomial mixture (Howard, Ramdas, McAuliffe and Sekhon 2021, prop. 7).

    Args:
        k: how many of them, so far.
        n: of how many, so far, at least 1.
        level: that all intervals, over all times, hold the share at once.
        best_at: number of observations at which it is about as narrow as it can be; fixed before the data.

    Raises:
        ValueError: unless 0 <= k <= n, 0 < n and 0 < best_at.

    >>> found = share_sequence(84, 250, best_at=250)
    >>> round(found.low, 4), round(found.high, 4)
    (0.2495, 0.4297)
    """
    if not (n > 0 and 0 <= k <= n and best_at > 0):
        raise ValueError(f"a share needs 0 <= k <= n and n > 0, and a time above 0; got k={k}, n={n}, {best_at}")
    seen, edge = k / n, 1e-12

    def excess(share: float) -> float:
        return _log_mixture(share, k, n, level, best_at) + float(np.log1p(-level))

    low = optimize.brentq(excess, edge, seen) if k > 0 and excess(edge) > 0 else 0.0
    high = optimize.brentq(excess, seen, 1 - edge) if k < n and excess(1 - edge) > 0 else 1.0
    return Interval(seen, float(low), float(high), n, n, "beta-binomial confidence sequence")


def _log_mixture(share: float, k: int, n: int, level: float, best_at: int) -> float:
    """Log of the mixture of likelihood ratios against ``share``, mixed so as to be sharpest at ``best_at``."""
    if not 0 < share < 1:
        return -np.inf
    spread, doubt = share * (1 - share), -2 * np.log1p(-level)
    rho = spread * best_at / (doubt + np.log1p(doubt))
    weight = max(rho - spread, 1e-3 * spread)
    a, b = weight / (1 - share), weight / share
    mixed = special.betaln(a + k, b + n - k) - special.betaln(a, b)
    return float(mixed - k * np.log(share) - (n - k) * np.log1p(-share))


def refuted(
    correction: Correction,
    answers: Array | NDArray[np.int64],
    shares: Array,
    *,
    above: bool,
    cap: int,
    level: float = 0.95,
    spending: Spending | None = None,
) -> NDArray[np.bool_]:
    """Whether the answers refute that the share of each group is at most (``above``: at least) a tested one.

    Holds at any time: it ever happens to a true claim with probability (1 - level) / 2 (early + matrix) at most. The
    scores of the answers have the share as their mean, by `Correction`, up to the sampling of the confusion counts;
    the bets are laid against a mean shifted by as much as these explain.

    Args:
        correction: of the instrument, identified.
        answers: cumulative counts of each answer, shape (..., r).
        shares: tested share of each group, shape (k,).
        above: test "at least" instead of "at most".
        cap: number of answers that the fixed design would take; the bets are laid to pay before it.
        level: of the two-sided interval that both tests belong to.
        spending: how its error is split.

    Returns:
        Shape (..., k).
    """
    spending = spending or Spending()
    game = _Game.of(correction, above=above, z=_z(level, spending.matrix), cap=cap)
    return game.won(correction.heard(answers), shares, error=(1 - level) * spending.early / 2)


@dataclass(frozen=True, slots=True, eq=False)
class _Game:
    """Bets against "the share of group j is at most ``shares[j]``"; with ``above``, at least.

    Attributes:
        gains: of each answer in the game about each group, shape (r, k).
        offset: gain that a share of zero (with ``above``: of one) stands for, shape (k,).
        above: which claim it is.
        own, other: variances that the confusion counts leave to the mean score of a group's own members, and of the
            members of the other group where it is largest, shape (k,).
        z: quantile by which the tested mean is shifted.
        bets: stakes, shape (w,).
    """

    gains: Array
    offset: Array
    above: bool
    own: Array
    other: Array
    z: float
    bets: Array

    @classmethod
    def of(cls, correction: Correction, *, above: bool, z: float, cap: int) -> _Game:
        scores = correction.scores
        gains = scores.max(axis=0) - scores if above else scores - scores.min(axis=0)
        offset = scores.max(axis=0) - 1.0 if above else -scores.min(axis=0)
        return cls(gains, offset, above, *_matrix_variance(correction), z, bets_until(cap))

    def tested(self, shares: Array) -> Array:
        """Largest mean gain that the claim allows: its own, and what the confusion counts leave open."""
        mean = self.offset + (1.0 - shares if self.above else shares)
        shifted = mean + self.z * np.sqrt(shares**2 * self.own + (1.0 - shares) ** 2 * self.other)
        # From z sd = 1 on it would not rise with the share any more: such confusion counts refute nothing.
        return np.where(self.z**2 * np.maximum(self.own, self.other) >= 1, np.inf, shifted)

    def won(self, heard: Array, shares: Array, *, error: float) -> NDArray[np.bool_]:
        """Whether the wealth has reached 1 / ``error``, shape (..., k)."""
        return np.asarray(log_wealth(heard, self.gains, self.tested(shares), self.bets) >= -np.log(error))


def _matrix_variance(correction: Correction) -> tuple[Array, Array]:
    """Variance of the mean score of a group's own members, and of its worst other group, by the confusion counts."""
    # "Plus four" a row (Agresti and Coull 1998): of instruments that err one time in ten, one in twenty makes no error
    # among 30 images, and nothing that is asked later mends that.
    counts, rows = correction.counts, correction.rows[:, None]
    told = counts.sum(axis=0) > 0
    smooth = (counts + 4.0 * told / told.sum()) / (rows + 4.0)
    variance = (smooth @ correction.scores**2 - (smooth @ correction.scores) ** 2) / rows
    other = np.where(np.eye(len(rows), dtype=bool), 0.0, variance).max(axis=0)
    return np.diagonal(variance), other


def _z(level: float, part: float) -> float:
    return -float(special.ndtri((1 - level) * part / 2))


def sequential_estimate(
    correction: Correction,
    answers: Array | NDArray[np.int64],
    *,
    cap: int,
    final: bool,
    level: float = 0.95,
    spending: Spending | None = None,
) -> SharesEstimate:
    """Corrected shares so far, with intervals that hold however one decides when to stop.

    A pure function of the counts: no history is kept. The answers must be independent draws, as seeds make them.

    Args:
        correction: of the instrument.
        answers: cumulative counts of each answer, shape (r,).
        cap: number of images that the fixed design would take, fixed before the data.
        final: whether as many were asked for, refusals included: then, and only once, the usual interval counts too.
        level: confidence level of each single share, over all looks.
        spending: how the error is split, fixed before the data.

    Raises:
        ValueError: without answers that some group gave, or where the matrix is not identified.
    """
    spending = spending or Spending()
    heard = correction.heard(answers)
    if heard.sum() <= 0 or not correction.identified:
        raise ValueError("no answers, or a confusion matrix that cannot be undone")
    raw = correction.linear(heard)
    shares = project_to_simplex(raw)

    z, error = _z(level, spending.matrix), (1 - level) * spending.early / 2
    ends = [_end(_Game.of(correction, above=above, z=z, cap=cap), heard, raw, error=error) for above in (False, True)]
    low, high = np.minimum(ends[0], shares), np.maximum(ends[1], shares)
    if final:
        usual = correction.estimate(heard, level=1 - (1 - level) * spending.final)
        low, high = np.maximum(low, usual.low), np.minimum(high, usual.high)
    return SharesEstimate(shares, low, high, raw, int(heard.sum()))


def _end(game: _Game, heard: Array, raw: Array, *, error: float) -> Array:
    """Last share that is refuted between the edge and the estimate, by bisection; the edge where it is not."""
    inside, outside = np.clip(raw, 0.0, 1.0), np.full_like(raw, 1.0 if game.above else 0.0)
    inside = np.where(game.won(heard, outside, error=error), inside, outside)
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        bad = game.won(heard, middle, error=error)
        inside, outside = np.where(bad, inside, middle), np.where(bad, middle, outside)
    return outside


@dataclass(frozen=True, slots=True, eq=False)
class Outlook:
    """What is to be expected of shares when the remaining images have come; the parts broadcast together.

    Attributes:
        share: predicted, shape (..., k).
        spread: variance of one image's score.
        matrix: variance of the share by the confusion counts.
        n: answers so far, one more for caution.
        remaining: answers still to come, at most.
    """

    share: Array
    spread: Array
    matrix: Array
    n: Array
    remaining: int


def outlook(correction: Correction, answers: Array | NDArray[np.int64], *, remaining: int) -> Outlook:
    """The outlook after answers (..., r), of each of the k groups."""
    heard = correction.heard(answers)
    k = len(correction.rows)
    # One more answer, of equal shares: ten alike answers do not mean that nothing else will ever come.
    n = heard.sum(axis=-1, keepdims=True) + 1
    smooth = (heard + correction.forward(np.full(k, 1 / k))) / n
    share = smooth @ correction.scores
    spread = np.maximum(smooth @ correction.scores**2 - share**2, 1e-12)
    own, other = _matrix_variance(correction)
    return Outlook(share, spread, share**2 * own + (1 - share) ** 2 * other, n, remaining)


def hopeless(
    ahead: Outlook,
    limits: Array,
    *,
    level: float = 0.95,
    spending: Spending | None = None,
    chance: float = 0.05,
) -> NDArray[np.bool_]:
    """Whether a gate on each share will hardly be decided any more, however the remaining answers fall.

    Stopping there as inconclusive can make no decision wrong. The probability that the interval at the cap lies inside
    or outside the limits is predicted by the normal approximation (Spiegelhalter, Freedman and Blackburn 1986).

    Args:
        ahead: what is to be expected of the shares.
        limits: smallest and largest allowed share of each group, infinite where there is none, shape (k, 2).
        level: confidence level over all looks.
        spending: how its error is split.
        chance: below this predicted probability of a decision it is hopeless.

    Returns:
        Shape (..., k).
    """
    spending = spending or Spending()
    total, middle = ahead.n + ahead.remaining, ahead.share
    half = _z(level, spending.final) * np.sqrt(ahead.spread / total + ahead.matrix)
    sd = np.sqrt(ahead.spread * ahead.remaining / (ahead.n * total)) + 1e-12
    # A share meets a limit of zero, or of one, whatever is answered.
    low, high = np.where(limits[:, 0] <= 0, -np.inf, limits[:, 0]), np.where(limits[:, 1] >= 1, np.inf, limits[:, 1])
    passing = special.ndtr((high - half - middle) / sd) - special.ndtr((low + half - middle) / sd)
    failing = special.ndtr((low - half - middle) / sd) + special.ndtr((middle - high - half) / sd)
    return np.asarray(np.maximum(passing, 0.0) + failing < chance)
