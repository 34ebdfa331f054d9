# SPDX-License-Identifier: Apache-2.0
"""Distances of generated from real images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from audit.stats.cmmd import cmmd
from audit.stats.frechet import Moments, frechet, frechet_to_fixed
from audit.stats.kernel_distance import kernel_distance
from audit.stats.neighbours import neighbours
from audit.torchmetrics._base import FeatureMetric, Features

__all__ = ["CMMD", "FrechetDistance", "KernelDistance", "NeighbourMetrics"]


class FrechetDistance(FeatureMetric):
    """Frechet distance, its bias corrected, with its interval (`audit.stats.frechet`).

    ``compute`` gives ``value``, ``low``, ``high``, ``standard_error``, the plug-in value ``raw`` that other libraries
    print, ``n`` and ``m`` (generated and real images).

    Args:
        feature: see `FeatureMetric`.
        reference: mean and covariance of real images to compare with (``Moments.load``), in place of real images; the
            number then carries no error of theirs.
        **kwargs: of `FeatureMetric`.
    """

    higher_is_better = False
    keys = ("value", "low", "high", "standard_error", "raw", "n", "m")

    def __init__(self, feature: nn.Module | None = None, *, reference: Moments | None = None, **kwargs: Any) -> None:
        super().__init__(feature, **kwargs)
        self.reference = reference

    def _measure(self, fake: Features, real: Features) -> Mapping[str, float]:
        if self.reference is None:
            found = frechet(fake, real, level=self.level)
        else:
            found = frechet_to_fixed(fake, self.reference, level=self.level)
        return {key: getattr(found, key) for key in self.keys}


class KernelDistance(FeatureMetric):
    """Kernel distance (KID) over all pairs, no random subsets, with its interval (`audit.stats.kernel_distance`).

    ``compute`` gives ``value``, ``low``, ``high``, ``standard_error``, the V-statistic ``raw``, ``n`` and ``m``.
    """

    higher_is_better = False
    keys = ("value", "low", "high", "standard_error", "raw", "n", "m")

    def _measure(self, fake: Features, real: Features) -> Mapping[str, float]:
        found = kernel_distance(fake, real, level=self.level)
        return {key: getattr(found, key) for key in self.keys}


class CMMD(FeatureMetric):
    """CMMD of CLIP embeddings, with its interval (`audit.stats.cmmd`).

    ``compute`` gives ``value`` without pairs of an embedding with itself, comparable across n, ``low``, ``high``,
    ``standard_error``, ``raw`` as published, ``n`` and ``m``.
    """

    higher_is_better = False
    keys = ("value", "low", "high", "standard_error", "raw", "n", "m")

    def _measure(self, fake: Features, real: Features) -> Mapping[str, float]:
        found = cmmd(fake, real, level=self.level)
        return {
            "value": found.corrected,
            "low": found.low,
            "high": found.high,
            "standard_error": found.standard_error,
            "raw": found.value,
            "n": found.n,
            "m": found.m,
        }


_FOUR = ("precision", "recall", "density", "coverage")


class NeighbourMetrics(FeatureMetric):
    """Precision, recall, density and coverage among nearest neighbours, with intervals (`audit.stats.neighbours`).

    ``compute`` gives each of the four under its name, with ``_low``, ``_high`` and ``_standard_error``, ``n`` and
    ``m``. All depend on n, m and k.

    Args:
        feature: see `FeatureMetric`.
        k: neighbours that a ball reaches to.
        **kwargs: of `FeatureMetric`.
    """

    higher_is_better = True
    keys = (*(f"{name}{part}" for name in _FOUR for part in ("", "_low", "_high", "_standard_error")), "n", "m")

    def __init__(self, feature: nn.Module | None = None, *, k: int = 5, **kwargs: Any) -> None:
        super().__init__(feature, **kwargs)
        self.k = k

    def _measure(self, fake: Features, real: Features) -> Mapping[str, float]:
        found = neighbours(fake, real, k=self.k, level=self.level)
        numbers: dict[str, float] = {"n": found.n, "m": found.m}
        for name in _FOUR:
            one = getattr(found, name)
            numbers |= {name: one.value, f"{name}_low": one.low, f"{name}_high": one.high}
            numbers[f"{name}_standard_error"] = one.standard_error
        return numbers
