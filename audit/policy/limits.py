# SPDX-License-Identifier: Apache-2.0
"""An interval held against limits."""

from __future__ import annotations

import math

from audit.types import Decision

__all__ = ["Limits", "decide"]

Limits = tuple[float, float]
"""Smallest and largest allowed value; infinite where there is none."""


def decide(low: float | None, high: float | None, limits: Limits) -> Decision:
    """PASS if the whole interval is allowed, FAIL if none of it is, else INCONCLUSIVE.

    For a one-sided limit that is: PASS only if the unfavourable end meets the limit, FAIL only if the favourable end
    misses it. Between two limits PASS is the result of two one-sided tests (Schuirmann 1987): equivalence is shown, not
    concluded from the lack of a difference. An end that is missing or NaN counts as infinite.

    >>> decide(0.02, 0.04, (-math.inf, 0.05)).value, decide(0.02, 0.06, (-math.inf, 0.05)).value
    ('pass', 'inconclusive')
    """
    bottom = -math.inf if low is None or math.isnan(low) else low
    top = math.inf if high is None or math.isnan(high) else high
    if limits[0] <= bottom and top <= limits[1]:
        return Decision.PASS
    if top < limits[0] or bottom > limits[1]:
        return Decision.FAIL
    return Decision.INCONCLUSIVE
