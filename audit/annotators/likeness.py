# SPDX-License-Identifier: Apache-2.0
"""How similar each image is to its most similar enrolled reference, and whether above a calibrated threshold."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from audit.documents import explain_options
from audit.errors import ConfigError
from audit.likeness.calibration import Calibration, calibrate
from audit.likeness.faces import FaceModel, reference_gallery, reference_strangers
from audit.likeness.gallery import Gallery, gallery_digest, load_gallery, read_image
from audit.likeness.search import best_match
from audit.paths import cache_dir
from audit.types import AnnotatorSpec, Columns, ImageRecord

__all__ = ["LikenessAnnotator"]

_VERSION: Final = "1"
_WHERE: Final = "instruments.options.likeness"
_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".webp"})
_BATCH: Final = 256
_COLUMNS: Final = {
    "score": "cosine similarity to the most similar enrolled reference, -1 to 1; NaN: no face found",
    "reference": "pseudonymous id of the enrolled reference it is similar to above the threshold, else None",
    "above": "1: score above the calibrated threshold, 0: not; NaN: no face found",
}


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    gallery: str = Field("reference:gallery", description="Folder with gallery.yaml, or reference:gallery")
    fpir: float = Field(0.01, gt=0, lt=0.5)
    non_members: str = Field(
        "reference:renderer", description="Folder of images of other people, or reference:renderer"
    )
    searches: int = Field(2000, ge=50)
    model: str = Field("reference:faces", description="Folder of a FaceEmbedder, or reference:faces")
    face_model: str = Field("reference:attributes", description="Folder of an AttributeNet, which finds the face")
    level: float = Field(0.95, gt=0.5, lt=1)


class LikenessAnnotator:
    """Compares every face with an enrolled gallery; columns ``score``, ``reference``, ``above``.

    Nothing is loaded before the first image, and no embedding is ever written to disk; only the calibration is cached.

    Args:
        **options: ``gallery``, ``fpir``, ``non_members``, ``searches``, ``model``, ``face_model``, ``level``.

    Raises:
        ConfigError: an unknown or wrong option.
    """

    def __init__(self, **options: Any) -> None:
        try:
            self._options = _Options.model_validate(options)
        except ValidationError as error:
            raise explain_options(error, where=_WHERE, model=_Options) from None

    @cached_property
    def spec(self) -> AnnotatorSpec:
        """Identity; the digest covers models, gallery, non-members and settings.

        Raises:
            AnnotatorError: weights are missing.
            ConfigError: gallery or non-members cannot be read.
        """
        return AnnotatorSpec("likeness", _VERSION, self._digest, _COLUMNS, licence="Apache-2.0")

    def annotate(self, images: Sequence[ImageRecord], /) -> Columns:
        """Score each image.

        Raises:
            ConfigError: a gallery without valid consent, or too few non-members for the target rate.
            AnnotatorError: weights are missing.
        """
        score = np.full(len(images), np.nan)
        above = np.full(len(images), np.nan)
        reference = np.full(len(images), None, dtype=object)
        if not images:
            return {"score": score, "reference": reference, "above": above}
        threshold = self._calibration.threshold
        vectors, found = self._model.embed([image.rgb for image in images])
        best, index = best_match(vectors[found], self._gallery.embeddings)
        score[found], above[found] = best, best > threshold
        for row, match in zip(np.flatnonzero(found)[best > threshold], index[best > threshold], strict=True):
            reference[row] = self._gallery.ids[match]
        return {"score": score, "reference": reference, "above": above}

    def references(self) -> Mapping[str, Any]:
        """``{"likeness": Calibration}``, for metrics. Raises as `annotate` does."""
        return {"likeness": self._calibration}

    @cached_property
    def _model(self) -> FaceModel:
        return FaceModel(_weights(self._options.model), _weights(self._options.face_model))

    @cached_property
    def _gallery(self) -> Gallery:
        if self._options.gallery == "reference:gallery":
            return reference_gallery(self._model)
        return load_gallery(_folder(self._options.gallery, "gallery"), self._model)

    @cached_property
    def _digest(self) -> str:
        options = self._options
        gallery, others = options.gallery, options.non_members
        parts = [_VERSION, self._model.digest, options.fpir, options.searches, options.level]
        parts.append(gallery if gallery == "reference:gallery" else gallery_digest(_folder(gallery, "gallery")))
        parts.append(others if others == "reference:renderer" else _images_digest(_folder(others, "non_members")))
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    @cached_property
    def _calibration(self) -> Calibration:
        gallery = self._gallery  # first: a consent may have expired since the calibration was cached
        path = cache_dir() / "likeness" / f"{self._digest}.json"
        if (cached := _cached(path)) is not None:
            return cached
        scores = np.concatenate([self._search(batch, gallery) for batch in _batches(self._strangers())])
        calibration = calibrate(
            scores,
            fpir=self._options.fpir,
            level=self._options.level,
            gallery_size=len(gallery),
            reference_ids=gallery.ids,
            embedder_digest=gallery.embedder_digest,
        )
        _keep(path, calibration)
        return calibration

    def _strangers(self) -> Iterator[NDArray[np.uint8]]:
        if self._options.non_members == "reference:renderer":
            return reference_strangers(self._options.searches)
        paths = _image_paths(_folder(self._options.non_members, "non_members"))
        return (read_image(path) for path in paths[: self._options.searches])

    def _search(self, images: Sequence[NDArray[np.uint8]], gallery: Gallery) -> NDArray[np.float32]:
        vectors, found = self._model.embed(images)
        return best_match(vectors[found], gallery.embeddings)[0]


def _weights(model: str) -> Path:
    if model.startswith("reference:"):
        from audit.reference.instruments import weights_dir

        return weights_dir(model.removeprefix("reference:"))
    return _folder(model, "model")


def _folder(value: str, option: str) -> Path:
    path = Path(value).expanduser()
    if not path.is_dir():
        raise ConfigError(f"{value!r} is no folder", where=f"{_WHERE}.{option}", hint="check the path")
    return path


def _image_paths(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    if not found:
        raise ConfigError(
            "no PNG, JPEG or WebP image in this folder", where=str(folder), hint="check gallery.non_members"
        )
    return found


def _images_digest(folder: Path) -> str:
    state = hashlib.sha256()
    for path in _image_paths(folder):
        state.update(hashlib.sha256(path.read_bytes()).digest())
    return state.hexdigest()


def _batches(images: Iterable[NDArray[np.uint8]]) -> Iterator[list[NDArray[np.uint8]]]:
    source = iter(images)
    while batch := list(islice(source, _BATCH)):
        yield batch


def _cached(path: Path) -> Calibration | None:
    try:
        return Calibration.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError):  # missing or damaged: computed again
        return None


def _keep(path: Path, calibration: Calibration) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(calibration.as_dict(), file)
        Path(temporary).replace(path)
    except OSError:  # a cache that cannot be written costs time, nothing else
        return
