# SPDX-License-Identifier: Apache-2.0
"""Perceived presentation, apparent age and occupation cue of the person in a picture, by a small network."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.annotators._nets import attribute_folder, attribute_net, by_shape, objects, operating
from audit.checkpoints import check_options, digest_folder, digest_of, licence_of
from audit.errors import AnnotatorError
from audit.types import AnnotatorSpec, Columns, ImageRecord

__all__ = ["AttributeAnnotator"]

_ASKED = ("presentation", "age", "occupation")
_COLUMNS = {
    "presentation": "perceived presentation: a group, or 'could not tell'",
    "presentation_p": "calibrated probability of the likeliest presentation; NaN without a face",
    "age": "apparent age: a group, or 'could not tell'",
    "age_p": "calibrated probability of the likeliest age; NaN without a face",
    "occupation": "occupation that clothes and hat suggest, or 'could not tell'",
    "occupation_p": "calibrated probability of the likeliest occupation; NaN without a face",
    "glasses": "probability of glasses; NaN without a face",
    "face": "probability that a face can be seen",
    "box": "face: centre x, centre y, half width, half height as shares of the picture; NaN without a face",
}


class AttributeAnnotator:
    """How people are perceived, with "could not tell" as an answer and the counts of its own errors.

    Args:
        **options: ``model`` (``reference:attributes`` or a folder of an ``AttributeNet``), ``batch`` (64),
            ``counts`` (which confusion counts of the model describe these images, e.g. ``after_autoencoder``).

    Raises:
        AnnotatorError: the model is missing, or no such model can be loaded.
        ConfigError: an unknown option, or a folder that is not there.
    """

    version = "1"

    def __init__(self, **options: Any) -> None:
        where = "annotator 'attributes'"
        check_options(options, {"model": str, "batch": int, "counts": str}, where=where)
        self._folder = attribute_folder(options.get("model") or "reference:attributes", where=where)
        self._batch = max(1, int(options.get("batch") or 64))
        self._counts = options.get("counts")

    @functools.cached_property
    def spec(self) -> AnnotatorSpec:
        """Identity and operating characteristics; reads files, loads no weights."""
        return AnnotatorSpec(
            name="attributes",
            version=self.version,
            digest=digest_of({"version": self.version, "weights": digest_folder(self._folder), "counts": self._counts}),
            columns=_COLUMNS,
            licence=licence_of(self._folder),
            operating=operating(self._folder, _ASKED, table=self._counts),
        )

    def annotate(self, images: Sequence[ImageRecord], /) -> Columns:
        """The columns of `spec`, one row an image."""
        if not images:
            return self._columns(np.empty((0, 8, 8, 3), np.uint8))
        return by_shape(images, self._columns, batch=self._batch)

    def _columns(self, rgb: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        net = attribute_net(self._folder)
        try:
            found = net.predict(rgb)
        except (RuntimeError, ValueError) as error:
            raise AnnotatorError(f"the network fails on pictures of shape {rgb.shape[1:]}: {error}") from error
        seen = found["face_p"] >= dict(net.config.thresholds)["face"]
        out: dict[str, NDArray[Any]] = {"face": found["face_p"].astype(np.float32)}
        for head in _ASKED:
            out[head] = objects(net.answers(found, head))
            out[f"{head}_p"] = np.where(seen, found[f"{head}_p"].max(axis=1), np.nan).astype(np.float32)
        out["glasses"] = np.where(seen, found["glasses_p"], np.nan).astype(np.float32)
        out["box"] = np.where(seen[:, None], found["box"], np.nan).astype(np.float32)
        return out
