# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from scipy import stats

from audit.stats.power import images_for_half_width, images_to_detect


@pytest.mark.parametrize(("half", "n"), [(0.02, 2401), (0.05, 385), (0.10, 97), (0.15, 43), (0.20, 25)])
def test_images_for_a_half_width(half, n):
    assert images_for_half_width(half) == n


@pytest.mark.parametrize("shift", [0.05, 0.1, 0.2])
def test_the_planned_power_is_reached(shift):
    n = images_to_detect(shift)
    low, high = stats.binom.ppf([0.025, 0.975], n, 0.5)
    power = stats.binom.cdf(low - 1, n, 0.5 + shift) + stats.binom.sf(high, n, 0.5 + shift)
    assert power == pytest.approx(0.8, abs=0.06)


def test_a_worse_instrument_needs_more():
    assert images_for_half_width(0.1, inflation=1.156) == 112


@pytest.mark.parametrize("half", [0.0, 1.0])
def test_impossible_half_widths(half):
    with pytest.raises(ValueError, match="half width"):
        images_for_half_width(half)


def test_no_shift_is_never_seen():
    with pytest.raises(ValueError, match="different"):
        images_to_detect(0.0)
