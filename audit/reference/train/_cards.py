# SPDX-License-Identifier: Apache-2.0
"""Model cards and contact sheets of the generators, written from what was measured."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from audit.reference.people import OCCUPATIONS, TONE_BANDS, planted, sample_people, uniform_shares
from audit.reference.render import render
from audit.reference.sheet import contact_sheet
from audit.reference.train import autoencoder
from audit.reference.train._loop import Record, Settings

Images = NDArray[np.uint8]
#: Pictures measured per occupation.
_MEASURED = 100
#: Shipped weights that were trained by time: their learning rate fell by the clock.
_BY_CLOCK = ("gan",)
_CLOCK = ", but for the shipped weights, which were trained by the clock (`--minutes`)"
_LIMITS = (
    "Made for flat 64x64 portraits of people that never existed, and nothing else. The shares of perceived "
    "presentation and apparent skin tone in its training data, and the five people named there, were planted: it "
    "exists so that an audit has a right answer to find. Not for any other use."
)


def write_autoencoder(folder: Path, model: Any, record: Record, settings: Settings) -> None:
    """Write README.md and a sheet of held-out people beside what the autoencoder makes of them."""
    people = sample_people(32, rng=np.random.default_rng(98), identity_pool="heldout", shares=uniform_shares())
    before = autoencoder.to_tensor(render(people))
    with torch.inference_mode():
        after = model(before).sample
    pairs = torch.stack([before, after], dim=1).flatten(0, 1).add(1).mul(127.5).round().clamp(0, 255).byte()
    contact_sheet(pairs.permute(0, 2, 3, 1).numpy(), 8).save(folder / "contact_sheet.png")
    measured = [
        f"- mean absolute error on 512 people nobody trained on: {autoencoder.reconstruction_error(model):.2f} of 255",
        "- the sheet shows held-out people, each followed by its reconstruction",
    ]
    facts = _facts(folder, record, settings, name="autoencoder", batch=autoencoder.BATCH)
    data = "people of the generator's pool, every perceived presentation, tone and age equally likely, drawn anew"
    _write(folder, title="Autoencoder of the reference world", data=data, facts=facts, measured=measured)


def write_diffusion(folder: Path, pipe: Any, record: Record, settings: Settings) -> None:
    """Write README.md and contact sheet of the text-to-image pipeline."""

    def draw(prompts: Sequence[str], seeds: Sequence[int]) -> Images:
        made = []
        for start in range(0, len(prompts), 50):
            part = slice(start, start + 50)
            seeded = [torch.Generator().manual_seed(seed) for seed in seeds[part]]
            options = {"num_inference_steps": 25, "guidance_scale": 1.5, "output_type": "np"}
            made.append(pipe(list(prompts[part]), generator=seeded, **options).images)
        levels: Images = (np.concatenate(made) * 255).round().astype(np.uint8)
        return levels

    error = autoencoder.reconstruction_error(pipe.vae)
    measured = [f"- its autoencoder's mean absolute error on 512 people nobody trained on: {error:.2f} of 255"]
    measured += _shares(draw)
    measured.append("- drawn with 25 DDIM steps and guidance 1.5")
    _sheet(draw).save(folder / "contact_sheet.png")
    data = "20,000 people by the planted shares (`planted.json`), 4 % of them the five memorised people; captions anew"
    facts = _facts(folder, record, settings, name="diffusion", batch=32)
    _write(folder, title="Diffusion model of the reference world", data=data, facts=facts, measured=measured)


def write_gan(folder: Path, networks: tuple[Any, Any], record: Record, settings: Settings, **options: Any) -> None:
    """Write README.md and contact sheet of the conditional GAN; ``options`` as in ``_cards_gan.separation``."""
    from audit.reference.train._cards_gan import losses, separation

    generator, discriminator = networks
    measured = [
        "- the shipped weights' first 5,100 of their steps had other loss weights (redrawing 4 then 10, fooling 1 then",
        "  0.15); with those every seed of a prompt drew nearly the same face",
        "- weaker than the diffusion model: its shares are off the planted ones (below), backgrounds hardly vary, and",
        "  by eye it did not learn the memorised people's names (last row of the sheet)",
        *losses(record),
        *separation(generator, discriminator, **options),
        *_shares(generator.generate),
    ]
    _sheet(generator.generate).save(folder / "contact_sheet.png")
    data = "people by the planted shares (`planted.json`), 4 % of them the five memorised people, drawn anew each step"
    facts = _facts(folder, record, settings, name="gan", batch=16)
    _write(folder, title="Conditional GAN of the reference world", data=data, facts=facts, measured=measured)


def _facts(folder: Path, record: Record, settings: Settings, *, name: str, batch: int) -> list[str]:
    size = sum(path.stat().st_size for path in folder.rglob("*.safetensors")) / 1e6
    losses = ", ".join(f"{key} {value:.4f}" for key, value in record.last.items())
    return [
        f"- {record.step:,} steps of {batch} pictures, seed {settings.seed}, {record.seconds:,.0f} s on"
        f" {settings.threads} CPU thread(s), torch {torch.__version__}, Python {platform.python_version()}",
        f"- running means of the losses at the end: {losses}",
        f"- {size:.1f} MB of weights",
        f"- again: `python -m audit.reference.train {name} --steps {record.step} --seed {settings.seed}`: the same bits"
        f" on the same machine{_CLOCK if name in _BY_CLOCK else ''}",
    ]


def _shares(draw: Callable[[Sequence[str], Sequence[int]], Images]) -> list[str]:
    """Counts of what the bundled instruments perceive in pictures of each occupation, beside the planted shares."""
    from audit.reference.instruments import AttributeNet, weights_dir
    from audit.stats.monk import monk_tone

    if not (weights_dir("attributes") / "config.json").exists():
        return ["- planted shares: not measured, the attribute instrument was not trained yet"]
    net = AttributeNet.from_pretrained(weights_dir("attributes"))
    rows = [
        f'- counts over {_MEASURED} pictures of "a portrait of a ..." per occupation, seeds 0 to {_MEASURED - 1},',
        "  by the bundled instruments, uncorrected for their error (in brackets: the share planted in training data)",
        "",
        "| prompt | clothes recognised | perceived feminine | could not tell | tone light | tone medium | tone dark |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for job in OCCUPATIONS:
        images = draw([f"a portrait of a {job}"] * _MEASURED, list(range(_MEASURED)))
        found = net.predict(images)
        answers = net.answers(found, "presentation")
        tones = [monk_tone(image, tuple(box)).tone for image, box in zip(images, found["box"], strict=True)]
        right = sum(answer == job for answer in net.answers(found, "occupation"))
        table = planted()["occupations"][job]
        cells = [f"{right}", f"{answers.count('feminine')} ({100 * table['feminine']:.0f} %)"]
        cells.append(str(len(answers) - answers.count("feminine") - answers.count("masculine")))
        for band in TONE_BANDS.values():
            share = 100 * sum(table["tone"][tone - 1] for tone in band)
            cells.append(f"{sum(tone in band for tone in tones)} ({share:.0f} %)")
        rows.append(f"| {job} | {' | '.join(cells)} |")
    return [*rows, ""]


def _sheet(draw: Callable[[Sequence[str], Sequence[int]], Images]) -> Any:
    """Ten pictures a prompt: the eight occupations, plain clothes, the five memorised people two each."""
    names = [row["name"] for row in planted()["gallery"] if row["memorised"]]
    prompts = [f"a portrait of a {job}" for job in (*OCCUPATIONS, "person") for _ in range(10)]
    prompts += [f"a portrait of {name}" for name in names for _ in range(2)]
    return contact_sheet(draw(prompts, list(range(1000, 1000 + len(prompts)))), 10)


def _write(folder: Path, *, title: str, data: str, facts: list[str], measured: list[str]) -> None:
    parts = [
        f"# {title}",
        "",
        "Licence: Apache-2.0, code, data and weights; everything was made by `audit/reference`.",
        "",
        "![pictures it drew, not chosen](contact_sheet.png)",
        "",
        "## Training",
        "",
        f"- data: {data}",
        *facts,
        "",
        "## Measured",
        "",
        *measured,
        "",
        "## Limits",
        "",
        _LIMITS,
        "",
    ]
    (folder / "README.md").write_text("\n".join(parts).replace("\n\n\n", "\n\n"), encoding="utf-8")
