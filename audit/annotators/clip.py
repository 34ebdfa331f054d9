# SPDX-License-Identifier: Apache-2.0
"""How well a picture matches its prompt, and the features that the Frechet distance is taken on: a CLIP model."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.annotators._clip import ClipEncoder, download
from audit.annotators._references import Reference
from audit.checkpoints import check_options, digest_folder, digest_of, licence_of, resolve_model
from audit.errors import AnnotatorError
from audit.types import AnnotatorSpec, Columns, ImageRecord

__all__ = ["ClipAnnotator"]

_WHERE = "annotator 'clip'"
_OPTIONS: dict[str, type | tuple[type, ...]] = {
    "batch": int,
    "device": str,
    "local_files_only": bool,
    "model": str,
    "reference": dict,
    "revision": str,
}


class ClipAnnotator:
    """Cosine of image and prompt, and image features, by any ``transformers.CLIPModel``.

    Args:
        **options: ``model`` (``reference:clip``, a folder, or a hub id), ``revision``, ``local_files_only``,
            ``device`` (auto), ``batch`` (32), ``reference`` ({"images": "reference:renderer" or a folder, "n": 2000};
            None: no reference features).

    Raises:
        AnnotatorError: the model is missing.
        ConfigError: an unknown option, or a folder that is not there.
    """

    version = "1"

    def __init__(self, **options: Any) -> None:
        check_options(options, _OPTIONS, where=_WHERE)
        self._options = options
        self._model = str(options.get("model") or "reference:clip")
        self._batch = max(1, int(options.get("batch") or 32))
        self._local = resolve_model(self._model, where=_WHERE, error=AnnotatorError)
        reference = options.get("reference", {})
        self._reference = None if reference is None else Reference.parse(reference, where=f"{_WHERE}: reference")

    @functools.cached_property
    def spec(self) -> AnnotatorSpec:
        """Identity; reads files, loads no weights. A hub id is downloaded first. Raises AnnotatorError."""
        folder = self._folder
        return AnnotatorSpec(
            name="clip",
            version=self.version,
            digest=digest_of({"version": self.version, "weights": digest_folder(folder)}),
            columns={
                "similarity": "cosine of image and prompt, -1 to 1",
                "features": f"image embedding before normalisation, D = {_width(folder)}",
            },
            licence=licence_of(folder),
        )

    def annotate(self, images: Sequence[ImageRecord], /) -> Columns:
        """The columns of `spec`, one row an image."""
        features = self._encoder.images([image.rgb for image in images], batch=self._batch)
        texts = self._encoder.texts([image.text for image in images])
        return {"similarity": _cosine(features, texts), "features": features}

    def references(self) -> dict[str, Any]:
        """Features (m, D) of the reference images, computed once and kept in the user's cache."""
        if self._reference is None:
            return {}
        return {"features.clip": self._reference.features(self.spec.digest, self._embed)}

    def reference_fingerprint(self) -> str | None:
        """sha256 over the reference images and how many there are, None without a reference."""
        return None if self._reference is None else self._reference.digest()

    def _embed(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        return self._encoder.images(images, batch=self._batch)

    @functools.cached_property
    def _folder(self) -> Path:
        only = bool(self._options.get("local_files_only"))
        return self._local or download(self._model, self._options.get("revision"), local_files_only=only, where=_WHERE)

    @functools.cached_property
    def _encoder(self) -> ClipEncoder:
        device = str(self._options.get("device") or "auto")
        if device == "auto":
            import torch

            device = "cuda" if torch.cuda.is_available() else "cpu"
        return ClipEncoder(self._folder, device=device, where=_WHERE)


def _width(folder: Path) -> int:
    try:
        return int(json.loads((folder / "config.json").read_text(encoding="utf-8"))["projection_dim"])
    except (OSError, ValueError, KeyError) as error:
        raise AnnotatorError(f"{folder} holds no CLIPModel: {error!r}", where=_WHERE) from error


def _cosine(images: NDArray[np.float32], texts: NDArray[np.float32]) -> NDArray[np.float32]:
    """Row-wise cosine; NaN where an embedding is zero."""
    left, right = images.astype(np.float64), texts.astype(np.float64)
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(norms > 0, (left * right).sum(axis=1) / norms, np.nan).astype(np.float32)
