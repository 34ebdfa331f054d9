# SPDX-License-Identifier: Apache-2.0
"""Intervals for all shares of one multinomial sample."""

from __future__ import annotations

from collections.abc import Sequence

from scipy import special

from audit.stats.intervals import Interval, wilson

__all__ = ["dirichlet_jeffreys", "goodman"]


def goodman(counts: Sequence[int], *, level: float = 0.95) -> tuple[Interval, ...]:
    """Simultaneous intervals of k shares (Goodman 1965): all of them cover together with probability ``level``.

    Each is the Wilson interval at the Bonferroni level 1 - (1 - level) / k. The approximation wants counts of 5 or so.

    Args:
        counts: of each of k >= 2 groups, not negative, not all zero.
        level: joint confidence level.

    Raises:
        ValueError: fewer than two groups, a negative count, or nothing counted.
    """
    total = _total(counts)
    each = 1 - (1 - level) / len(counts)
    found = (wilson(count, total, level=each) for count in counts)
    return tuple(Interval(i.value, i.low, i.high, total, total, "Goodman") for i in found)


def dirichlet_jeffreys(counts: Sequence[int], *, level: float = 0.95) -> tuple[Interval, ...]:
    """Posterior mean and equal-tailed interval of each of k shares under the Dirichlet(1/2, ..., 1/2) prior.

    Each is a marginal (a beta distribution), not a joint region. A group that was not counted has a posterior mean
    above 0: value and interval speak of the posterior, not of the observed share.

    Args:
        counts: of each of k >= 2 groups, not negative, not all zero.
        level: of each single interval.

    Raises:
        ValueError: fewer than two groups, a negative count, or nothing counted.
    """
    total, tail = _total(counts), (1 - level) / 2
    weight = total + len(counts) / 2
    return tuple(
        Interval(
            (count + 0.5) / weight,
            float(special.betaincinv(count + 0.5, weight - count - 0.5, tail)),
            float(special.betaincinv(count + 0.5, weight - count - 0.5, 1 - tail)),
            total,
            total,
            "Dirichlet-Jeffreys posterior",
        )
        for count in counts
    )


def _total(counts: Sequence[int]) -> int:
    if len(counts) < 2 or min(counts) < 0 or sum(counts) == 0:
        raise ValueError(f"needs counts of two groups or more, not negative and not all zero, got {list(counts)}")
    return sum(counts)
