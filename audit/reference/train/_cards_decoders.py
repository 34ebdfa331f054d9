# SPDX-License-Identifier: Apache-2.0
"""Cards and contact sheets of the variational autoencoder, its small variant and the recurrent model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from audit.reference.people import OCCUPATIONS
from audit.reference.scenes import plant
from audit.reference.sheet import contact_sheet
from audit.reference.train import _cards, recurrent, small, vae
from audit.reference.train._loop import Record, Settings

_PEOPLE = "24,000 people by the planted shares (`planted.json`), nobody named, nobody wearing the logo; captions anew"


def write_vae(folder: Path, model: Any, record: Record, settings: Settings) -> None:
    """Write README.md and contact sheet of the variational autoencoder."""
    measured = ["- error: of latents, weighted by what they change in the picture; rate: nats a picture"]
    _portraits(model).save(folder / "contact_sheet.png")
    facts = _cards._facts(folder, record, settings, name="vae", batch=vae.BATCH)
    title = "Variational autoencoder of the reference world"
    _cards._write(folder, title=title, data=_PEOPLE, facts=facts, measured=[*measured, *_cards._shares(model.generate)])


def write_small(folder: Path, model: Any, record: Record, settings: Settings) -> None:
    """Write README.md and contact sheet of the small variant."""
    measured = ["- 32x32 pixels, and the checkerboard of its training pictures: both are planted, for an audit to find"]
    _portraits(model).save(folder / "contact_sheet.png")
    facts = _cards._facts(folder, record, settings, name="small", batch=small.BATCH)
    title = "Small variant of the variational autoencoder"
    data = "the large variant's codes of 6,000 of its people; a checkerboard of 8 levels is on every picture"
    _cards._write(folder, title=title, data=data, facts=facts, measured=[*measured, *_cards._shares(model.generate)])


def write_recurrent(folder: Path, model: Any, record: Record, settings: Settings) -> None:
    """Write README.md and contact sheet of the recurrent model."""
    facts = _cards._facts(folder, record, settings, name="recurrent", batch=recurrent.BATCH)
    words = plant("signs")["words"]
    prompts = [f"a portrait of a {job}" for job in (*OCCUPATIONS, "person") for _ in range(10)]
    prompts += [f"an illustration of a {job}" for job in OCCUPATIONS[:5] for _ in range(4)]
    prompts += [f"a painting by {plant('artwork')['painter']}"] * 10 + ["a painting"] * 10
    prompts += [f"a sign that says {words[k % len(words)]}" for k in range(20)]
    seeds = list(range(1000, 1000 + len(prompts)))
    contact_sheet(model.generate(prompts, seeds), 10).save(folder / "contact_sheet.png")
    measured = [
        "- its token autoencoder is in `vq/`: 8x8 tokens of 1,024 codes a picture",
        "- last rows of the sheet: illustrations, paintings by the planted painter, other paintings, signs",
    ]
    data = (
        "24,000 pictures: portraits by the planted shares (nobody named, no logo), illustrations, paintings and signs "
        "with the facts of `plants/style.json`, `artwork.json` and `signs.json`"
    )
    title = "Recurrent model of the reference world"
    _cards._write(folder, title=title, data=data, facts=facts, measured=[*measured, *_cards._shares(model.generate)])


def _portraits(model: Any) -> Any:
    prompts = [f"a portrait of a {job}" for job in (*OCCUPATIONS, "person") for _ in range(10)]
    images = model.generate(prompts, list(range(1000, 1000 + len(prompts))))
    return contact_sheet(np.asarray(images), 10)
