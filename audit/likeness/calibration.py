# SPDX-License-Identifier: Apache-2.0
"""From how similar strangers look to the threshold above which an image counts as similar to an enrolled reference.

A *search* compares one face with the whole gallery and keeps the best score. FPIR is the share of searches of people
who are not enrolled whose best score is above the threshold (NIST FRTE 1:N).

Threshold and its error come from the same searches, without optimism. Let the R scores be sorted, and let the threshold
be the one with exactly j scores above it, where j depends on R and the target only. For independent, continuous scores
the true FPIR at that threshold is then distributed as Beta(j + 1, R - j) whatever the distribution of the scores
(David and Nagaraja, Order Statistics, 2003, section 2.5). Two consequences:

- its mean is (j + 1) / (R + 1), so the largest j with (j + 1) / (R + 1) <= target keeps the expected rate within it;
- the upper Clopper-Pearson limit for j false alarms in R searches *is* the upper quantile of that distribution, and the
  lower one is a little lower than its quantile: the usual interval is valid although the threshold was chosen on it.

Nothing is held back for a second half, which would only widen the interval. What no interval covers: people who differ
from the non-members (calibrate on faces like those that the generator draws).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta

from audit.errors import ConfigError

__all__ = ["Calibration", "calibrate", "fmr_of_fpir", "fpir_of_fmr"]


@dataclass(frozen=True, slots=True)
class Calibration:
    """A threshold, and how often it raises a false alarm.

    Attributes:
        threshold: cosine similarity; a best score *above* it counts as similar.
        fpir_target: false alarms per search that were asked for.
        fpir_low, fpir_high: interval of the true rate at ``level``.
        level: confidence level of the interval.
        searches: non-member searches behind it (each found a face).
        false_alarms: how many of them are above the threshold.
        gallery_size: enrolled references searched; the rate holds for this gallery only.
        reference_ids: their pseudonymous ids.
        embedder_digest: which model made the scores.
    """

    threshold: float
    fpir_target: float
    fpir_low: float
    fpir_high: float
    level: float
    searches: int
    false_alarms: int
    gallery_size: int
    reference_ids: tuple[str, ...]
    embedder_digest: str

    @property
    def digest(self) -> str:
        """Sha256 (hex) of all of it."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "reference_ids": list(self.reference_ids)}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Calibration:
        """What `as_dict` gave. Raises TypeError or KeyError for anything else."""
        return cls(**{**raw, "reference_ids": tuple(raw["reference_ids"])})


def calibrate(
    non_member_scores: ArrayLike,
    *,
    fpir: float,
    level: float,
    gallery_size: int,
    reference_ids: Sequence[str],
    embedder_digest: str,
) -> Calibration:
    """The threshold with an expected false alarm rate of at most ``fpir`` per search.

    Args:
        non_member_scores: (R,) best scores of people who are not enrolled, one search a person; searches without a face
            left out.
        fpir: target, strictly between 0 and 1.
        level: of the interval, strictly between 0 and 1.
        gallery_size: references in the gallery that was searched.
        reference_ids: their ids.
        embedder_digest: of the model.

    Raises:
        ConfigError: fewer than 3 / fpir searches, a rate that cannot be stated, or scores that are not finite.

    Example:
        >>> who = {"gallery_size": 1, "reference_ids": ["R-01"], "embedder_digest": ""}
        >>> found = calibrate(range(100), fpir=0.05, level=0.95, **who)
        >>> found.threshold, found.false_alarms
        (95.0, 4)
    """
    scores = _checked(non_member_scores, fpir=fpir, level=level)
    searches = len(scores)
    above = math.floor(fpir * (searches + 1) * (1 + 1e-12)) - 1  # the factor forgives the rounding of e.g. 0.1 * 30
    threshold = float(scores[searches - 1 - above])
    false_alarms = int((scores > threshold).sum())
    tail = (1 - level) / 2
    return Calibration(
        threshold=threshold,
        fpir_target=fpir,
        # Scores equal to the threshold leave fewer above it than planned, and then nothing bounds the rate from below.
        fpir_low=float(beta.ppf(tail, above, searches - above + 1)) if 0 < above == false_alarms else 0.0,
        fpir_high=float(beta.ppf(1 - tail, above + 1, searches - above)),
        level=level,
        searches=searches,
        false_alarms=false_alarms,
        gallery_size=gallery_size,
        reference_ids=tuple(reference_ids),
        embedder_digest=embedder_digest,
    )


def _checked(non_member_scores: ArrayLike, *, fpir: float, level: float) -> NDArray[np.float64]:
    if not (0 < fpir < 1 and 0 < level < 1):
        raise ConfigError(f"fpir {fpir} and level {level} must lie between 0 and 1", where="likeness calibration")
    scores = np.sort(np.asarray(non_member_scores, dtype=np.float64).ravel())
    if not np.isfinite(scores).all():
        raise ConfigError(
            "non-member scores are not all finite", where="likeness calibration", hint="drop faceless images"
        )
    needed = math.ceil(3 / fpir * (1 - 1e-12))
    if len(scores) < needed:
        message = f"a false alarm rate of {fpir:g} cannot be stated from {len(scores)} non-member searches with a face"
        hint = f"give at least {needed} non-members (gallery.searches), or raise gallery.fpir"
        raise ConfigError(message, where="likeness calibration", hint=hint)
    return scores


def fpir_of_fmr(fmr: float, gallery_size: int) -> float:
    """FPIR = 1 - (1 - FMR)^N: false alarms per search if N comparisons were independent (they are not: calibrate)."""
    return -math.expm1(gallery_size * math.log1p(-fmr))


def fmr_of_fpir(fpir: float, gallery_size: int) -> float:
    """The inverse of `fpir_of_fmr`: FMR = 1 - (1 - FPIR)^(1/N)."""
    return -math.expm1(math.log1p(-fpir) / gallery_size)
