# SPDX-License-Identifier: Apache-2.0
"""The mid-p interval of a share written down once more, slowly: the reference that intervals are held against."""

from __future__ import annotations

from scipy import optimize, stats


def mid_p(k: int, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Where P(X > k) + P(X = k) / 2, and its mirror image, are (1 - level) / 2 (Lancaster 1961)."""
    tail = (1 - level) / 2

    def more(p: float) -> float:
        return stats.binom.sf(k, n, p) + stats.binom.pmf(k, n, p) / 2 - tail

    def fewer(p: float) -> float:
        return stats.binom.cdf(k - 1, n, p) + stats.binom.pmf(k, n, p) / 2 - tail

    low = 0.0 if k == 0 else optimize.brentq(more, 1e-12, k / n if k < n else 1 - 1e-12, xtol=1e-14)
    high = 1.0 if k == n else optimize.brentq(fewer, k / n if k else 1e-12, 1 - 1e-12, xtol=1e-14)
    return low, high
