# SPDX-License-Identifier: Apache-2.0
"""How a picture is drawn, not what it shows: strokes by direction and size, and how they go with its colours."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audit.checkpoints import check_options, digest_of
from audit.types import AnnotatorSpec, Columns, ImageRecord

__all__ = ["WIDTH", "StyleAnnotator"]

_SIDE: Final = 128  # every picture is brought to this size first: a style is not a number of pixels
_MARGIN: Final = 16  # where filters see the opposite edge
_WAVELENGTHS: Final = (4.0, 8.0, 16.0)  # pixels
_DIRECTIONS: Final = 4
_BANDWIDTH: Final = 0.56  # sigma in wavelengths: one octave (Daugman 1985)
_CHANNELS: Final = 3 + len(_WAVELENGTHS) * _DIRECTIONS
#: Numbers a picture: the Gram matrix on and above its diagonal, and the mean of each colour.
WIDTH: Final = _CHANNELS * (_CHANNELS + 1) // 2 + 3
# Luma and two colour differences, each from -1 to 1 or less.
_OPPONENT: Final = np.array([[0.299, 0.587, 0.114], [0.5, -0.5, 0.0], [0.25, 0.25, -0.5]]).T


class StyleAnnotator:
    """Gram matrix of a fixed bank of filters, without any training.

    After Gatys, Ecker and Bethge 2016 (eq. 3) with Gabor filters in place of a network's: what is kept is how strong
    the strokes of each direction and size are, and which colours and strokes go together, but not where.

    Args:
        **options: none are taken.

    Raises:
        ConfigError: an unknown option.
    """

    version = "1"

    def __init__(self, **options: Any) -> None:
        check_options(options, {}, where="annotator 'style'")

    @functools.cached_property
    def spec(self) -> AnnotatorSpec:
        """Identity."""
        digest = digest_of({"name": "style", "version": self.version})
        return AnnotatorSpec("style", self.version, digest, {"gram": f"style embedding, D = {WIDTH}"})

    def annotate(self, images: Sequence[ImageRecord], /) -> Columns:
        """The columns of `spec`, one row an image."""
        grams = [_gram(image.rgb) for image in images]
        return {"gram": np.array(grams, dtype=np.float32).reshape(len(images), WIDTH)}


def _gram(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(WIDTH,): signed square roots, so that a contrast of half the strength is half as far from none."""
    colours = _small(rgb) @ _OPPONENT
    means = colours.mean((0, 1))
    strokes = np.abs(np.fft.ifft2(np.fft.fft2(colours[..., 0] - means[0]) * _bank()))
    channels = np.concatenate([np.moveaxis(colours - means, 2, 0), strokes])
    channels = channels[:, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN].reshape(_CHANNELS, -1)
    gram = channels @ channels.T / channels.shape[1]
    upper = gram[np.triu_indices(_CHANNELS)]
    return np.concatenate([np.sign(upper) * np.sqrt(np.abs(upper)), means])


def _small(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(128, 128, 3) from -1 to 1."""
    from PIL import Image

    sized = Image.fromarray(rgb).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
    return np.asarray(sized, dtype=np.float64) / 127.5 - 1


@functools.cache
def _bank() -> NDArray[np.float64]:
    """Frequency responses (12, 128, 128) of the Gabor filters: Gaussians around one frequency each, so complex answers.

    The magnitude of the answer is the strength of a stroke whatever its phase; 1 for a grating of amplitude 2.
    """
    frequencies = np.fft.fftfreq(_SIDE)
    y, x = np.meshgrid(frequencies, frequencies, indexing="ij")
    bank = []
    for wavelength in _WAVELENGTHS:
        sigma = 1 / (2 * np.pi * _BANDWIDTH * wavelength)
        for k in range(_DIRECTIONS):
            angle = np.pi * k / _DIRECTIONS
            u, v = np.cos(angle) / wavelength, np.sin(angle) / wavelength
            bank.append(np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * sigma**2)))
    responses: NDArray[np.float64] = np.array(bank)
    responses[:, 0, 0] = 0.0
    return responses
