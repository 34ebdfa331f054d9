# SPDX-License-Identifier: Apache-2.0
"""One decoder for all images: upright, on white, whole or not at all."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from audit.images import decode, thumbnail


def _encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    sink = io.BytesIO()
    image.save(sink, kind, **options)
    return sink.getvalue()


def test_transparency_is_put_on_white():
    assert decode(_encoded(Image.new("RGBA", (2, 3), (10, 20, 30, 0)))).tolist() == [[[255] * 3] * 2] * 3


def test_orientation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    assert decode(_encoded(Image.new("RGB", (4, 2)), "JPEG", exif=exif)).shape == (4, 2, 3)


@pytest.mark.parametrize("cut", [0, 20, -30])
def test_what_is_not_whole_is_refused(cut: int):
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    with pytest.raises(ValueError, match="decoded"):
        decode(_encoded(Image.fromarray(noise))[:cut])


def test_thumbnails_are_small_and_keep_the_shape():
    small = decode(thumbnail(np.zeros((512, 1024, 3), np.uint8)))
    assert small.shape == (128, 256, 3)
