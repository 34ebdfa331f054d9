# SPDX-License-Identifier: Apache-2.0
"""A hash of 64 bits that hardly changes when a picture is compressed, resized or brightened."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn

__all__ = ["perceptual_hash"]

_SIDE, _KEPT = 32, 8


def perceptual_hash(rgb: NDArray[np.uint8]) -> str:
    """Signs of the 8 by 8 lowest frequencies of the picture at 32 by 32 pixels, against their median (Zauner 2010).

    Bit by bit that of ``imagehash.phash``, row by row, most significant bit first.

    Args:
        rgb: (h, w, 3) levels.

    Returns:
        16 hexadecimal digits.
    """
    from PIL import Image

    small = Image.fromarray(rgb).convert("L").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    low = dctn(np.asarray(small, dtype=np.float64))[:_KEPT, :_KEPT]
    return np.packbits(low > np.median(low)).tobytes().hex()
