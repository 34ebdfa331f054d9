# SPDX-License-Identifier: Apache-2.0
"""What our measures share as ``torchmetrics.Metric``: features of real and generated images, numbers with errors."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat

from audit.errors import AnnotatorError

__all__ = ["FeatureMetric", "Found", "check_images", "tensors"]

Found = dict[str, Tensor]
Features = NDArray[np.floating[Any]]

_ROUND = "images = (images.clamp(0, 1) * 255).round().to(torch.uint8)"


class FeatureMetric(Metric):
    """A measure of generated images, or of these against real ones, on features that one network takes of both.

    Features are kept, and joined over processes. In a ``MetricCollection`` all measures on one network share them, so
    that each image is embedded once. ``compute`` gives a dictionary of float64 scalars, the numbers of the function of
    `audit.stats` behind it. Where there is none (too few images) they are NaN, ``why`` says so, and a warning does.

    Args:
        feature: maps uint8 images (n, 3, height, width) to features (n, D), used in evaluation mode and without
            gradients whatever mode the training loop sets; None: ``update`` is given the features.
        level: confidence level of the interval.
        reset_real_features: False: ``reset`` keeps the real features, which need not be taken anew every epoch.
        **kwargs: of ``torchmetrics.Metric``.

    Attributes:
        why: why the last ``compute`` gave no number, None where it did.
        keys: names of the numbers.
        reads_real: False: real images are passed over.
    """

    is_differentiable = False
    full_state_update = False
    keys: ClassVar[tuple[str, ...]]
    reads_real: ClassVar[bool] = True
    real: list[Tensor]
    fake: list[Tensor]

    def __init__(
        self, feature: nn.Module | None = None, *, level: float = 0.95, reset_real_features: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not 0 < level < 1:
            raise AnnotatorError(f"level is {level}", where=type(self).__name__, hint="level=0.95")
        self.feature, self.level, self.reset_real_features = feature, level, reset_real_features
        self.why: str | None = None
        self.add_state("real", default=[], dist_reduce_fx="cat")
        self.add_state("fake", default=[], dist_reduce_fx="cat")

    def update(self, given: Tensor, real: bool = False) -> None:
        """Adds images, or features where there is no network.

        Args:
            given: uint8 (n, 3, height, width), or floating point (n, D).
            real: whether they are of real images.

        Raises:
            AnnotatorError: another shape or type.
        """
        if real and not self.reads_real:
            return
        (self.real if real else self.fake).append(self._features(given))

    def compute(self) -> Found:
        """The numbers, by name: scalars."""
        real, fake = (_array(side) for side in (self.real, self.fake))
        self.why = None
        try:
            found = self._measure(fake, real)
        except ValueError as error:
            self.why = str(error)
            warnings.warn(f"{type(self).__name__} has no number: {error}", UserWarning, stacklevel=2)
            counts = {"n": len(fake), "m": len(real)}
            found = {key: counts.get(key, math.nan) for key in self.keys}
        return tensors(found, self.device)

    def reset(self) -> None:
        """Forgets the generated features, and the real ones unless they are to be kept."""
        kept = None if self.reset_real_features else self._defaults.pop("real")
        super().reset()
        if kept is not None:
            self._defaults["real"] = kept

    def _measure(self, fake: Features, real: Features) -> Mapping[str, float]:
        """The numbers under ``keys``. Raises ValueError where there are none."""
        raise NotImplementedError

    def _features(self, given: Tensor) -> Tensor:
        where = f"{type(self).__name__}.update"
        if self.feature is None:
            found, source = given, "what was given"
        else:
            check_images(given, where=where)
            found, source = _embedded(self.feature, given), f"{type(self.feature).__name__} of the images"
        if not isinstance(found, Tensor) or found.ndim != 2 or not found.is_floating_point():
            told = f"{found.dtype} {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
            hint = "images need a network: feature=..., a module that returns floating point (n, D)"
            raise AnnotatorError(f"features are (n, D) and floating point, {source} is {told}", where=where, hint=hint)
        found = found.detach()
        return found if found.dtype in {torch.float32, torch.float64} else found.float()


def check_images(given: Tensor, *, where: str) -> None:
    """Refuse what is no batch of 8-bit images.

    Fractions are refused because what turns them into levels decides the number: ``(x * 255).byte()`` cuts off half a
    level on average and wraps, so that 1.01, which decoders do give, becomes black.

    Raises:
        AnnotatorError: another shape or type.
    """
    if given.dtype != torch.uint8:
        raise AnnotatorError(f"images are levels 0 to 255 as uint8, got {given.dtype}", where=where, hint=_ROUND)
    if given.ndim != 4 or given.shape[1] != 3:
        hint = "images.permute(0, 3, 1, 2) puts the channels in the second place"
        raise AnnotatorError(f"images are (n, 3, height, width), got {tuple(given.shape)}", where=where, hint=hint)


def tensors(found: Mapping[str, float], device: torch.device) -> Found:
    """Scalars in float64, or in float32 on devices without it."""
    dtype = torch.float32 if device.type == "mps" else torch.float64
    return {name: torch.tensor(value, dtype=dtype, device=device) for name, value in found.items()}


def _embedded(network: nn.Module, images: Tensor) -> Any:
    training = network.training
    network.eval()
    try:
        with torch.no_grad():
            return network(images)
    finally:
        network.train(training)


def _array(side: list[Tensor] | Tensor) -> Features:
    if isinstance(side, list) and not side:
        return np.empty((0, 1))
    found: Features = dim_zero_cat(side).cpu().numpy()
    return found
