# SPDX-License-Identifier: Apache-2.0
"""What a picture of the reference world shows: its kind, the style of drawing, the planted logo, the word on a sign."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from audit.annotators._nets import by_shape, objects, operating
from audit.checkpoints import check_options, digest_folder, digest_of, licence_of, resolve_model
from audit.errors import AnnotatorError
from audit.types import AnnotatorSpec, Columns, ImageRecord

if TYPE_CHECKING:
    from audit.reference.scene_net import SceneNet

__all__ = ["SceneAnnotator"]

_MEASURED = ("kind", "style", "logo", "text")
_COLUMNS = {
    "kind": "kind of picture: person, painting, sign, or 'could not tell'",
    "kind_p": "calibrated probability of the likeliest kind",
    "style": "style in which a person is drawn: plain, sepia, night, or 'could not tell'",
    "style_p": "calibrated probability of the likeliest style; NaN without a person",
    "logo": "'logo' or 'no logo' on the clothes, or 'could not tell'",
    "logo_p": "calibrated probability of the likelier of the two; NaN without a person",
    "text": "the word on a sign, upper case; none without a sign or where the letters cannot be told",
    "text_p": "calibrated probability that all letters are read right; NaN without a sign",
}
#: What the counts at the top of ``operating.json`` are called.
_MAIN = "renders"


class SceneAnnotator:
    """Kind, style, logo and text, with "could not tell" as an answer and the counts of its own errors.

    Args:
        **options: ``model`` (``reference:scene`` or a folder of a ``SceneNet``), ``batch`` (64), ``counts`` (which
            counts of the model describe these images: ``renders``, ``after_autoencoder`` or ``after_tokens``).

    Raises:
        AnnotatorError: the model is missing, or no such model can be loaded.
        ConfigError: an unknown option, or a folder that is not there.
    """

    version = "1"

    def __init__(self, **options: Any) -> None:
        where = "annotator 'scene'"
        check_options(options, {"model": str, "batch": int, "counts": str}, where=where)
        self._folder = _folder(options.get("model") or "reference:scene", where=where)
        self._batch = max(1, int(options.get("batch") or 64))
        counts = options.get("counts") or _MAIN
        self._counts = None if counts == _MAIN else counts

    @functools.cached_property
    def spec(self) -> AnnotatorSpec:
        """Identity and operating characteristics; reads files, loads no weights."""
        return AnnotatorSpec(
            name="scene",
            version=self.version,
            digest=digest_of({"version": self.version, "weights": digest_folder(self._folder), "counts": self._counts}),
            columns=_COLUMNS,
            licence=licence_of(self._folder),
            operating=operating(self._folder, _MEASURED, table=self._counts),
        )

    def annotate(self, images: Sequence[ImageRecord], /) -> Columns:
        """The columns of `spec`, one row an image."""
        if not images:
            return self._columns(np.empty((0, 8, 8, 3), np.uint8))
        return by_shape(images, self._columns, batch=self._batch)

    def _columns(self, rgb: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        from audit.reference.scene_net import text_probability

        net = _net(self._folder, digest_folder(self._folder))
        try:
            found = net.predict(rgb)
        except (RuntimeError, ValueError) as error:
            raise AnnotatorError(f"the network fails on pictures of shape {rgb.shape[1:]}: {error}") from error
        kind = objects(net.answers(found, "kind"))
        out: dict[str, NDArray[Any]] = {"kind": kind, "kind_p": found["kind_p"].max(axis=1)}
        for head in ("style", "logo"):
            out[head] = objects(net.answers(found, head))
            out[f"{head}_p"] = np.where(kind == "person", found[f"{head}_p"].max(axis=1), np.nan).astype(np.float32)
        out["text"] = objects(net.texts(found))
        out["text_p"] = np.where(kind == "sign", text_probability(found), np.nan).astype(np.float32)
        return out


def _folder(model: str, *, where: str) -> Path:
    folder = None if model == "standard" else resolve_model(model, where=where, error=AnnotatorError)
    if folder is None:
        message = f"{model!r}: no public model answers these questions; none comes with counts of its own error"
        raise AnnotatorError(message, where=where, hint="use reference:scene or a folder")
    return folder


@functools.lru_cache(maxsize=2)
def _net(folder: Path, digest: str) -> SceneNet:  # noqa: ARG001 - loaded again when the files change
    from audit.reference.scene_net import SceneNet

    return SceneNet.from_pretrained(folder)
