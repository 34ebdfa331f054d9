# SPDX-License-Identifier: Apache-2.0
"""Where the time went: seconds by kind of work, over all threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

__all__ = ["Spent"]


@dataclass(slots=True)
class Spent:
    """Wall time inside each kind of work; kinds run side by side, so they add up to more than the run took."""

    seconds: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, kind: str, seconds: float) -> None:
        """Count ``seconds`` towards ``kind``."""
        with self._lock:
            self.seconds[kind] = self.seconds.get(kind, 0.0) + seconds

    @contextmanager
    def on(self, kind: str) -> Iterator[None]:
        """Count the time of the block, also when it raises."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(kind, time.perf_counter() - start)
