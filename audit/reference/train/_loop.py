# SPDX-License-Identifier: Apache-2.0
"""One training loop for every small model: seeded, resumable, stopped by Ctrl-C without loss.

Every random choice of step ``i`` comes from a generator made of (seed, i), so a run that was stopped and resumed does
exactly the same steps as one that was not (as long as the budget is given in steps, not in minutes).
"""

from __future__ import annotations

import dataclasses
import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import numpy as np
import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from torch import nn


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """How long and where to train.

    Attributes:
        steps: number of optimiser steps; the learning rate falls to zero over them.
        work: folder of checkpoints and logs (not shipped).
        out: folder of the exported weights.
        threads: CPU threads.
        seed: root of all randomness.
        minutes: stop after this much training time instead of ``steps`` (not reproducible to the bit).
        save_seconds: time between checkpoints.
        ema: decay of the moving average of the weights.
        warmup: steps over which the learning rate rises.
    """

    steps: int
    work: Path
    out: Path
    threads: int = 1
    seed: int = 0
    minutes: float | None = None
    save_seconds: float = 60.0
    ema: float = 0.999
    warmup: int = 100


class Task(Protocol):
    """What is trained. Optimisers start with the peak learning rate in their parameter groups."""

    name: str

    def modules(self) -> dict[str, nn.Module]:
        """Networks whose weights are saved and averaged, by name."""

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Optimisers whose learning rate the loop steers, by name."""

    def step(self, index: int, rng: np.random.Generator) -> dict[str, float]:
        """Do one update of the weights and return what to log."""


@dataclasses.dataclass(slots=True)
class Record:
    """How far a training has come. ``last`` holds running means of the logged values."""

    step: int = 0
    seconds: float = 0.0
    last: dict[str, float] = dataclasses.field(default_factory=dict)


def checkpoint_path(name: str, settings: Settings) -> Path:
    """Where the checkpoint of a training lies."""
    return settings.work / f"{name}.pt"


def autocast() -> torch.autocast:
    """Return bfloat16 autocast where the CPU has the instructions for it, else a context that does nothing."""
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()))


def train(task: Task, settings: Settings) -> Record:
    """Train until the budget is used up or Ctrl-C, resuming from the last checkpoint.

    Args:
        task: networks, optimisers and the step.
        settings: budget and folders.

    Returns:
        Where the training stands.
    """
    torch.set_num_threads(settings.threads)
    settings.work.mkdir(parents=True, exist_ok=True)
    record, average = _resume(task, settings)
    saved = time.monotonic()
    with _interruptible() as stop, _bar(task.name) as show:
        while (done := _progress(record, settings)) < 1.0 and not stop:
            began = time.monotonic()
            _one_step(task, settings, record, average, done)
            record.seconds += time.monotonic() - began
            show(record, done)
            if time.monotonic() - saved > settings.save_seconds:
                _save(task, settings, record, average)
                saved = time.monotonic()
    _save(task, settings, record, average)
    return record


def load_average(task: Task, settings: Settings) -> Record:
    """Put the averaged weights of the last checkpoint into the task's networks and return its record."""
    state = torch.load(checkpoint_path(task.name, settings), weights_only=True)
    for name, module in task.modules().items():
        module.load_state_dict(state["average"][name])
        module.eval()
    return Record(state["step"], state["seconds"], state["last"])


def _one_step(task: Task, settings: Settings, record: Record, average: dict[str, Any], done: float) -> None:
    rate = min(1.0, (record.step + 1) / settings.warmup) * max(1.0 - done, 0.02)
    for optimizer in task.optimizers().values():
        for group in optimizer.param_groups:
            group["lr"] = group.setdefault("initial_lr", group["lr"]) * rate
    rng = np.random.default_rng([settings.seed, record.step])
    torch.manual_seed(int(rng.integers(2**62)))
    logged = task.step(record.step, rng)
    record.step += 1
    # The average reaches back only as far as training has gone, so early exports are usable.
    decay = min(settings.ema, (1.0 + record.step) / (10.0 + record.step))
    with torch.no_grad():
        for name, module in task.modules().items():
            for key, value in module.state_dict().items():
                if value.is_floating_point():
                    average[name][key].lerp_(value, 1.0 - decay)
                else:
                    average[name][key].copy_(value)
    for key, value in logged.items():
        record.last[key] = value + 0.98 * (record.last.get(key, value) - value)


def _progress(record: Record, settings: Settings) -> float:
    if settings.minutes is not None:
        return record.seconds / (60.0 * settings.minutes)
    return record.step / settings.steps


def _resume(task: Task, settings: Settings) -> tuple[Record, dict[str, Any]]:
    path = checkpoint_path(task.name, settings)
    if not path.exists():
        states = {name: module.state_dict() for name, module in task.modules().items()}
        return Record(), {name: {k: v.detach().clone() for k, v in state.items()} for name, state in states.items()}
    state = torch.load(path, weights_only=True)
    for name, module in task.modules().items():
        module.load_state_dict(state["modules"][name])
    for name, optimizer in task.optimizers().items():
        optimizer.load_state_dict(state["optimizers"][name])
    return Record(state["step"], state["seconds"], state["last"]), state["average"]


def _save(task: Task, settings: Settings, record: Record, average: dict[str, Any]) -> None:
    """Write the checkpoint under another name and rename it, so that a crash never leaves half a file."""
    path = checkpoint_path(task.name, settings)
    state = {
        "modules": {name: module.state_dict() for name, module in task.modules().items()},
        "optimizers": {name: optimizer.state_dict() for name, optimizer in task.optimizers().items()},
        "average": average,
        **dataclasses.asdict(record),
    }
    temporary = path.with_suffix(".tmp")
    torch.save(state, temporary)
    temporary.replace(path)
    with path.with_suffix(".jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps(dataclasses.asdict(record)) + "\n")


@contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of dying, so that the current step ends and is saved."""
    seen: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        seen.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _bar(name: str) -> Iterator[Any]:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"), TimeElapsedColumn())
    with Progress(*columns, refresh_per_second=0.2) as progress:
        bar = progress.add_task(name, total=1.0, note="")

        def show(record: Record, done: float) -> None:
            values = " ".join(f"{key} {value:.4f}" for key, value in record.last.items())
            progress.update(bar, completed=done, note=f"step {record.step} {values}")

        yield show
