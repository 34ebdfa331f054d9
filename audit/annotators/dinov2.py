# SPDX-License-Identifier: Apache-2.0
"""Features of DINOv2, on which distances agree better with people than on Inception's (Stein et al. 2023)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audit.annotators.vision import VisionAnnotator

__all__ = ["Dinov2Annotator"]


class Dinov2Annotator(VisionAnnotator):
    """The class token of DINOv2 after its last normalisation, as FD-DINOv2 is published on (ViT-L/14 at 224x224).

    Args:
        **options: as of the annotator vision; by default ``model`` is facebook/dinov2-large, ``pool`` cls, ``kernel``
            pil_bicubic_uint8 and ``size`` 224: the picture is made square and nothing is cut off, as in dgm-eval.

    Raises:
        AnnotatorError: the model is missing.
        ConfigError: an unknown option, kernel or pool, or a folder that is not there.
    """

    name = "dinov2"
    _defaults: Mapping[str, Any] = {
        "model": "facebook/dinov2-large",
        "pool": "cls",
        "kernel": "pil_bicubic_uint8",
        "size": 224,
    }
