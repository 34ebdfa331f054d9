# SPDX-License-Identifier: Apache-2.0
"""Which image metrics of torchmetrics can be used by name, and what has to be known to use them rightly."""

from __future__ import annotations

import difflib
import inspect
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import torch
from torchmetrics import Metric
from torchmetrics import image as images

from audit.errors import PluginError

__all__ = ["Borrowed", "borrow"]

Direction = Literal["higher", "lower", "none"]
Bounds = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class Borrowed:
    """An image metric of torchmetrics, taken on one picture at a time.

    Attributes:
        name: of the class.
        cls: the class.
        paired: whether a picture is held against a target.
        direction: which end is better.
        bounds: smallest and largest possible value of one picture, None: none or not known.
        white: the level that 255 is given as.
    """

    name: str
    cls: type[Metric]
    paired: bool
    direction: Direction
    bounds: Bounds
    white: float

    def make(self, options: Mapping[str, Any]) -> Metric:
        """The metric with ``options``; a range of the data is that of the levels it is given.

        Raises:
            TypeError, ValueError: options that the class does not take.
        """
        takes = inspect.signature(self.cls.__init__).parameters
        ranged = {"data_range": self.white} if "data_range" in takes else {}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*in buffer", UserWarning)  # of one picture at a time
            metric: Metric = self.cls(**{**ranged, **options})
        return metric

    def score(self, metric: Metric, *pictures: torch.Tensor) -> torch.Tensor:
        """What ``metric`` says of one picture, alone or against its target.

        Args:
            metric: as `make` made it; left as empty as it came.
            *pictures: each uint8, shape (3, height, width).
        """
        given = [(picture.to(torch.float32) / (255 / self.white))[None] for picture in pictures]
        try:
            with torch.inference_mode():
                metric.update(*given)
                value: torch.Tensor = metric.compute()
                return value
        finally:
            metric.reset()


# The bounds of torchmetrics are those of its plots: SSIM may be negative, and the spectral angle goes up to pi / 2.
_BOUNDS: Final[Mapping[str, Bounds]] = {
    "ErrorRelativeGlobalDimensionlessSynthesis": (0.0, None),
    "MultiScaleStructuralSimilarityIndexMeasure": (0.0, 1.0),
    "RootMeanSquaredErrorUsingSlidingWindow": (0.0, None),
    "SpatialCorrelationCoefficient": (-1.0, 1.0),
    "SpectralAngleMapper": (0.0, math.pi / 2),
    "SpectralDistortionIndex": (0.0, None),
    "StructuralSimilarityIndexMeasure": (-1.0, 1.0),
    "TotalVariation": (0.0, None),
    "UniversalImageQualityIndex": (-1.0, 1.0),
    "VisualInformationFidelity": (0.0, None),
}
# torchmetrics calls a larger distortion better, though a picture has none against itself; and by its word a blank
# picture has the best total variation.
_DIRECTIONS: Final[Mapping[str, Direction]] = {"SpectralDistortionIndex": "lower", "TotalVariation": "none"}
# The noise of Sheikh and Bovik 2006, sigma_n_sq = 2, is that of levels up to 255.
_WHITE: Final[Mapping[str, float]] = {"VisualInformationFidelity": 255.0}

_NETWORK = "needs torchvision or weights from the network, which this tool does without"
_SET = "is a number of a set of images, not of one, and does not state the feature space it was taken in"
_PANSHARPENING = "judges fused satellite images, and needs a multispectral and a panchromatic one"
_OURS = "quality.frechet_distance, which states its feature space and carries its error"
_REFUSED: Final[Mapping[str, tuple[str, str]]] = {
    "ARNIQA": (_NETWORK, "quality.effective_resolution or quality.checkerboard"),
    "CLIPImageQualityAssessment": ("does not run with transformers 5", "quality.clip_score"),
    "CLIPScore": ("does not run with transformers 5, and does not say where captions were cut", "quality.clip_score"),
    "DeepImageStructureAndTextureSimilarity": (_NETWORK, "torchmetrics:MultiScaleStructuralSimilarityIndexMeasure"),
    "FrechetInceptionDistance": (_SET, _OURS),
    "InceptionScore": (_SET, _OURS),
    "KernelInceptionDistance": (_SET, _OURS),
    "LearnedPerceptualImagePatchSimilarity": (_NETWORK, "torchmetrics:MultiScaleStructuralSimilarityIndexMeasure"),
    "MemorizationInformedFrechetInceptionDistance": (
        "is a number of a set of images, and averages over the real images where its paper averages over the "
        "generated ones",
        "likeness.copy_share",
    ),
    "PeakSignalNoiseRatioWithBlockedEffect": ("reads grey pictures only", "torchmetrics:PeakSignalNoiseRatio"),
    "PerceptualPathLength": ("asks the generator itself, not its images", _OURS),
    "QualityWithNoReference": (_PANSHARPENING, "torchmetrics:UniversalImageQualityIndex"),
    "RelativeAverageSpectralError": (
        "divides the mean level by the pixels of its window once too often: it is 64 times as large as it should be",
        "torchmetrics:ErrorRelativeGlobalDimensionlessSynthesis",
    ),
    "SpatialDistortionIndex": (_PANSHARPENING, "torchmetrics:UniversalImageQualityIndex"),
}


def borrow(name: str) -> Borrowed:
    """The image metric of torchmetrics called ``name``.

    Raises:
        PluginError: there is no such class, it is no metric of single images, or it cannot run here; the hint names
            what to use instead.
    """
    where = f"torchmetrics:{name}"
    if name in _REFUSED:
        why, instead = _REFUSED[name]
        raise PluginError(f"{name} {why}", where=where, hint=f"use {instead}")
    known = [found for found in images.__all__ if found not in _REFUSED]
    if name not in known:
        raise PluginError(f"torchmetrics has no image metric called {name!r}", where=where, hint=_near(name, known))
    cls: type[Metric] = getattr(images, name)
    inputs = list(inspect.signature(cls.update).parameters)[1:]
    if inputs not in (["preds", "target"], [inputs[0]]):
        message = f"{name} takes {', '.join(inputs)}: neither a picture, nor a picture and its target"
        raise PluginError(message, where=where, hint=f"known: {', '.join(known)}")
    better: Direction = {True: "higher", False: "lower"}.get(cls.higher_is_better, "none")  # type: ignore[arg-type,assignment]
    return Borrowed(
        name=name,
        cls=cls,
        paired=len(inputs) == 2,
        direction=_DIRECTIONS.get(name, better),
        bounds=_BOUNDS.get(name, (None, None)),
        white=_WHITE.get(name, 1.0),
    )


def _near(name: str, known: list[str]) -> str:
    """The nearest name, by its letters or by its capitals: SSIM is the StructuralSimilarityIndexMeasure."""
    short = {"".join(filter(str.isupper, full)): full for full in known}
    plain = "".join(filter(str.isalpha, name)).upper()
    near = [short[plain]] if plain in short else difflib.get_close_matches(name, known, n=1)
    return f"did you mean torchmetrics:{near[0]}?" if near else f"known: {', '.join(known)}"
