# SPDX-License-Identifier: Apache-2.0
"""How many images a question needs, and what a number of images can see.

Normal approximations for planning, not for judging. ``inflation`` is what an imperfect instrument costs: the variance
of its corrected share relative to counting without error, see `inflation`.
"""

from __future__ import annotations

from math import asin, ceil, inf, sqrt

from scipy import optimize, special

__all__ = [
    "effect_size",
    "images_for_effect",
    "images_for_fit",
    "images_for_half_width",
    "images_per_arm",
    "images_to_detect",
    "inflation",
    "power_of_arms",
    "power_of_gap",
    "smallest_detectable_gap",
]


def inflation(a0: float, a1: float) -> float:
    """Variance through a two-way instrument relative to a perfect one, 1 / (a0 + a1 - 1)^2, seen from the answers.

    Args:
        a0: how often members of group 0 are answered so.
        a1: how often members of group 1 are answered so.

    Raises:
        ValueError: an instrument that does not do better than tossing a coin.
    """
    j = a0 + a1 - 1
    if not (0 <= a0 <= 1 and 0 <= a1 <= 1 and j > 0):
        raise ValueError(f"needs two rates that sum to more than 1, got {a0} and {a1}")
    return 1 / j**2


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
    return max(1, ceil(inflation * _z(level) ** 2 * share * (1 - share) / half_width**2))


def images_to_detect(
    shift: float, *, reference: float = 0.5, power: float = 0.8, inflation: float = 1.0, level: float = 0.95
) -> int:
    """Images for a two-sided test against ``reference`` to see a share that is ``shift`` away (Fleiss 1981, eq. 2.3).

    Args:
        shift: difference from the reference, not 0.
        reference: reference share, inside (0, 1).
        power: chance of seeing it.
        inflation: variance relative to a perfect instrument, 1 or more.
        level: one minus the size of the test.
    """
    other = _other(shift, reference)
    spread = _z(level) * _deviation(reference) + float(special.ndtri(power)) * _deviation(other)
    images: int = ceil(inflation * (spread / shift) ** 2)
    return images


def power_of_gap(
    n: float, shift: float, *, reference: float = 0.5, inflation: float = 1.0, level: float = 0.95
) -> float:
    """Chance that a two-sided test of ``n`` images sees a share that is ``shift`` away from ``reference``.

    Args:
        n: images.
        shift: difference from the reference, not 0.
        reference: reference share, inside (0, 1).
        inflation: variance relative to a perfect instrument, 1 or more.
        level: one minus the size of the test.
    """
    other = _other(shift, reference)
    scale = sqrt(inflation)
    return _power(
        abs(shift) * sqrt(n), null=scale * _deviation(reference), there=scale * _deviation(other), level=level
    )


def smallest_detectable_gap(
    n: float, *, reference: float = 0.5, inflation: float = 1.0, power: float = 0.8, level: float = 0.95
) -> float | None:
    """Smallest gap that ``n`` images see with probability ``power``, whichever of the two ways it goes.

    Args:
        n: images.
        reference: reference share, inside (0, 1).
        inflation: variance relative to a perfect instrument, 1 or more.
        power: chance of seeing it.
        level: one minus the size of the test.

    Returns:
        The gap, None where on one side not even the largest possible gap would be seen.
    """

    def short(shift: float) -> float:
        return power_of_gap(n, shift, reference=reference, inflation=inflation, level=level) - power

    found = []
    for end in (-reference, 1 - reference):
        if short(end) < 0:
            return None
        # At the very end the spread is 0 and the power jumps: the root is before it.
        found.append(abs(float(optimize.brentq(short, 1e-9 * end, end, xtol=1e-12))))
    return max(found)


def effect_size(first: float, second: float) -> float:
    """Cohen's h of two shares, first minus second on the arcsine scale (Cohen 1988, eq. 6.2.1)."""
    return 2 * asin(sqrt(first)) - 2 * asin(sqrt(second))


