# SPDX-License-Identifier: Apache-2.0
"""How well people would like a picture for its prompt, to a CLIP that was trained on their choices (PickScore)."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audit.annotators._clip import DualEncoder, cosine
from audit.annotators._hub import snapshot
from audit.annotators._pretrained import OPTIONS, Pretrained
from audit.checkpoints import check_options, digest_of, resolve_model
from audit.errors import AnnotatorError
from audit.types import AnnotatorSpec, Columns, ImageRecord

__all__ = ["PreferenceAnnotator"]

_WHERE = "annotator 'preference'"
_OPTIONS: Mapping[str, type | tuple[type, ...]] = {
    **{name: kind for name, kind in OPTIONS.items() if name not in {"allow_race", "operating"}},
    "processor": str,
}
_PICK_SCORE, _ITS_PROCESSOR = "yuvalkirstain/PickScore_v1", "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"
#: Files of a tokenizer and an image processor; the weights beside them are not needed.
_FILES = ("*.json", "*.jinja", "*.txt", "*.model")


class PreferenceAnnotator:
    """Cosine of image and prompt times the scale learned from people's choices (Kirstain et al. 2023).

    The difference of two pictures' scores for one prompt is the model's log odds that people prefer the first. HPS v2
    and ImageReward are published in formats that need packages of their own: what they say comes in as a file, by the
    annotator ``judgements``.

    Args:
        **options: ``model`` (PickScore v1; any folder or hub id of a CLIP with a learned scale), ``processor`` (folder
            or hub id of tokenizer and image processor; that of CLIP ViT-H/14 for PickScore, else the model's own),
            ``revision`` (of the model), ``local_files_only``, ``device`` (auto), ``dtype`` (float32), ``batch`` (32).

    Raises:
        AnnotatorError: the model is missing, has no such features, or no learned scale.
        ConfigError: an unknown option, or a folder that is not there.
    """

    version = "1"

    def __init__(self, **options: Any) -> None:
        check_options(options, _OPTIONS, where=_WHERE)
        model = str(options.get("model") or _PICK_SCORE)
        processor = options.get("processor") or (_ITS_PROCESSOR if model == _PICK_SCORE else None)
        self._options = {name: value for name, value in options.items() if name != "processor"} | {"model": model}
        self._model = Pretrained(self._options, where=_WHERE)
        self._processor = processor
        self._beside = resolve_model(processor, where=_WHERE, error=AnnotatorError) if processor else None

    @functools.cached_property
    def spec(self) -> AnnotatorSpec:
        """Identity; reads files, loads no weights. Hub ids are downloaded first."""
        return self._model.spec(
            "preference",
            self.version,
            settings={"processor": _digest(self._parts.folder) if self._parts else None},
            columns={"score": "cosine of image and prompt times the learned scale"},
            groups={},
            operating=None,
        )

    def annotate(self, images: Sequence[ImageRecord], /) -> Columns:
        """The column of `spec`, one row an image."""
        scale = self._encoder.scale
        if scale is None:
            message = f"{self._model.model} was trained with no logit scale"
            raise AnnotatorError(message, where=_WHERE, hint="name a CLIP that was trained on preferences")
        seen = self._encoder.images([image.rgb for image in images])
        said = self._encoder.texts([image.text for image in images])
        return {"score": (scale * cosine(seen, said)).astype(np.float32)}

    @functools.cached_property
    def _parts(self) -> Pretrained | None:
        if not self._processor:
            return None
        only = bool(self._options.get("local_files_only"))
        folder = self._beside or snapshot(self._processor, None, files=_FILES, local_files_only=only, where=_WHERE)
        return Pretrained({"model": str(folder)}, where=_WHERE)

    @functools.cached_property
    def _encoder(self) -> DualEncoder:
        return DualEncoder(self._model, processor=self._parts)


def _digest(folder: Path) -> str:
    """sha256 over the files of tokenizer and image processor; weights that may lie beside them do not count."""
    files = sorted({path for pattern in _FILES for path in folder.glob(pattern)})
    return digest_of({path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files})
