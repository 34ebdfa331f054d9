# SPDX-License-Identifier: Apache-2.0
"""A generator of colour swatches: what a third party writes to drive its own model."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from audit.types import Generation, GeneratorSpec, Outcome, Request


class SwatchGenerator:
    """Draws two colours an image, chosen by the seed."""

    def __init__(self, name: str, *, model: str | None, params: Mapping[str, Any], options: Mapping[str, Any]) -> None:
        self.size = int(options.get("size", 32))
        self.spec = GeneratorSpec(name, "swatches", model or "swatches-1", digest=None, licence="Apache-2.0")

    def generate(self, batch: Sequence[Request], /) -> list[Generation]:
        """One swatch a request."""
        return [Generation(r.id, Outcome.IMAGE, self._swatch(r.seed), "image/png") for r in batch]

    def _swatch(self, seed: int) -> bytes:
        colours = np.random.default_rng(seed).integers(0, 256, (2, 3), dtype=np.uint8)
        sink = io.BytesIO()
        Image.fromarray(colours[np.indices((self.size, self.size)).sum(0) // 8 % 2]).save(sink, "PNG")
        return sink.getvalue()
