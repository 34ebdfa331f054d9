# SPDX-License-Identifier: Apache-2.0
"""Memory that runs out, and random numbers that come from elsewhere than the seed of a request."""

from __future__ import annotations

import gc
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["free", "out_of_memory", "random_state", "seeded"]

_SAID = re.compile(
    "out of memory|can't allocate memory|cannot allocate memory|defaultcpuallocator|not enough memory|bad_?alloc"
    "|invalid buffer size|could not create a memory object",
    re.IGNORECASE,
)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out.

    torch has its own class for accelerators, a plain RuntimeError for the CPU and for Apple's; numpy a MemoryError.
    """
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and _SAID.search(str(error)) is not None


def free() -> None:
    """Give back what a failed forward pass still holds."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def random_state() -> tuple[Any, ...]:
    """The states of the random numbers that belong to nobody; they change when something draws from them."""
    import numpy as np
    import torch

    numbers: Any = np.random.get_state(legacy=True)
    state: list[Any] = [torch.get_rng_state().numpy().tobytes(), random.getstate(), numbers[1].tobytes(), numbers[2:]]
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        state += [one.numpy().tobytes() for one in torch.cuda.get_rng_state_all()]
    return tuple(state)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Random numbers that belong to nobody follow ``seed`` inside; outside they go on as if nothing had been drawn."""
    import numpy as np
    import torch

    before, plain = np.random.get_state(), random.getstate()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()  # type: ignore[no-untyped-call]
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)
        random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(before)
            random.setstate(plain)
