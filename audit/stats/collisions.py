# SPDX-License-Identifier: Apache-2.0
"""How often two seeds of one prompt give the same picture.

If a prompt gives each of its pictures with probability p, two independent seeds give the same one with probability
theta = sum of p squared. The share of pairs of images that are the same picture estimates it without bias (Simpson
1949). Nothing needs to be known of the pictures that were not seen.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special

from audit.stats.intervals import Interval, clopper_pearson, mean_interval

__all__ = ["collision_interval", "collision_rate", "effective_size"]

Counts = NDArray[np.int64]


def collision_rate(counts: Counts) -> float:
    """Share of pairs of images that are the same picture.

    Args:
        counts: how many images show each picture, shape (k,), two images at least.

    >>> collision_rate(np.array([24])), collision_rate(np.ones(24, int)), collision_rate(np.array([2, 2]))
    (1.0, 0.0, 0.3333333333333333)
    """
    n = int(counts.sum())
    if n < 2:
        raise ValueError(f"a pair needs two images, got {n}")
    return float(counts @ (counts - 1)) / (n * (n - 1))


def effective_size(counts: Counts) -> float:
    """Number of different pictures, drawn once each, whose mean would scatter as much: n^2 / sum of counts squared.

    For one prompt that is n / (1 + (n - 1) rate), the design effect of Kish (1965, sec. 5.4) with the collision rate
    as correlation: what is true of a picture is true of all of its copies.

    >>> effective_size(np.array([24])), effective_size(np.ones(24, int))
    (1.0, 24.0)
    """
    n = int(counts.sum())
    return n * n / float(counts @ counts) if n else 0.0


def collision_interval(prompts: Sequence[Counts], *, level: float = 0.95) -> Interval:
    """Mean over prompts of the probability that two seeds give the same picture.

    With several prompts a t interval over their rates, with one a t interval on the delete-one jackknife over its
    images (Efron and Stein 1981). Either may see too little scatter by chance, so the limits are at least as wide as
    the score interval of independent pairs, since the variance of a mean over pairs is never below that of independent
    ones (Hoeffding 1948, thm. 5.2). Close to 0 and 1 even that is too narrow: the upper limit is at least the exact one
    for no repeat at all, the lower at most that for nothing else.

    Args:
        prompts: for each prompt how many images show each of its pictures, two images or more a prompt.
        level: confidence level.

    Raises:
        ValueError: no prompt, or one with fewer than two images.
    """
    if not prompts:
        raise ValueError("no prompt")
    rates = np.array([collision_rate(counts) for counts in prompts])
    sizes = np.array([int(counts.sum()) for counts in prompts])
    value, n = float(rates.mean()), int(sizes.sum())
    over = mean_interval(rates, level=level)
    low, high = (over.low, over.high) if over else _jackknife(prompts[0], level)
    pairs = len(sizes) ** 2 / float((2 / (sizes * (sizes - 1))).sum())
    least, tail = _score(value, pairs, level), (1 - level) / 2
    low, high = min(low, least[0], _lowest(sizes, tail)), max(high, least[1], _highest(sizes, tail))
    units = f"t over {len(prompts)} prompts" if over else "t on the jackknife over the images of one prompt"
    method = f"{units}, no narrower than for independent pairs"
    return Interval(value, max(low, 0.0), min(high, 1.0), n, len(prompts), method)


def _jackknife(counts: Counts, level: float) -> tuple[float, float]:
    """Limits of the rate of one prompt; of two images none can be left out, and the exact limits stand alone."""
    n, value = int(counts.sum()), collision_rate(counts)
    if n < 3:
        return value, value
    left = (counts @ (counts - 1) - 2 * (counts - 1)) / ((n - 1) * (n - 2))
    away = left - float(counts @ left) / n
    half = float(special.stdtrit(n - 1, (1 + level) / 2)) * ((n - 1) / n * float(counts @ away**2)) ** 0.5
    return value - half, value + half


def _score(share: float, n: float, level: float) -> tuple[float, float]:
    """Limits of a share of ``n`` independent pairs, which need not be whole (Wilson 1927)."""
    z = float(special.ndtri((1 + level) / 2))
    middle, half = share + z * z / (2 * n), z * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


def _highest(sizes: Counts, tail: float) -> float:
    """Largest mean theta that leaves probability ``tail`` to no repeat in any prompt.

    The log probability of no repeat lies below -slope theta in each prompt (see ``_steepness``), so the sum over
    prompts of slope theta is -log(tail) at most, and the sum of theta largest where the least slopes use that up.
    """
    left, total = -float(np.log(tail)), 0.0
    kinds = zip(*np.unique(sizes, return_counts=True), strict=True)
    found = sorted((*_steepness(int(n), tail), int(times)) for n, times in kinds)
    for slope, most, times in found:
        taken = min(most * times, left / slope)
        left, total = left - taken * slope, total + taken
    return total / len(sizes)


def _steepness(n: int, tail: float) -> tuple[float, float]:
    """How steeply the log probability that n images show no repeat falls with theta at least, and how large theta is.

    Of all prompts with the same theta, one frequent picture of probability a = theta^(1/2) beside a host of rare ones
    is the likeliest to show no repeat: it comes once at most, P(Bin(n, a) <= 1). (Exchanging mass among any three
    pictures in a way that keeps its sum and sum of squares, no repeat is likeliest with one large and two equal small
    ones.) So theta is at most the square of a Clopper-Pearson limit; up to there the least of -log P / theta counts.
    """
    most = clopper_pearson(1, n, level=1 - 2 * tail).high
    a = np.linspace(0.0, most, 513)[1:]
    log_none = (n - 1) * np.log1p(-a) + np.log1p((n - 1) * a)
    return min(float((-log_none / a**2).min()), n * (n - 1) / 2), most**2


def _lowest(sizes: Counts, tail: float) -> float:
    """Smallest mean theta that leaves probability ``tail`` to the same picture n times in each prompt.

    That has probability theta^(n/2) at most, reached by one picture of probability theta^(1/2); over prompts the
    product, whose mean theta is smallest where all are equal.
    """
    return float(tail ** (2 / (int(sizes.min()) * len(sizes))))
