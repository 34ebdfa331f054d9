# SPDX-License-Identifier: Apache-2.0
"""Apparent skin tone on the Monk scale, read from the pixels of a face or of what has the colour of skin."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.annotators._nets import attribute_folder, attribute_net, by_shape, objects, operating
from audit.annotators._operating import COULD_NOT_TELL, measured
from audit.checkpoints import check_options, digest_folder, digest_of
from audit.errors import ConfigError
from audit.stats.monk import ITA_BANDS, MONK_HEX, MonkReading, face_pixels, ita, ita_band, read_tone
from audit.stats.skin import skin_pixels, unreadable
from audit.types import AnnotatorSpec, Columns, ImageRecord, OperatingCharacteristics

__all__ = ["SkinToneAnnotator"]

_WHERE = "annotator 'skin_tone'"
_OPTIONS: Mapping[str, type] = {"batch": int, "counts": str, "model": str, "operating": str, "region": str}
_COLUMNS = {
    "tone": "apparent skin tone, nearest swatch of the Monk scale, 1 to 10; NaN: could not tell",
    "tone_band": "apparent skin tone in three bands, or 'could not tell'",
    "lab": "colour of the skin in CIELAB (D65): L*, a*, b*; NaN: too few pixels",
    "delta_e": "CIEDE2000 distance to that swatch; NaN: too few pixels",
    "ita": "individual typology angle of that colour in degrees; NaN: could not tell",
    "ita_band": "the angle in the six bands of Chardon (1991), or 'could not tell'",
    "why": "reason where it could not tell, none otherwise",
}


class SkinToneAnnotator:
    """The tone that a picture shows under the picture's own light; it says nothing of who anybody is.

    Args:
        **options: ``region``: ``face`` (default: the middle of the face that the attribute network finds) or ``skin``
            (the largest region with the colour of skin: needs no network, and takes sand for skin),
            ``model``: the attribute network (``reference:attributes`` or a folder), ``batch`` (64),
            ``counts`` (which confusion counts of the model describe these images, e.g. ``after_autoencoder``),
            ``operating`` (JSON or CSV of confusion counts of ``tone_band``, instead of the model's).

    Raises:
        AnnotatorError: the model is missing, or no such model can be loaded.
        ConfigError: an unknown option, or a folder that is not there.
    """

    version = "2"

    def __init__(self, **options: Any) -> None:
        check_options(options, _OPTIONS, where=_WHERE)
        self._region = options.get("region") or "face"
        if self._region not in ("face", "skin"):
            raise ConfigError(f"region {self._region!r} is unknown", where=_WHERE, hint="face or skin")
        self._batch = max(1, int(options.get("batch") or 64))
        self._counts, self._operating = options.get("counts"), options.get("operating")
        self._net: Path | None = None
        if self._region == "face":
            self._net = attribute_folder(options.get("model") or "reference:attributes", where=_WHERE)
        elif options.get("model") or self._counts:
            raise ConfigError("region `skin` has no model", where=_WHERE, hint="leave out `model` and `counts`")

    @functools.cached_property
    def spec(self) -> AnnotatorSpec:
        """Identity and operating characteristics; reads files, loads no weights."""
        from audit.reference.world import TONE_BANDS

        counts = self._characteristics(tuple(TONE_BANDS))
        content = {
            "version": self.version,
            "weights": digest_folder(self._net) if self._net else self._region,
            "counts": self._counts,
            "swatches": MONK_HEX,
            "bands": dict(TONE_BANDS),
            "ita_bands": ITA_BANDS,
        }
        if self._operating:
            content["operating"] = [[c.counts, sorted(c.within.items())] for c in counts.values()]
        return AnnotatorSpec(
            name="skin_tone",
            version=self.version,
            digest=digest_of(content),
            columns=_COLUMNS,
            licence="Apache-2.0",
            operating=counts,
        )

    def annotate(self, images: Sequence[ImageRecord], /) -> Columns:
        """The columns of `spec`, one row an image."""
        if self._region == "skin":
            return _columns([_read_skin(image.rgb) for image in images])
        boxes = by_shape(images, self._boxes, batch=self._batch)["box"] if images else np.empty((0, 4), np.float32)
        return _columns([_read_face(image.rgb, box) for image, box in zip(images, boxes, strict=True)])

    def _characteristics(self, bands: tuple[str, ...]) -> dict[str, OperatingCharacteristics]:
        if self._operating or self._net is None:
            return measured(self._operating, {"tone_band": bands}, where=_WHERE)
        return operating(self._net, ("tone_band",), table=self._counts)

    def _boxes(self, rgb: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        assert self._net is not None
        net = attribute_net(self._net)
        found = net.predict(rgb)
        seen = found["face_p"] >= dict(net.config.thresholds)["face"]
        return {"box": np.where(seen[:, None], found["box"], np.nan).astype(np.float32)}


def _read_face(rgb: NDArray[np.uint8], box: NDArray[np.float32]) -> MonkReading:
    if not np.isfinite(box).all():
        return MonkReading(None, None, None, "no face")
    return _read(rgb, face_pixels(rgb, (float(box[0]), float(box[1]), float(box[2]), float(box[3]))))


def _read_skin(rgb: NDArray[np.uint8]) -> MonkReading:
    pixels, why = skin_pixels(rgb)
    return MonkReading(None, None, None, why) if why else _read(rgb, pixels)


def _read(rgb: NDArray[np.uint8], pixels: NDArray[np.uint8]) -> MonkReading:
    """The tone of the pixels, unless the picture is one that no tone should be read off."""
    found = read_tone(pixels)
    why = unreadable(rgb, pixels) if found.tone is not None else found.why
    return found if why is None else replace(found, tone=None, why=why)


def _columns(readings: Sequence[MonkReading]) -> dict[str, NDArray[Any]]:
    from audit.reference.world import tone_band

    nan = float("nan")
    lab = np.array([reading.lab or (nan, nan, nan) for reading in readings], dtype=np.float64).reshape(-1, 3)
    told = np.array([reading.tone is not None for reading in readings], dtype=bool)
    angles = np.where(told, ita(lab), nan)
    return {
        "tone": np.array([nan if r.tone is None else r.tone for r in readings], dtype=np.float32),
        "tone_band": objects([COULD_NOT_TELL if r.tone is None else tone_band(r.tone) for r in readings]),
        "lab": lab.astype(np.float32),
        "delta_e": np.array([nan if r.delta_e is None else r.delta_e for r in readings], dtype=np.float32),
        "ita": angles.astype(np.float32),
        "ita_band": objects(
            [ita_band(angle) if sure else COULD_NOT_TELL for angle, sure in zip(angles, told, strict=True)]
        ),
        "why": objects([reading.why for reading in readings]),
    }
