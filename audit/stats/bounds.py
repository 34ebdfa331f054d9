# SPDX-License-Identifier: Apache-2.0
"""What a share can be at the least and at the most when part of the requests show no group.

Nothing is assumed of "could not tell", of refusals and of blocked requests: at one end all of them would have shown
the group, at the other none (Manski 1989; 2003, ch. 1). The bounds are no interval for sampling error; the limits
around them are (Imbens and Manski 2004).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

from scipy import optimize, special

from audit.stats.intervals import Interval, clopper_pearson

__all__ = ["TOGETHER", "Bounds", "bounds_of_share", "worst_case"]

#: Name of the bounds over every kind of missing request at once.
TOGETHER = "together"


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of one share.

    Attributes:
        lower: share if none of the unseen would have shown the group.
        upper: share if all of them would.
        low, high: limits that hold the true share with the confidence level, wherever between the bounds it is.
        n: requests in the denominator, unseen ones too.
        unseen: how many of them show no group.
    """

    lower: float
    upper: float
    low: float
    high: float
    n: int
    unseen: int

    @property
    def width(self) -> float:
        """Upper minus lower bound: the share of the unseen."""
        return self.upper - self.lower

    def as_interval(self) -> Interval:
        """The limits as an interval around the middle of the bounds."""
        method = "worst-case bounds, Imbens-Manski limits"
        return Interval((self.lower + self.upper) / 2, self.low, self.high, self.n, self.n, method)


def worst_case(group: int, told: int, unseen: int, *, level: float = 0.95) -> Bounds:
    """Bounds of the share of a group with ``unseen`` requests that show none.

    The limits are the exact ones of Clopper and Pearson at the two bounds, with the tail beyond the quantile c of
    Imbens and Manski (2004): Phi(c + width / s) - Phi(-c) = level, with s the larger standard error. Without unseen
    requests that is the Clopper-Pearson interval; with many, a limit errs on one side only and c is the one-sided
    quantile. (One-sided Wilson limits cover down to 0.82 near the ends.)

    Args:
        group: requests that show the group.
        told: requests that show any group, the first ones among them.
        unseen: requests that show none.
        level: confidence level.

    Raises:
        ValueError: counts that do not fit, or no request at all.
    """
    n = told + unseen
    if not 0 <= group <= told or unseen < 0 or n == 0:
        raise ValueError(f"needs 0 <= group <= told and a request, got {group} of {told} and {unseen} unseen")
    lower, upper = group / n, (group + unseen) / n
    each = 2 * float(special.ndtr(_critical(lower, upper, n=n, level=level))) - 1
    low, high = clopper_pearson(group, n, level=each).low, clopper_pearson(group + unseen, n, level=each).high
    return Bounds(lower, upper, low, high, n, unseen)


def bounds_of_share(group: int, told: int, missing: Mapping[str, int], *, level: float = 0.95) -> Mapping[str, Bounds]:
    """Bounds for each kind of missing request alone, the other kinds left out of count, and for all kinds at once.

    Args:
        group: requests that show the group.
        told: requests that show any group.
        missing: how many of each kind show none: "could not tell", "refused", "blocked".
        level: confidence level.

    Returns:
        Bounds by kind, and under ``TOGETHER``; kinds without a request have bounds of no width. A kind for which there
        is no request at all, seen or unseen, is left out.

    Raises:
        ValueError: counts that do not fit, or a kind called ``TOGETHER``.
    """
    if TOGETHER in missing:
        raise ValueError(f"{TOGETHER!r} is the name of all kinds at once")
    kinds = {**missing, TOGETHER: sum(missing.values())}
    return {kind: worst_case(group, told, count, level=level) for kind, count in kinds.items() if told + count}


def _critical(lower: float, upper: float, *, n: int, level: float) -> float:
    """Quantile between the one-sided one (wide bounds) and the two-sided one (no width)."""
    spread = sqrt(max(lower * (1 - lower), upper * (1 - upper)) / n)
    widths = (upper - lower) / spread if spread > 0 else (0.0 if upper == lower else 40.0)
    one_sided, two_sided = (float(special.ndtri(q)) for q in (level, (1 + level) / 2))

    def short(c: float) -> float:
        return float(special.ndtr(c + widths) - special.ndtr(-c)) - level

    if short(one_sided) >= 0:
        return one_sided
    return two_sided if short(two_sided) <= 0 else float(optimize.brentq(short, one_sided, two_sided))
