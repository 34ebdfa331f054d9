# SPDX-License-Identifier: Apache-2.0
"""Score interval for the difference of two independent shares."""

from __future__ import annotations

from collections.abc import Callable
from math import acos, cos, pi, sqrt

from scipy import special

from audit.stats.intervals import Interval

__all__ = ["miettinen_nurminen", "restricted_shares"]


def miettinen_nurminen(k1: int, n1: int, k2: int, n2: int, *, level: float = 0.95) -> Interval:
    """Difference of two independent shares, first minus second, by inverting the score test.

    The variance at a tested difference is that of the restricted maximum-likelihood shares, times N / (N - 1)
    (Miettinen and Nurminen 1985). Farrington and Manning (1990) and Mee (1984) leave the factor out.

    Args:
        k1: how many in the first sample.
        n1: size of the first sample, at least 1.
        k2: how many in the second sample.
        n2: size of the second sample, at least 1.
        level: confidence level.

    Raises:
        ValueError: a count outside its sample.
    """
    if not (n1 > 0 and n2 > 0 and 0 <= k1 <= n1 and 0 <= k2 <= n2):
        raise ValueError(f"two shares need 0 <= k <= n and n > 0, got {k1}/{n1} and {k2}/{n2}")
    seen, z = k1 / n1 - k2 / n2, float(special.ndtri((1 + level) / 2))

    def accepted(tested: float) -> bool:
        p1, p2 = restricted_shares(k1, n1, k2, n2, difference=tested)
        variance = (p1 * (1 - p1) / n1 + p2 * (1 - p2) / n2) * (n1 + n2) / (n1 + n2 - 1)
        return abs(seen - tested) <= z * sqrt(variance)

    low, high = (_edge(accepted, inside=seen, outside=end) for end in (-1.0, 1.0))
    return Interval(seen, low, high, n1 + n2, n1 + n2, "Miettinen-Nurminen")


def _edge(accepted: Callable[[float], bool], *, inside: float, outside: float) -> float:
    """Where acceptance ends on the way from ``inside`` to ``outside``, by bisection.

    No root finder: at 0 of n against 0 of m the test statistic is 0 / 0 at the observed difference.
    """
    for _ in range(60):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if accepted(middle) else (inside, middle)
    return (inside + outside) / 2


def restricted_shares(k1: int, n1: int, k2: int, n2: int, *, difference: float) -> tuple[float, float]:
    """Most likely pair of shares among those whose difference, first minus second, is ``difference``.

    The root of the likelihood's cubic in closed form (Farrington and Manning 1990, appendix).

    Args:
        k1: how many in the first sample.
        n1: size of the first sample.
        k2: how many in the second sample.
        n2: size of the second sample.
        difference: in [-1, 1].
    """
    ratio = n2 / n1
    p1, p2 = k1 / n1, k2 / n2
    a = 1 + ratio
    b = -(1 + ratio + p1 + ratio * p2 + difference * (ratio + 2))
    c = difference**2 + difference * (2 * p1 + ratio + 1) + p1 + ratio * p2
    d = -p1 * difference * (1 + difference)
    v = (b / (3 * a)) ** 3 - b * c / (6 * a * a) + d / (2 * a)
    u = (1.0 if v >= 0 else -1.0) * sqrt(max((b / (3 * a)) ** 2 - c / (3 * a), 0.0))
    turn = acos(min(1.0, max(-1.0, v / u**3))) if u else pi / 2
    first = 2 * u * cos((pi + turn) / 3) - b / (3 * a)
    first = min(max(first, 0.0, difference), 1.0, 1.0 + difference)
    return first, first - difference
