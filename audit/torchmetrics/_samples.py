# SPDX-License-Identifier: Apache-2.0
"""Measures of generated images by themselves, and of how near they are to those that were trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scipy import special
from torch import nn

from audit.stats.diversity import vendi_score
from audit.stats.frechet import frechet
from audit.stats.inception_score import inception_score
from audit.stats.memorisation import memorisation, mifid
from audit.torchmetrics._base import FeatureMetric, Features

__all__ = ["InceptionScore", "MiFID", "VendiScore"]


class InceptionScore(FeatureMetric):
    """Inception score of all images at once, its bias corrected, with its interval (`audit.stats.inception_score`).

    ``feature`` gives logits (n, C), before the softmax. Real images are passed over. ``compute`` gives ``value``,
    ``low``, ``high``, ``standard_error``, the plug-in value ``raw`` and ``n``.
    """

    higher_is_better = True
    keys = ("value", "low", "high", "standard_error", "raw", "n")
    reads_real = False

    def _measure(self, fake: Features, real: Features) -> Mapping[str, float]:  # noqa: ARG002
        found = inception_score(fake, level=self.level)
        return {key: getattr(found, key) for key in self.keys}


class VendiScore(FeatureMetric):
    """Vendi score of all images, with the interval of its expectation at this n (`audit.stats.diversity`).

    ``compute`` gives ``value``, ``low``, ``high``, ``standard_error`` and ``n``; scores at different n do not compare.
    Real images do not count; they are taken in so that features are shared with other measures.

    Args:
        feature: see `FeatureMetric`.
        order: of the entropy, from 0 to infinity.
        **kwargs: of `FeatureMetric`.
    """

    higher_is_better = True
    keys = ("value", "low", "high", "standard_error", "n")

    def __init__(self, feature: nn.Module | None = None, *, order: float = 1.0, **kwargs: Any) -> None:
        super().__init__(feature, **kwargs)
        self.order = order

    def _measure(self, fake: Features, real: Features) -> Mapping[str, float]:  # noqa: ARG002
        found = vendi_score(fake, order=self.order, level=self.level)
        return {key: getattr(found, key) for key in self.keys}


class MiFID(FeatureMetric):
    """Memorisation-informed Frechet distance: the distance over how near generated images are to the training images.

    Real images are those that were trained on. Each generated image is held against its nearest training image, as
    published, not each training image against its nearest generated one (`audit.stats.memorisation`).

    ``compute`` gives ``value`` and ``raw``, with the Frechet distance bias-corrected and plug-in, ``low`` and ``high``
    (both parts at their ends, which is conservative), ``distance`` with ``distance_low`` and ``distance_high``, ``n``
    and ``m``.

    Args:
        feature: see `FeatureMetric`.
        threshold: mean distance from which on nothing is taken to be memorised.
        **kwargs: of `FeatureMetric`.
    """

    higher_is_better = False
    keys = ("value", "low", "high", "raw", "distance", "distance_low", "distance_high", "n", "m")

    def __init__(self, feature: nn.Module | None = None, *, threshold: float = 0.1, **kwargs: Any) -> None:
        super().__init__(feature, **kwargs)
        self.threshold = threshold

    def _measure(self, fake: Features, real: Features) -> Mapping[str, float]:
        each = (1 + self.level) / 2  # either part errs half as often: together they hold at the level (Bonferroni)
        far, near = frechet(fake, real, level=each), memorisation(fake, real, level=self.level).distance
        half = float(special.stdtrit(near.n - 1, (1 + each) / 2)) * near.standard_error
        ends = max(near.value - half, 0.0), near.value + half
        corners = [self._divided(distance, end) for distance in (far.low, far.high) for end in ends]
        return {
            "value": self._divided(far.value, near.value),
            "low": min(corners),
            "high": max(corners),
            "raw": self._divided(far.raw, near.value),
            "distance": near.value,
            "distance_low": near.low,
            "distance_high": near.high,
            "n": near.n,
            "m": near.m,
        }

    def _divided(self, frechet_distance: float, distance: float) -> float:
        return mifid(frechet_distance, distance, threshold=self.threshold)
