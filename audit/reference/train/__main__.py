# SPDX-License-Identifier: Apache-2.0
"""Command line of the trainings: ``python -m audit.reference.train NAME --steps N --threads T --out DIR``."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated

import typer

from audit.reference.train._loop import Settings, checkpoint_path, train

#: Each module has STEPS (default budget), a task class named in the table, and ``export(settings) -> Path``.
TRAININGS = {
    "autoencoder": ("audit.reference.train.autoencoder", "Autoencoder"),
    "diffusion": ("audit.reference.train.diffusion", "Diffusion"),
    "gan": ("audit.reference.train.gan", "Gan"),
    "attributes": ("audit.reference.train.instruments.attributes", "Attributes"),
    "faces": ("audit.reference.train.instruments.faces", "Faces"),
    "clip": ("audit.reference.train.instruments.clip", "Clip"),
}
_WEIGHTS = Path(__file__).resolve().parents[1] / "weights"


def main(
    name: Annotated[str, typer.Argument(help=f"One of: {', '.join(TRAININGS)}.")],
    *,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps; the recipe's own number by default.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Training time instead of steps.")] = None,
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
    seed: Annotated[int, typer.Option(help="Root of all randomness.")] = 0,
    work: Annotated[Path, typer.Option(help="Checkpoints and logs.")] = Path("build/reference"),
    out: Annotated[Path, typer.Option(help="Where the weights are written.")] = _WEIGHTS,
    export_only: Annotated[
        bool, typer.Option("--export-only", help="Write the weights of the last checkpoint.")
    ] = False,
) -> None:
    """Train one of the small models, or go on with it, and write its weights."""
    if name not in TRAININGS:
        raise typer.BadParameter(f"unknown training {name!r}; choose from {', '.join(TRAININGS)}")
    path, kind = TRAININGS[name]
    module = importlib.import_module(path)
    settings = Settings(steps=steps or module.STEPS, work=work, out=out, threads=threads, seed=seed, minutes=minutes)
    if export_only and not checkpoint_path(name, settings).exists():
        raise typer.BadParameter(f"no checkpoint {checkpoint_path(name, settings)}; train first")
    if not export_only:
        train(getattr(module, kind)(settings), settings)
    typer.echo(f"wrote {module.export(settings)}")


if __name__ == "__main__":
    typer.run(main)
