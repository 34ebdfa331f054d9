# SPDX-License-Identifier: Apache-2.0
"""What bets against a tested mean would have earned: the evidence behind intervals that may be looked at any time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

__all__ = ["bets_until", "log_wealth"]

Array = NDArray[np.float64]

_BETS = 12
_BOLDEST = 0.9


def bets_until(cap: int) -> Array:
    """Stakes in (0, 1) for up to ``cap`` answers, evenly spaced in the logit; shape (12,).

    A stake much below 1 / sqrt(cap) earns nothing before the cap, and the boldest nearly what all-or-nothing would.
    """
    most = special.logit(_BOLDEST)
    least = special.logit(min(0.5, 2.4 / max(cap, 1) ** 0.5))
    bets: Array = special.expit(np.linspace(least, most, _BETS))
    return bets


def log_wealth(counts: Array, gains: Array, tested: Array, bets: Array) -> Array:
    """Logarithm of what betting against "the mean gain is at most the tested one" has earned from a wealth of 1.

    Each stake f earns prod_a (1 + f (g_a / m - 1))^c_a, and the wealth is the mean over the stakes (Waudby-Smith and
    Ramdas 2024, eq. 26, with stakes fixed before the data). Where the mean gain is at most m this is a non-negative
    supermartingale: it ever exceeds 1 / alpha with probability alpha at most (Ville 1939). It falls in m.

    Args:
        counts: how often each answer came, shape (..., r).
        gains: of each answer in each of k games, not negative, shape (r, k).
        tested: the tested mean m in each game, shape (k,).
        bets: stakes, shape (w,).

    Returns:
        Shape (..., k).
    """
    relative = gains / np.maximum(tested, 1e-12) - 1.0
    growth = np.log1p(bets[:, None] * relative[:, None, :])
    earned = np.tensordot(counts, growth, axes=(-1, 0))
    most = earned.max(axis=-2, keepdims=True)
    wealth: Array = np.log(np.exp(earned - most).mean(axis=-2)) + most[..., 0, :]
    return wealth
