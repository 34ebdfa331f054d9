# SPDX-License-Identifier: Apache-2.0
"""How far the members of a group scatter, against how far members of different groups lie apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

__all__ = ["Dispersion", "dispersion"]

Array = NDArray[np.float64]

_ROUNDING = 1e-12  # of squared distances: below this they are nothing


@dataclass(frozen=True, slots=True)
class Dispersion:
    """A ratio of mean squared distances with its interval.

    Attributes:
        value: within over between; 1 where the group makes no difference, 0 where its members are all alike.
        low, high: of the ratio.
        within, between: mean squared distance of two members of one group, and of members of two groups.
        n: members. groups: groups.
        method: of the interval, in words.
    """

    value: float
    low: float
    high: float
    within: float
    between: float
    n: int
    groups: int
    method: str


def dispersion(groups: Sequence[Array], *, level: float = 0.95) -> Dispersion | None:
    """Mean squared distance within groups over that between groups; each group, and each pair of them, counts the same.

    Both are U-statistics, so neither depends on how many members a group has. The interval is a t interval on the
    logarithm of the ratio by the delete-one-group jackknife (Efron and Stein 1981). Where no group scatters at all, the
    upper limit is the share of pairs that may differ although none was seen to: 1 - tail^(2 / (m n)) for m groups of n
    (Kruskal 1963; Katona 1968), each as far apart as members of different groups.

    Args:
        groups: m arrays (n, d), n of 2 or more.
        level: confidence level.

    Returns:
        The ratio, None for fewer than four groups or where groups do not differ from each other at all.
    """
    m = len(groups)
    if m < 4:
        return None
    within = np.array([2 * float(np.var(group, axis=0, ddof=1).sum()) for group in groups])
    apart = _apart(groups)
    rows = apart.sum(axis=1)
    between = float(rows.sum()) / (m * (m - 1))
    if not between > _ROUNDING * max(float((group**2).sum(axis=1).max()) for group in groups):
        return None
    within[within <= _ROUNDING * between] = 0.0
    value, tail, n = float(within.mean()) / between, (1 - level) / 2, sum(len(group) for group in groups)
    left_within = (within.sum() - within) / (m - 1)
    left_between = (rows.sum() - 2 * rows) / ((m - 1) * (m - 2))
    if not (left_within > 0).all() or not (left_between > 0).all():
        most = 1 - tail ** (2 / (m * min(len(group) for group in groups)))
        method = "no scatter seen in all groups but one; pairs that may differ, as far apart as different groups"
        return Dispersion(value, 0.0, max(most, value), float(within.mean()), between, n, m, method)
    logs = np.log(left_within / left_between)
    half = (
        float(special.stdtrit(m - 1, (1 + level) / 2)) * float((m - 1) / m * ((logs - logs.mean()) ** 2).sum()) ** 0.5
    )
    method = f"t on the logarithm, jackknife over {m} groups"
    low, high = value * np.exp(-half), value * np.exp(half)
    return Dispersion(value, float(low), float(high), float(within.mean()), between, n, m, method)


def _apart(groups: Sequence[Array]) -> Array:
    """Mean squared distance between members of each two groups, (m, m); 0 on the diagonal."""
    centre = np.concatenate(groups).mean(axis=0)
    means = np.array([group.mean(axis=0) - centre for group in groups])
    spread = np.array([float(np.var(group, axis=0).sum()) for group in groups])
    squares = (means**2).sum(axis=1)
    apart: Array = spread[:, None] + spread + squares[:, None] + squares - 2 * means @ means.T
    apart = np.maximum(apart, 0.0)
    np.fill_diagonal(apart, 0.0)
    return apart
