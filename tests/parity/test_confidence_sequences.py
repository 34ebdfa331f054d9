# SPDX-License-Identifier: Apache-2.0
"""Confidence sequences of a share against the values in confseq's own tests (MIT, 0.0.11, beta-binomial mixture)."""

from __future__ import annotations

import pytest

from audit.stats.sequential import share_sequence


@pytest.mark.parametrize(
    ("k", "n", "best_at", "low", "high"),
    [
        (700, 1000, 100, 0.651629, 0.745949),
        (15, 50, 50, 0.129556, 0.511896),
        (5, 50, 50, 0.013021, 0.269264),
        (1, 50, 50, 0.0, 0.13489),
        (100, 200, 1, 0.328923, 0.671076),
        (1, 2, 50, 0.0, 1.0),
        (84, 250, 250, 0.249464, 0.429650),
    ],
)
def test_confseq(k, n, best_at, low, high):
    found = share_sequence(k, n, level=0.95, best_at=best_at)
    assert (found.low, found.high) == pytest.approx((low, high), abs=2e-6)  # the printed digits are cut, not rounded
