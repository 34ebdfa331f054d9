# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from audit.provenance.watermark import Reading, WatermarkSpec

MAGIC = b"\xa5\x5a\xc3\x3c"


@dataclass(frozen=True)
class LowestBits:
    """A mark that survives lossless handling of the pixels and nothing else: the known truth of these tests."""

    key: bytes = b"k"

    @property
    def spec(self) -> WatermarkSpec:
        digest = hashlib.sha256(self.key).hexdigest()
        return WatermarkSpec("lsb", "org.example.lsb", digest, "Apache-2.0", 32, 12, 2**-32, "computed: 32 magic bits")

    def embed(self, rgb: NDArray[np.uint8], payload: bytes, /) -> NDArray[np.uint8]:
        if min(rgb.shape[:2]) < self.spec.min_side:
            raise ValueError("the picture is too small")
        bits = np.unpackbits(np.frombuffer(MAGIC + payload, dtype=np.uint8))
        flat = rgb.reshape(-1).copy()
        flat[: len(bits)] = (flat[: len(bits)] & 0xFE) | bits
        return flat.reshape(rgb.shape)

    def read(self, rgb: NDArray[np.uint8], /) -> Reading:
        found = np.packbits(rgb.reshape(-1)[:64] & 1).tobytes()
        return Reading(found[4:] if found[:4] == MAGIC else None)


@pytest.fixture(scope="session")
def lsb() -> LowestBits:
    return LowestBits()


def picture(height: int = 96, width: int = 128, seed: int = 0) -> NDArray[np.uint8]:
    """A smooth picture with some texture."""
    y, x = np.mgrid[:height, :width]
    waves = [128 + 80 * np.sin((x * (1 + c) + y * (2 - c)) / 17 + seed) for c in range(3)]
    noise = np.random.default_rng(seed).normal(0, 6, (height, width, 3))
    return np.clip(np.stack(waves, axis=-1) + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def draw_picture() -> Callable[..., NDArray[np.uint8]]:
    return picture


@pytest.fixture(scope="session")
def save() -> Callable[..., bytes]:
    def make(kind: str = "PNG", seed: int = 0, **options: object) -> bytes:
        out = io.BytesIO()
        Image.fromarray(picture(seed=seed)).save(out, kind, **options)
        return out.getvalue()

    return make


@pytest.fixture(scope="session")
def full(lsb, stamper) -> bytes:
    """A PNG with all four layers."""
    from audit.provenance.survive._fresh import fresh_copy

    return fresh_copy("a", picture(), stamper=stamper, watermark=lsb).data
