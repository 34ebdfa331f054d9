# SPDX-License-Identifier: Apache-2.0
"""Whether a picture copies an enrolled artwork: its similarity, and a threshold with a declared false alarm rate."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from audit.annotators import _works as calibrating
from audit.annotators._nets import objects
from audit.checkpoints import digest_of
from audit.documents import explain_options
from audit.errors import ConfigError
from audit.likeness import read_image
from audit.likeness.works import Works, enrol
from audit.paths import cache_dir
from audit.types import AnnotatorSpec, Columns, ImageRecord

__all__ = ["WorksAnnotator"]

_VERSION: Final = "1"
_WHERE: Final = "instruments.options.works"
_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".webp"})
_ARTWORK, _PAINTINGS = "reference:artwork", "reference:paintings"
_COLUMNS: Final = {
    "work": "name of the most similar enrolled work; None: a flat picture",
    "similarity": "cross-correlation with that work over small shifts and scales, -1 to 1; NaN: a flat picture",
    "copy": "'copy': similarity above the calibrated threshold, 'no copy': not, 'could not tell': a flat picture",
}


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: str = Field(_ARTWORK, description=f"Folder of pictures, one a work, or {_ARTWORK}")
    non_members: str | None = Field(None, description=f"Folder of pictures that copy no work, or {_PAINTINGS}")
    fpir: float = Field(0.01, gt=0, lt=0.5)
    searches: int = Field(2000, ge=50)
    level: float = Field(0.95, gt=0.5, lt=1)


class WorksAnnotator:
    """Compares every picture with enrolled artworks; columns ``work``, ``similarity``, ``copy``.

    Threshold and counts come from pictures that are not enrolled: they are measured on first use and cached.

    Args:
        **options: ``folder`` (pictures of works, named by their file names, or ``reference:artwork``), ``non_members``
            (folder of pictures of the same kind that copy none of them, needed with a folder of works; or
            ``reference:paintings``), ``fpir`` (false alarms a picture, 0.01), ``searches`` (2000), ``level`` (0.95).

    Raises:
        ConfigError: an unknown or wrong option, or works without pictures to calibrate on.
    """

    def __init__(self, **options: Any) -> None:
        try:
            self._options = _Options.model_validate(options)
        except ValidationError as error:
            raise explain_options(error, where=_WHERE, model=_Options) from None
        if self._options.folder != _ARTWORK and self._options.non_members is None:
            message = "a threshold for your own works needs pictures that copy none of them"
            hint = f"set non_members to a folder of such pictures of the same kind, or to {_PAINTINGS}"
            raise ConfigError(message, where=f"{_WHERE}.non_members", hint=hint)

    @cached_property
    def spec(self) -> AnnotatorSpec:
        """Identity and counts; calibrates where that was not done before.

        Raises:
            ConfigError: works or other pictures cannot be read, or are too few for the rate.
        """
        operating = {"copy": self._measured.operating}
        return AnnotatorSpec("works", _VERSION, self._digest, _COLUMNS, operating=operating)

    def annotate(self, images: Sequence[ImageRecord], /) -> Columns:
        """The columns of `spec`, one row an image. Raises as `spec` does."""
        score, index = self._works.compare([image.rgb for image in images])
        threshold = self._measured.calibration.threshold
        told = ["could not tell" if np.isnan(s) else "copy" if s > threshold else "no copy" for s in score]
        names = [None if k < 0 else self._works.ids[k] for k in index]
        return {"work": objects(names), "similarity": score, "copy": objects(told)}

    def references(self) -> Mapping[str, Any]:
        """``{"works": Calibration}``, for metrics. Raises as `spec` does."""
        return {"works": self._measured.calibration}

    @cached_property
    def _originals(self) -> dict[str, NDArray[np.uint8]]:
        if self._options.folder == _ARTWORK:
            from audit.reference.scenes import plant, render_paintings

            truth = plant("artwork")
            return {str(truth["title"]): render_paintings(np.array([truth["painting_id"]]))[0]}
        paths = _paths(self._options.folder, "folder")
        names = [path.stem for path in paths]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ConfigError(f"two works are called {twice[0]!r}", where=f"{_WHERE}.folder", hint="rename a file")
        return {path.stem: read_image(path) for path in paths}

    @cached_property
    def _works(self) -> Works:
        return enrol(tuple(self._originals), tuple(self._originals.values()))

    @cached_property
    def _digest(self) -> str:
        options = self._options
        content = {
            "version": _VERSION,
            "works": {name: hashlib.sha256(rgb.tobytes()).hexdigest() for name, rgb in self._originals.items()},
            "rate": [options.fpir, options.searches, options.level],
            "non_members": _PAINTINGS if self._bundled else [_sha256(path) for path in self._strangers],
        }
        return digest_of(content)

    @cached_property
    def _measured(self) -> calibrating.Measured:
        path = cache_dir() / "works" / f"{self._digest}.json"
        if (found := calibrating.kept(path)) is not None:
            return found
        rate = {"fpir": self._options.fpir, "level": self._options.level}
        what = "held-out paintings of the reference world" if self._bundled else "of the pictures it was calibrated on"
        scores = self._scores()
        found = calibrating.measure(self._works, tuple(self._originals.values()), scores, of_what=what, **rate)
        calibrating.keep(path, found)
        return found

    def _scores(self) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        if not self._bundled:
            return self._works.compare(read_image(path) for path in self._strangers)[0], None
        n = self._options.searches
        first, second = (self._works.compare(calibrating.paintings(pool, n))[0] for pool in ("instruments", "heldout"))
        return first, second

    @property
    def _bundled(self) -> bool:
        return self._options.non_members in (None, _PAINTINGS)

    @cached_property
    def _strangers(self) -> list[Path]:
        return _paths(str(self._options.non_members), "non_members")[: self._options.searches]


def _paths(folder: str, option: str) -> list[Path]:
    where, path = f"{_WHERE}.{option}", Path(folder).expanduser()
    if not path.is_dir():
        raise ConfigError(f"{folder!r} is no folder", where=where, hint="check the path")
    found = sorted(file for file in path.rglob("*") if file.suffix.lower() in _SUFFIXES)
    if not found:
        raise ConfigError("no PNG, JPEG or WebP image in this folder", where=where, hint="check the path")
    return found


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
