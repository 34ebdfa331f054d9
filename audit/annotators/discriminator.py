# SPDX-License-Identifier: Apache-2.0
"""How real a picture looks to the discriminator that a GAN was trained against."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from audit.checkpoints import check_options, digest_folder, digest_of, licence_of, resolve_model
from audit.errors import AnnotatorError, ConfigError
from audit.types import AnnotatorSpec, Columns, ImageRecord

if TYPE_CHECKING:
    from audit.reference.gan_model import ConditionalDiscriminator

__all__ = ["DiscriminatorAnnotator"]

_WHERE = "annotator 'discriminator'"


class DiscriminatorAnnotator:
    """Scores pictures with their prompts; the score has no unit and knows only what its adversary drew.

    Args:
        **options: ``model`` (``reference:gan``, or a folder with ``discriminator.safetensors``), ``batch`` (64).

    Raises:
        AnnotatorError: the model is missing.
        ConfigError: an unknown option, or a folder that is not there.
    """

    version = "1"

    def __init__(self, **options: Any) -> None:
        check_options(options, {"model": str, "batch": int}, where=_WHERE)
        model = str(options.get("model") or "reference:gan")
        folder = resolve_model(model, where=_WHERE, error=AnnotatorError)
        if folder is None:
            raise ConfigError(f"{model!r} is not a folder", where=_WHERE, hint="GAN checkpoints are local folders")
        self._folder, self._batch = folder, max(1, int(options.get("batch") or 64))

    @functools.cached_property
    def spec(self) -> AnnotatorSpec:
        """Identity; reads files, loads no weights."""
        return AnnotatorSpec(
            name="discriminator",
            version=self.version,
            digest=digest_of({"version": self.version, "weights": digest_folder(self._folder)}),
            columns={"score": "score of picture and prompt without unit; in training real ones were lifted above 1"},
            licence=licence_of(self._folder),
        )

    def annotate(self, images: Sequence[ImageRecord], /) -> Columns:
        """The column of `spec`, one row an image. Raises AnnotatorError for weights that cannot be read."""
        score = np.full(len(images), np.nan, dtype=np.float32)
        groups: dict[tuple[int, ...], list[int]] = {}
        for index, image in enumerate(images):
            groups.setdefault(image.rgb.shape, []).append(index)
        for members in groups.values():
            for start in range(0, len(members), self._batch):
                part = members[start : start + self._batch]
                pictures, texts = np.stack([images[i].rgb for i in part]), [images[i].text for i in part]
                score[part] = self._net.rate(pictures, texts)
        return {"score": score}

    @functools.cached_property
    def _net(self) -> ConditionalDiscriminator:
        from audit.reference.gan_model import ConditionalDiscriminator

        try:
            return ConditionalDiscriminator.from_pretrained(self._folder)
        except Exception as error:  # missing keys, wrong shapes, broken files: all mean "not this checkpoint"
            message = f"{self._folder} holds no conditional GAN discriminator: {str(error).strip()[:300]}"
            hint = "it needs config.json and discriminator.safetensors: python -m audit.reference.train gan"
            raise AnnotatorError(message, where=_WHERE, hint=hint) from error
