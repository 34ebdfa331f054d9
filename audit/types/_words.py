# SPDX-License-Identifier: Apache-2.0
"""Plain values, and the closed sets of words that outcomes, states and judgements come from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from numpy.typing import NDArray

__all__ = ["Columns", "Decision", "Outcome", "Scalar", "Status", "family_of"]

Scalar = str | int | float | bool | None
Columns = Mapping[str, NDArray[Any]]


def family_of(metric: str) -> str:
    """What a metric's id begins with, before the dot, or the colon of a borrowed one.

    >>> family_of("quality.clip_score"), family_of("torchmetrics:TotalVariation")
    ('quality', 'torchmetrics')
    """
    return re.split("[.:]", metric)[0]


class Outcome(StrEnum):
    """What came of one request. Every request ends in exactly one of these, and in exactly one row."""

    IMAGE = "image"
    REFUSED = "refused"  # the generator declined in words or by an API status
    BLOCKED = "blocked"  # an image was made and withheld by a safety filter
    ERROR = "error"  # it failed; the message says how


class Status(StrEnum):
    """Whether an estimate carries a number. ``Estimate.value is None`` exactly when it is not OK."""

    OK = "ok"
    INSUFFICIENT = "insufficient"  # fewer observations than the metric needs
    UNAVAILABLE = "unavailable"  # an instrument, reference or column is missing
    UNIDENTIFIED = "unidentified"  # the instrument is too poor to correct for (ill-conditioned confusion matrix)


class Decision(StrEnum):
    """Three-way judgement, plus NOT_RUN, which is never green, and WAIVED, which is printed."""

    PASS = "pass"  # noqa: S105 - a judgement, not a secret
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NOT_RUN = "not_run"
    WAIVED = "waived"
