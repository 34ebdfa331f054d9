# SPDX-License-Identifier: Apache-2.0
"""How well a picture matches its prompt, and the features that distances are taken on: CLIP, SigLIP and their kin."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.annotators._clip import DualEncoder, cosine, download, width_of
from audit.annotators._features import Compared, device_kind, store_of
from audit.annotators._pretrained import Pretrained
from audit.checkpoints import check_options, digest_folder, digest_of, licence_of, resolve_model
from audit.errors import AnnotatorError
from audit.features import Extractor, FeatureStore, Identity, embed_pictures
from audit.features.store import libraries
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
    "store_gb": (int, float),
    "training": dict,
}


class ClipAnnotator:
    """Cosine of image and prompt, and image features, by any model that has both (CLIP, SigLIP, AltCLIP, ...).

    Cosines of two models lie on two scales and are never compared.

    Args:
        **options: ``model`` (``reference:clip``, a folder, or a hub id), ``revision``, ``local_files_only``,
            ``device`` (auto), ``batch`` (32), ``reference`` ({"images": "reference:renderer", a folder or a file of
            statistics (.npz), "n": 2000}; None: no reference features), ``training`` (the same, of the images that the
            generator was trained on), ``store_gb`` (20: size of all stored features together; 0: none are kept).

    Raises:
        AnnotatorError: the model is missing.
        ConfigError: an unknown option, or a folder that is not there.
    """

    version = "1"

    def __init__(self, **options: Any) -> None:
        check_options(options, _OPTIONS, where=_WHERE)
        self._options = options
        self._model = str(options.get("model") or "reference:clip")
        self._local = resolve_model(self._model, where=_WHERE, error=AnnotatorError)
        self._compared = Compared("clip", options, where=_WHERE)

    @functools.cached_property
    def spec(self) -> AnnotatorSpec:
        """Identity; reads files, loads no weights. A hub id is downloaded first. Raises AnnotatorError."""
        folder = self._weights.folder
        return AnnotatorSpec(
            name="clip",
            version=self.version,
            digest=digest_of({"version": self.version, "weights": digest_folder(folder)}),
            columns={
                "similarity": "cosine of image and prompt, -1 to 1",
                "features": f"image embedding before normalisation, D = {width_of(self._weights)}",
            },
            licence=licence_of(folder),
        )

    def annotate(self, images: Sequence[ImageRecord], /) -> Columns:
        """The columns of `spec`, one row an image."""
        features = self.features(images)
        texts = self._encoder.texts([image.text for image in images])
        return {"similarity": cosine(features, texts).astype(np.float32), "features": features}

    def features(self, images: Sequence[ImageRecord]) -> NDArray[np.float32]:
        """Image embeddings before normalisation, shape (n, D)."""
        return self._embed([image.rgb for image in images])

    def references(self) -> dict[str, Any]:
        """Features (m, D) of the reference images, or statistics in their place, and of the training images."""
        return self._references

    def reference_fingerprint(self) -> str | None:
        """sha256 over the images that outputs are compared with and how many there are, None without any."""
        return self._compared.fingerprint()

    def _embed(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        return embed_pictures(self._extractor, images, self._store)

    @functools.cached_property
    def _references(self) -> dict[str, Any]:
        return self._compared.features(self._extractor, self._store, width=self._extractor.width)

    @functools.cached_property
    def _store(self) -> FeatureStore:
        return store_of(self._extractor, self._options)

    @functools.cached_property
    def _extractor(self) -> Extractor:
        identity = Identity(
            extractor="clip",
            weights=digest_folder(self._weights.folder),
            kernel="the model's own processor",
            scaling="as saved with the model",
            dtype=self._weights.dtype,
            device=device_kind(self._weights.device),
            libraries=libraries("torch", "Pillow", "transformers"),
        )
        return Extractor(identity, width_of(self._weights), self._rows, batch=self._weights.batch)

    def _rows(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        return self._encoder.images(pictures)

    @functools.cached_property
    def _weights(self) -> Pretrained:
        """Where they lie; a hub id is downloaded first, and known weights are checked. Raises AnnotatorError."""
        only = bool(self._options.get("local_files_only"))
        folder = self._local or download(
            self._model, self._options.get("revision"), local_files_only=only, where=_WHERE
        )
        shared = {name: self._options.get(name) for name in ("batch", "device")}
        return Pretrained({**shared, "model": str(folder)}, where=_WHERE)

    @functools.cached_property
    def _encoder(self) -> DualEncoder:
        return DualEncoder(self._weights)
