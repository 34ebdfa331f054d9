# SPDX-License-Identifier: Apache-2.0
"""Contact sheets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def contact_sheet(images: NDArray[np.uint8], columns: int, *, gap: int = 2) -> Image.Image:
    """Lay pictures out in rows on white.

    Args:
        images: (n, h, w, 3) RGB levels.
        columns: pictures a row.
        gap: white pixels between pictures and around them.

    Returns:
        One picture with ceil(n / columns) rows.
    """
    n, height, width, _ = images.shape
    rows = -(-n // columns)
    sheet = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, 3), 255, dtype=np.uint8)
    for i, image in enumerate(images):
        top, left = gap + (i // columns) * (height + gap), gap + (i % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return Image.fromarray(sheet)
