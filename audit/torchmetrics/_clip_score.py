# SPDX-License-Identifier: Apache-2.0
"""CLIP score of image and text embeddings, with its interval."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy import special
from torch import Tensor
from torch.nn import functional
from torchmetrics import Metric

from audit.annotators._clip import DualEncoder
from audit.annotators._pretrained import Pretrained
from audit.errors import AnnotatorError
from audit.torchmetrics._base import Found, check_images, tensors

__all__ = ["CLIPScore"]

_WHERE = "CLIPScore.update"


class CLIPScore(Metric):
    """Mean over images of 100 max(cosine, 0) of image and text (Hessel et al. 2021, eq. 1, with factor 100).

    Each image is clipped at 0 before the mean is taken, not the mean of a batch. ``compute`` gives ``value``, ``low``,
    ``high`` (t interval, images as independent units), ``standard_error`` and ``n``. Sums are kept, in float64.

    Args:
        model: folder of a CLIP or SigLIP model; texts longer than it reads are refused, not cut. None: ``update`` is
            given the embeddings.
        device: of the model ("auto", "cpu", "cuda" ...).
        level: confidence level of the interval.
        **kwargs: of ``torchmetrics.Metric``.

    Attributes:
        why: why the last ``compute`` gave no number, None where it did.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    sums: Tensor

    def __init__(self, model: str | None = None, *, device: str = "auto", level: float = 0.95, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model, self.model_device, self.level = model, device, level
        self.why: str | None = None
        self._encoder: DualEncoder | None = None
        self.add_state("sums", default=torch.zeros(3, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, images: Tensor, texts: Sequence[str] | Tensor) -> None:
        """Adds pairs.

        Args:
            images: uint8 (n, 3, height, width), or embeddings (n, D) where there is no model.
            texts: n texts, or embeddings (n, D).

        Raises:
            AnnotatorError: other shapes or types, texts that would be cut, or a model that cannot be loaded.
        """
        if isinstance(texts, Tensor):
            first, second = images, texts
        else:
            first, second = self._embedded(images, list(texts))
        if first.ndim != 2 or first.shape != second.shape or not first.is_floating_point():
            told = " and ".join(f"{side.dtype} {tuple(side.shape)}" for side in (first, second))
            hint = "give a model=... to score images and texts themselves"
            raise AnnotatorError(f"embeddings are floating point (n, D) twice, got {told}", where=_WHERE, hint=hint)
        cosine = functional.cosine_similarity(first.detach().double(), second.detach().double())
        score = 100 * cosine.clamp(min=0)
        self.sums += torch.stack([torch.ones_like(score), score, score**2]).sum(dim=1).to(self.sums.device)

    def compute(self) -> Found:
        """The numbers, by name: scalars."""
        n, total, squares = self.sums.tolist()
        self.why = None
        if n < 2:
            self.why = f"{n:.0f} images, needs 2"
            warnings.warn(f"CLIPScore has no number: {self.why}", UserWarning, stacklevel=2)
            return tensors({**dict.fromkeys(("value", "low", "high", "standard_error"), math.nan), "n": n}, self.device)
        mean = total / n
        error = math.sqrt(max(squares / n - mean**2, 0.0) / (n - 1))
        half = float(special.stdtrit(n - 1, (1 + self.level) / 2)) * error
        low, high = max(mean - half, 0.0), min(mean + half, 100.0)
        return tensors({"value": mean, "low": low, "high": high, "standard_error": error, "n": n}, self.device)

    def _embedded(self, images: Tensor, texts: list[str]) -> tuple[Tensor, Tensor]:
        check_images(images, where=_WHERE)
        if len(images) != len(texts):
            message = f"{len(images)} images and {len(texts)} texts"
            raise AnnotatorError(message, where=_WHERE, hint="one text an image")
        encoder = self._loaded()
        encoder.refuse_longer(texts)
        pictures: list[np.ndarray[Any, np.dtype[np.uint8]]] = list(images.permute(0, 2, 3, 1).cpu().numpy())
        return torch.from_numpy(encoder.images(pictures)), torch.from_numpy(encoder.texts(texts))

    def _loaded(self) -> DualEncoder:
        if self.model is None:
            hint = "CLIPScore(model=...), or give the embeddings of both"
            raise AnnotatorError("no model to embed images and texts with", where=_WHERE, hint=hint)
        if self._encoder is None:
            where = f"CLIPScore(model={self.model!r})"
            self._encoder = DualEncoder(Pretrained({"model": self.model, "device": self.model_device}, where=where))
        return self._encoder

    def __getstate__(self) -> dict[str, Any]:
        """Without the loaded model, which is loaded again where it is needed."""
        return {**super().__getstate__(), "_encoder": None}
