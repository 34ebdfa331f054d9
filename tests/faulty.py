# SPDX-License-Identifier: Apache-2.0
"""A generator that draws well until it is told to misbehave: named in configurations as ``tests.faulty:Faulty``."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from audit.types import Generation, GeneratorSpec, Outcome, Request

EDGE = 16


def picture(seed: int) -> np.ndarray:
    """What it draws for a seed."""
    return np.random.default_rng(seed).integers(0, 256, (EDGE, EDGE, 3), dtype=np.uint8)


class Faulty:
    """Misbehaves as ``fault`` says when it meets repetition ``at``, or at every request where ``at`` is left out."""

    def __init__(self, name: str, *, model: str | None, params: Mapping[str, Any], options: Mapping[str, Any]) -> None:
        self.fault, self.at = str(options.get("fault", "none")), options.get("at")
        self.lanes = 8 if self.fault == "needs too much memory" else 0
        self.spec = GeneratorSpec(name, "callable", "faulty", None, details=self._meta())

    def recall(self, metas: Iterable[Mapping[str, Any]]) -> None:
        """Go on with the smallest width that was seen."""
        self.lanes = min([self.lanes, *(meta["lanes"] for meta in metas if "lanes" in meta)])

    def generate(self, batch: Sequence[Request], /) -> list[Generation]:
        """Answers, or not."""
        met = [request for request in batch if self.at is None or request.repetition == self.at]
        if met:
            self._before()
        answers = [self._one(request, bad=request in met) for request in batch]
        return [a for a, r in zip(answers, batch, strict=True) if self.fault != "returns too few" or r not in met]

    def _before(self) -> None:
        """Faults that take the whole batch with them."""
        if self.fault == "raises":
            raise RuntimeError("the model has no answer to that")
        if self.fault == "hangs":
            time.sleep(3600)
        if self.fault == "dies mid-batch":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.fault == "needs too much memory" and self.lanes > 2:  # what the kernel does then
            os.kill(os.getpid(), signal.SIGKILL)
        if self.fault == "crashes":
            os.kill(os.getpid(), signal.SIGSEGV)
        if self.fault == "exits":
            raise SystemExit(3)

    def _one(self, request: Request, *, bad: bool) -> Generation:
        if bad and self.fault in ("refuses", "blocks"):
            outcome = Outcome.REFUSED if self.fault == "refuses" else Outcome.BLOCKED
            return Generation(request.id, outcome, message="not this")
        pixels = picture(request.seed)
        if bad:
            pixels = {
                "draws black": lambda: np.zeros_like(pixels),
                "draws one colour": lambda: np.full_like(pixels, 119),
                "draws NaN": lambda: np.full(pixels.shape, np.nan, np.float32),
                "draws another size": lambda: pixels[:8],
                "draws nothing": lambda: pixels[:0],
            }.get(self.fault, lambda: pixels)()
        return Generation(request.id, Outcome.IMAGE, pixels=pixels, meta=self._meta())

    def _meta(self) -> dict[str, int]:
        return {"process": os.getpid()} | ({"lanes": self.lanes} if self.lanes else {})
