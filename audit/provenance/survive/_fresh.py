# SPDX-License-Identifier: Apache-2.0
"""Copies that carry all four layers, made in memory to see what becomes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audit.images import encode_png, pixel_digest
from audit.provenance.claim import Claim
from audit.provenance.stamp import Stamper
from audit.provenance.survive._container import read_container, text_part
from audit.provenance.survive.quality import psnr, ssim
from audit.provenance.watermark import Watermark, payload_of

__all__ = ["Copy", "fresh_copy"]

_SMALLEST: Final = 11  # window of the structural similarity


@dataclass(frozen=True, slots=True)
class Copy:
    """A stamped copy.

    Attributes:
        data: PNG with a text chunk, XMP (unless the stamper writes none), the watermark and credentials.
        payload: that was put in, None without a watermark.
        psnr, ssim: of the marked picture against the unmarked one.
        note: why there is no watermark.
    """

    data: bytes
    payload: bytes | None
    psnr: float | None = None
    ssim: float | None = None
    note: str = ""


def fresh_copy(name: str, rgb: NDArray[np.uint8], *, stamper: Stamper, watermark: Watermark | None) -> Copy:
    """A copy of a picture with all layers. The payload follows from the pixels: same picture, same marked picture.

    Args:
        name: of the image.
        rgb: (h, w, 3) levels.
        stamper: signs.
        watermark: marks; None: without.
    """
    marked, payload, note = rgb, None, ""
    if watermark is not None:
        wanted = payload_of(pixel_digest(rgb), watermark.spec.bits)
        try:
            marked, payload = watermark.embed(rgb, wanted), wanted
        except ValueError as error:
            note = f"no watermark: {error}"
    # Not `Stamper.mark`: its payload names a random id, and the same picture must be marked the same way every time.
    data = stamper.stamp(_with_text(marked), Claim.about(name, prompt="survival", seed=0)).data
    if payload is None:
        return Copy(data, None, note=note)
    similar = ssim(rgb, marked) if min(rgb.shape[:2]) >= _SMALLEST else None
    return Copy(data, payload, psnr(rgb, marked), similar)


def _with_text(rgb: NDArray[np.uint8]) -> bytes:
    """A PNG with the text chunk that popular user interfaces write."""
    said = f"a picture\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: {rgb.shape[1]}x{rgb.shape[0]}"
    return read_container(encode_png(rgb)).with_part(text_part("png", "parameters", said)).data()
