# SPDX-License-Identifier: Apache-2.0
"""How many images a question needs."""

from __future__ import annotations

from math import ceil

from scipy import special

__all__ = ["images_for_half_width", "images_to_detect"]


def images_for_half_width(half_width: float, *, share: float = 0.5, inflation: float = 1.0, level: float = 0.95) -> int:
    """Images for an interval of ``share`` plus or minus ``half_width`` (normal approximation).

    Args:
        half_width: wanted, in (0, 1).
        share: expected; 0.5 is the worst case.
        inflation: variance relative to a perfect instrument, 1 / J^2 for a two-way one with J = a0 + a1 - 1.
        level: confidence level.
    """
    if not 0 < half_width < 1 or not 0 <= share <= 1 or inflation < 1:
        raise ValueError(
            f"needs a half width in (0, 1), a share and an inflation of 1 or more, got {half_width}, {share}"
        )
    z = float(special.ndtri((1 + level) / 2))
    return max(1, ceil(inflation * z**2 * share * (1 - share) / half_width**2))


def images_to_detect(shift: float, *, reference: float = 0.5, power: float = 0.8, level: float = 0.95) -> int:
    """Images for a two-sided test against ``reference`` to see a share that is ``shift`` away (Fleiss 1981, eq. 2.3).

    Args:
        shift: difference from the reference, not 0.
        reference: reference share, inside (0, 1).
        power: chance of seeing it.
        level: one minus the size of the test.
    """
    other = reference + shift
    if shift == 0 or not 0 < reference < 1 or not 0 <= other <= 1:
        raise ValueError(f"needs two different shares, got {reference} and {other}")
    z, beta = float(special.ndtri((1 + level) / 2)), float(special.ndtri(power))
    spread = z * (reference * (1 - reference)) ** 0.5 + beta * (other * (1 - other)) ** 0.5
    images: int = ceil((spread / shift) ** 2)
    return images
