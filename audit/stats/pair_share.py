# SPDX-License-Identifier: Apache-2.0
"""How often two things of one kind match, where matching is no equality: A may match B, and B C, but not A C.

If two independent pictures of a prompt match with probability theta, the share of pairs that match estimates it without
bias: a U-statistic of degree two (Hoeffding 1948). `audit.stats.collisions` is sharper where matching is equality.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special

from audit.stats.intervals import Interval, mean_interval

__all__ = ["hamming", "matches_each", "pairs_interval"]

Sums = NDArray[np.float64]
_BLOCK = 1024  # rows that are compared at once


def hamming(left: NDArray[np.uint64], right: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Bits in which hashes differ, (n,) and (m,) to (n, m)."""
    different: NDArray[np.uint8] = np.bitwise_count(left[:, None] ^ right[None])
    return different


def matches_each(hashes: NDArray[np.uint64], *, within: int) -> Sums:
    """How many of the others lie within so many bits of each hash, (n,) to (n,); memory grows with n only."""
    parts = [hashes[start : start + _BLOCK] for start in range(0, len(hashes), _BLOCK)]
    counts = [(hamming(part, hashes) <= within).sum(axis=1, dtype=np.float64) - 1 for part in parts]
    return np.concatenate(counts) if counts else np.empty(0)


def pairs_interval(groups: Sequence[Sums], *, level: float = 0.95) -> Interval:
    """Mean over groups of the probability that two of its members match.

    With several groups a t interval over their shares, with one a t interval on the delete-one jackknife over its
    members (Efron and Stein 1981). The limits are at least as wide as the score interval of independent pairs, since
    the variance of a mean over pairs is never below that of independent ones (Hoeffding 1948, thm. 5.2). Whatever the
    relation is, n members show no match with probability (1 - theta)^(n/2) at most, and nothing but matches with
    theta^(n/2) (Kruskal 1963, Katona 1968, on complete subgraphs): that gives the least width at 0 and 1.

    Args:
        groups: for each the sums (n,), n of 2 or more, over all others of how often they match a member, 0 to 1 each:
            the rows of a symmetric matrix without its diagonal.
        level: confidence level.

    Returns:
        The interval; ``n`` counts members, ``clusters`` groups.

    Raises:
        ValueError: no group, or one with fewer than two members.
    """
    sizes = np.array([len(group) for group in groups])
    if not len(sizes) or sizes.min() < 2:
        raise ValueError("needs a group, and two members in each")
    rates = np.array([group.sum() / (n * (n - 1)) for group, n in zip(groups, sizes, strict=True)])
    value, tail = float(rates.mean()), (1 - level) / 2
    over = mean_interval(rates, level=level)
    low, high = (over.low, over.high) if over else _jackknife(groups[0], level)
    independent = len(sizes) ** 2 / float((2 / (sizes * (sizes - 1))).sum())
    least = _score(value, independent, level)
    edge = float(tail ** (2 / (int(sizes.min()) * len(sizes))))
    low, high = min(low, least[0], edge), max(high, least[1], 1 - edge)
    units = f"t over {len(sizes)} groups" if over else "t on the jackknife over the members of one group"
    method = f"{units}, no narrower than for independent pairs"
    return Interval(value, max(low, 0.0), min(high, 1.0), int(sizes.sum()), len(sizes), method)


def _jackknife(rows: Sums, level: float) -> tuple[float, float]:
    """Limits of the share of one group; of two members none can be left out, and the other limits stand alone."""
    n = len(rows)
    value = float(rows.sum()) / (n * (n - 1))
    if n < 3:
        return value, value
    left = (rows.sum() - 2 * rows) / ((n - 1) * (n - 2))
    variance = (n - 1) / n * float(((left - left.mean()) ** 2).sum())
    half = float(special.stdtrit(n - 1, (1 + level) / 2)) * variance**0.5
    return value - half, value + half


def _score(share: float, n: float, level: float) -> tuple[float, float]:
    """Limits of a share of ``n`` independent pairs, which need not be whole (Wilson 1927)."""
    z = float(special.ndtri((1 + level) / 2))
    middle, half = share + z * z / (2 * n), z * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)
