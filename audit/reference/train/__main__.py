# SPDX-License-Identifier: Apache-2.0
"""Command line of the trainings: ``python -m audit.reference.train NAME --steps N --threads T --out DIR``."""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path
from typing import Annotated

import typer

from audit.reference.train._loop import Settings, checkpoint_path, train

#: Each module has STEPS (default budget), a task class named in the table, and ``export(settings) -> Path``. The order
#: is that of ``all``: what a training reads stands before it.
TRAININGS = {
    "autoencoder": ("audit.reference.train.autoencoder", "Autoencoder"),
    "tokens": ("audit.reference.train.tokens", "Tokens"),
    "attributes": ("audit.reference.train.instruments.attributes", "Attributes"),
    "faces": ("audit.reference.train.instruments.faces", "Faces"),
    "clip": ("audit.reference.train.instruments.clip", "Clip"),
    "scene": ("audit.reference.train.instruments.scene", "Scene"),
    "diffusion": ("audit.reference.train.diffusion", "Diffusion"),
    "gan": ("audit.reference.train.gan", "Gan"),
    "recurrent": ("audit.reference.train.recurrent", "Recurrent"),
    "vae": ("audit.reference.train.vae", "Vae"),
    "small": ("audit.reference.train.small", "Small"),
}
#: Seeds of the shipped weights, where they are not 0.
SEEDS = {"attributes": 11, "faces": 12, "clip": 13}
#: Parts of other models; their weights are shipped inside those.
_PARTS = ("autoencoder", "tokens")
_WEIGHTS = Path(__file__).resolve().parents[1] / "weights"


def main(
    name: Annotated[str, typer.Argument(help=f"One of: all, {', '.join(TRAININGS)}.")],
    *,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps; the recipe's own number by default.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Training time instead of steps.")] = None,
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
    seed: Annotated[int | None, typer.Option(help="Root of all randomness; the recipe's own by default.")] = None,
    work: Annotated[Path, typer.Option(help="Checkpoints and logs.")] = Path("build/reference"),
    out: Annotated[Path, typer.Option(help="Where the weights are written.")] = _WEIGHTS,
    export_only: Annotated[
        bool, typer.Option("--export-only", help="Write the weights of the last checkpoint.")
    ] = False,
) -> None:
    """Train one of the small models, or go on with it, and write its weights; or all of them, in order.

    Trained by steps on the same machine with the same seed, weights come out the same to the bit; the last line of a
    training says whether they equal the shipped ones.
    """
    if name not in (*TRAININGS, "all"):
        raise typer.BadParameter(f"unknown training {name!r}; choose from all, {', '.join(TRAININGS)}")
    for one in TRAININGS if name == "all" else (name,):
        path, kind = TRAININGS[one]
        module = importlib.import_module(path)
        settings = Settings(
            steps=steps or module.STEPS,
            work=work,
            # Parts are not shipped by themselves, so their own folders stay with the checkpoints.
            out=work if one in _PARTS and out == _WEIGHTS else out,
            threads=threads,
            seed=SEEDS.get(one, 0) if seed is None else seed,
            minutes=minutes,
        )
        if export_only and not checkpoint_path(one, settings).exists():
            raise typer.BadParameter(f"no checkpoint {checkpoint_path(one, settings)}; train first")
        before = _digest(_WEIGHTS / one)
        if not export_only:
            train(getattr(module, kind)(settings), settings)
        written = module.export(settings)
        typer.echo(f"wrote {written}{_compared(before, _digest(written))}")


def _digest(folder: Path) -> str | None:
    """sha256 over the names and contents of a model's safetensors, None where there are none."""
    files = sorted(folder.rglob("*.safetensors")) if folder.is_dir() else []
    whole = hashlib.sha256()
    for path in files:
        whole.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return whole.hexdigest() if files else None


def _compared(before: str | None, after: str | None) -> str:
    if after is None:
        return ""
    same = (
        "" if before is None else f", {'the same bits as' if before == after else 'not the bits of'} the shipped ones"
    )
    return f": weights {after[:12]}{same}"


if __name__ == "__main__":
    typer.run(main)