def images_for_effect(effect: float, *, arms: int = 2, power: float = 0.8, level: float = 0.95) -> float:
    """Images, in each of ``arms`` arms, for an effect in units of the standard deviation, such as Cohen's h.

    Args:
        effect: not 0.
        arms: 2 to compare two generators, 1 against a known value.
        power: chance of seeing it.
        level: one minus the size of the two-sided test.

    Returns:
        The number before rounding up.
    """
    if effect == 0 or arms not in {1, 2} or not 1 - level < power < 1:
        raise ValueError(
            f"needs an effect, one or two arms and a power above {1 - level:g}, got {effect}, {arms}, {power}"
        )

    def short(away: float) -> float:
        return _power(away, null=1.0, there=1.0, level=level) - power

    away = float(optimize.brentq(short, 0.0, 60.0, xtol=1e-13))
    return arms * (away / effect) ** 2


def images_per_arm(
    shift: float, *, reference: float = 0.5, power: float = 0.8, inflation: float = 1.0, level: float = 0.95
) -> float:
    """Images of each of two generators to see their shares ``shift`` apart, one of them at ``reference``.

    The variance is the pooled one under equality and that of the two shares otherwise (Fleiss 1981, eq. 3.14).

    Args:
        shift: difference of the shares, not 0.
        reference: one of the shares, inside (0, 1).
        power: chance of seeing it.
        inflation: variance relative to a perfect instrument, 1 or more.
        level: one minus the size of the two-sided test.

    Returns:
        The number before rounding up.
    """
    null, there = _arms(shift, reference)
    return inflation * ((_z(level) * null + float(special.ndtri(power)) * there) / shift) ** 2


def power_of_arms(
    n: float, shift: float, *, reference: float = 0.5, inflation: float = 1.0, level: float = 0.95
) -> float:
    """Chance that ``n`` images of each of two generators show their shares, ``shift`` apart, to differ.

    Args:
        n: images of each.
        shift: difference of the shares, not 0.
        reference: one of the shares, inside (0, 1).
        inflation: variance relative to a perfect instrument, 1 or more.
        level: one minus the size of the two-sided test.
    """
    null, there = _arms(shift, reference)
    scale = sqrt(inflation)
    return _power(abs(shift) * sqrt(n), null=scale * null, there=scale * there, level=level)


def images_for_fit(w: float, groups: int, *, power: float = 0.8, level: float = 0.95) -> int:
    """Images for a chi-square test of k shares against a reference to see Cohen's effect w (Cohen 1988, ch. 7).

    Args:
        w: root of the sum of (share - reference)^2 / reference, above 0.
        groups: k, at least 2.
        power: chance of seeing it.
        level: one minus the size of the test.
    """
    if not w > 0 or groups < 2:
        raise ValueError(f"needs an effect above 0 and two groups or more, got {w} and {groups}")
    critical = float(special.chdtri(groups - 1, 1 - level))
    noncentral = float(special.chndtrinc(critical, groups - 1, 1 - power))
    return ceil(noncentral / w**2)


def _z(level: float) -> float:
    return float(special.ndtri((1 + level) / 2))


def _deviation(share: float) -> float:
    return sqrt(share * (1 - share))


def _other(shift: float, reference: float) -> float:
    # Up to rounding: 0.3 - 0.3 and 0.7 + 0.3 are ends.
    other = round(reference + shift, 12)
    if shift == 0 or not 0 < reference < 1 or not 0 <= other <= 1:
        raise ValueError(f"needs two different shares, got {reference} and {other}")
    return other


def _arms(shift: float, reference: float) -> tuple[float, float]:
    """Deviation of a difference of two shares, times the root of the images per arm: if equal, and as they are."""
    other = _other(shift, reference)
    pooled = (reference + other) / 2
    return sqrt(2) * _deviation(pooled), sqrt(_deviation(reference) ** 2 + _deviation(other) ** 2)


def _power(away: float, *, null: float, there: float, level: float) -> float:
    """Both tails of a normal statistic with mean ``away`` and deviation ``there``, tested with deviation ``null``."""
    edges = (away - _z(level) * null, -away - _z(level) * null)
    return sum(float(special.ndtr(edge / there if there > 0 else inf * edge if edge else 0.0)) for edge in edges)
