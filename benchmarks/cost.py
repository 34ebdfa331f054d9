# SPDX-License-Identifier: Apache-2.0
"""What measuring the cost of drawing costs: ``python -m benchmarks.cost``.

Two questions: how long the meter itself takes a batch, with nothing drawn; and how much slower the one batch is in
which operations are counted, by us and by ``FlopCounterMode`` of torch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

from audit.generators._meter import Meter
from audit.registry import GENERATORS
from audit.types import Generation, Outcome, Prompt, Request

__all__ = ["main"]

_ROUNDS = 7
_BATCH = 16
_MODELS: Sequence[tuple[str, str, dict[str, Any], dict[str, Any]]] = (
    ("gan", "reference:gan", {}, {}),
    ("vae", "reference:vae", {}, {}),
    ("recurrent", "reference:recurrent", {}, {}),
    ("diffusers", "reference:diffusion", {"steps": 10, "guidance": 1.5}, {"lanes": _BATCH}),
)


class _Nothing:
    """Answers at once."""

    spec: Any = None

    def generate(self, batch: Sequence[Request], /) -> list[Generation]:
        return [Generation(request.id, Outcome.IMAGE, image=b"") for request in batch]


def main() -> None:
    """Print medians."""
    batch, meter = _batch({}), Meter(count=False)
    alone = _median(lambda: _Nothing().generate(batch), 200)
    metered = _median(lambda: meter.draw(_Nothing(), batch), 200)
    print(f"meter: {(metered - alone) * 1e6:.0f} us a batch of {_BATCH}")
    for kind, model, params, options in _MODELS:
        _counting(kind, model, params, options)


def _counting(kind: str, model: str, params: dict[str, Any], options: dict[str, Any]) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    from audit.generators._operations import OperationCounter

    generator, batch = GENERATORS.get(kind)("g", model=model, params=params, options=options), _batch(params)
    generator.generate(batch)
    took: dict[str, list[float]] = {"alone": [], "ours": [], "torch": []}
    for _ in range(_ROUNDS):
        took["alone"].append(_time(lambda: generator.generate(batch)))
        with OperationCounter() as ours:
            took["ours"].append(_time(lambda: generator.generate(batch)))
        with FlopCounterMode(display=False) as theirs:
            took["torch"].append(_time(lambda: generator.generate(batch)))
    slower = {who: median(b / a for a, b in zip(took["alone"], took[who], strict=True)) for who in ("ours", "torch")}
    counts = f"{ours.total / _BATCH / 1e6:.1f} MFLOP an image, torch {theirs.get_total_flops() / _BATCH / 1e6:.1f}"
    print(f"{kind}: counted batch x{slower['ours']:.2f}, torch x{slower['torch']:.2f}; {counts}")


def _batch(params: dict[str, Any]) -> list[Request]:
    prompt = Prompt("p/nurse", "a portrait of a nurse", "p")
    return [replace(Request(f"{k:032x}", "g", prompt, k, k), params=params) for k in range(_BATCH)]


def _time(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _median(work: Callable[[], Any], rounds: int) -> float:
    return median(_time(work) for _ in range(rounds))


if __name__ == "__main__":
    main()
