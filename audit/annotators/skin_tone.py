# SPDX-License-Identifier: Apache-2.0
"""Apparent skin tone on the Monk scale, read from the pixels of the face that the attribute network finds."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.annotators._nets import attribute_folder, attribute_net, by_shape, objects, operating
from audit.checkpoints import check_options, digest_folder, digest_of
from audit.stats.monk import MONK_HEX, MonkReading, monk_tone
from audit.types import AnnotatorSpec, Columns, ImageRecord

__all__ = ["SkinToneAnnotator"]

_COLUMNS = {
    "tone": "apparent skin tone, nearest swatch of the Monk scale, 1 to 10; NaN: could not tell",
    "tone_band": "apparent skin tone in three bands, or 'could not tell'",
    "lab": "colour of the skin in CIELAB (D65): L*, a*, b*; NaN: too few pixels",
    "delta_e": "CIEDE2000 distance to that swatch; NaN: too few pixels",
}


class SkinToneAnnotator:
    """The tone that a picture shows under the picture's own light; it says nothing of who anybody is.

    Args:
        **options: ``model``: the attribute network that finds the face (``reference:attributes`` or a folder),
            ``batch`` (64),
            ``counts`` (which confusion counts of the model describe these images, e.g. ``after_autoencoder``).

    Raises:
        AnnotatorError: the model is missing, or no such model can be loaded.
        ConfigError: an unknown option, or a folder that is not there.
    """

    version = "1"

    def __init__(self, **options: Any) -> None:
        where = "annotator 'skin_tone'"
        check_options(options, {"model": str, "batch": int, "counts": str}, where=where)
        self._folder = attribute_folder(options.get("model") or "reference:attributes", where=where)
        self._batch = max(1, int(options.get("batch") or 64))
        self._counts = options.get("counts")

    @functools.cached_property
    def spec(self) -> AnnotatorSpec:
        """Identity and operating characteristics; reads files, loads no weights."""
        from audit.reference.world import TONE_BANDS

        content = {
            "version": self.version,
            "weights": digest_folder(self._folder),
            "counts": self._counts,
            "swatches": MONK_HEX,
            "bands": dict(TONE_BANDS),
        }
        return AnnotatorSpec(
            name="skin_tone",
            version=self.version,
            digest=digest_of(content),
            columns=_COLUMNS,
            licence="Apache-2.0",
            operating=operating(self._folder, ("tone_band",), table=self._counts),
        )

    def annotate(self, images: Sequence[ImageRecord], /) -> Columns:
        """The columns of `spec`, one row an image."""
        boxes = by_shape(images, self._boxes, batch=self._batch)["box"] if images else np.empty((0, 4), np.float32)
        return _columns([_read(image.rgb, box) for image, box in zip(images, boxes, strict=True)])

    def _boxes(self, rgb: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        net = attribute_net(self._folder)
        found = net.predict(rgb)
        seen = found["face_p"] >= dict(net.config.thresholds)["face"]
        return {"box": np.where(seen[:, None], found["box"], np.nan).astype(np.float32)}


def _read(rgb: NDArray[np.uint8], box: NDArray[np.float32]) -> MonkReading:
    if not np.isfinite(box).all():
        return MonkReading(None, None, None, "no face")
    return monk_tone(rgb, (float(box[0]), float(box[1]), float(box[2]), float(box[3])))


def _columns(readings: Sequence[MonkReading]) -> dict[str, NDArray[Any]]:
    from audit.reference.world import tone_band

    nan = float("nan")
    lab = [reading.lab or (nan, nan, nan) for reading in readings]
    return {
        "tone": np.array([nan if r.tone is None else r.tone for r in readings], dtype=np.float32),
        "tone_band": objects(["could not tell" if r.tone is None else tone_band(r.tone) for r in readings]),
        "lab": np.array(lab, dtype=np.float32).reshape(-1, 3),
        "delta_e": np.array([nan if r.delta_e is None else r.delta_e for r in readings], dtype=np.float32),
    }
