# SPDX-License-Identifier: Apache-2.0
"""What generators share: fixed batches and answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from audit.types import Generation, Outcome, Request, Scalar

__all__ = ["drawn", "failed", "lanes"]


def lanes(batch: Sequence[Request], width: int) -> Iterator[tuple[list[Request], list[Request]]]:
    """Cut a batch into chunks and fill each up to one fixed width.

    The last bits of a network's output depend on the *size* of its batch (kernels are chosen by shape), not on what
    else is in it. At one fixed width an image depends on its own request only: alone or among others, the same bytes.

    Yields:
        The requests to answer, and the same ones followed by repeats of the last, ``width`` in all.
    """
    for start in range(0, len(batch), width):
        wanted = list(batch[start : start + width])
        yield wanted, wanted + [wanted[-1]] * (width - len(wanted))


def drawn(
    request: Request, rgb: NDArray[np.uint8], *, seconds: float | None, meta: Mapping[str, Scalar] | None = None
) -> Generation:
    """The answer that is a picture; encoding it is left to whoever needs a file."""
    return Generation(request.id, Outcome.IMAGE, seconds=seconds, meta=dict(meta or {"seed": request.seed}), pixels=rgb)


def failed(
    request: Request, message: str, *, outcome: Outcome = Outcome.ERROR, seconds: float | None = None
) -> Generation:
    """The answer that is none, with the reason."""
    return Generation(request.id, outcome, seconds=seconds, message=message)
