# SPDX-License-Identifier: Apache-2.0
"""Images behind one decision about one share that an imperfect instrument reads."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from audit.stats.annotator_error import Correction

__all__ = ["Size", "images_needed"]

Array = NDArray[np.float64]
_MOST = 1e9  # images; more than this is never


@dataclass(frozen=True, slots=True)
class Size:
    """What one decision takes.

    Attributes:
        images: needed; None where no number is enough, because the instrument's own counts are too few.
        inflation: variance of one corrected image relative to one seen by a perfect instrument.
        floor: standard error that stays however many images there are: the doubt about the confusion counts.
    """

    images: int | None
    inflation: float
    floor: float


def images_needed(
    correction: Correction | None, limit: Array, truth: Array, *, group: int, alpha: float, power: float
) -> Size:
    """Images at which a true share is told from a limit (Fleiss 1981, eq. 2.3, with the instrument's error in it).

    The variance of the corrected share is that of the scores of the answers over n plus that of the confusion counts,
    which does not shrink with n: below it no number of images decides, only more validation images do.

    Args:
        correction: of the instrument, identified; None for answers without error.
        limit: shares of all k groups where the group's share lies on the limit, sum 1.
        truth: shares where the decision is to be reached, sum 1.
        group: index of the group.
        alpha: two-sided level of the test, after any correction for many tests.
        power: chance of the decision.

    Raises:
        ValueError: limit and truth agree, or alpha or power are no probabilities.
    """
    distance = abs(float(truth[group] - limit[group]))
    if not (distance > 0 and 0 < alpha < 1 and 0 < power < 1):
        raise ValueError(f"needs two different shares, and alpha and power in (0, 1), got {distance}, {alpha}, {power}")
    a, b = float(special.ndtri(1 - alpha / 2)), float(special.ndtri(power))
    (v0, f0), (v1, f1) = (_variances(correction, shares, group) for shares in (limit, truth))

    def short(n: float) -> float:
        return float(a * (v0 / n + f0) ** 0.5 + b * (v1 / n + f1) ** 0.5 - distance)

    share = float(truth[group])
    inflation = v1 / (share * (1 - share)) if 0 < share < 1 and v1 > 0 else 1.0
    if short(_MOST) > 0:
        return Size(None, inflation, f1**0.5)
    images = 1 if short(1.0) <= 0 else ceil(float(optimize.brentq(short, 1.0, _MOST)))
    return Size(images, inflation, f1**0.5)


def _variances(correction: Correction | None, shares: Array, group: int) -> tuple[float, float]:
    """Variance of one image's score, and of the estimate by the sampling of the confusion counts."""
    if correction is None:
        return float(shares[group] * (1 - shares[group])), 0.0
    scores, answers = correction.scores[:, group], shares @ correction.matrix
    each = float(answers @ scores**2 - (answers @ scores) ** 2)
    return max(each, 0.0), float(shares**2 @ correction.instrument.variance[:, group])
