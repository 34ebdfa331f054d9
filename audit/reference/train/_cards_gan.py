# SPDX-License-Identifier: Apache-2.0
"""What the card of the GAN says of its two networks: their losses, and what the discriminator tells apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata

from audit.reference.instruments import weights_dir
from audit.reference.people import sample_people
from audit.reference.prompts import captions
from audit.reference.render import render
from audit.reference.train._loop import Record

Images = NDArray[np.uint8]
Draw = Callable[[Sequence[str], Sequence[int]], Images]
#: Pictures of each kind that the discriminator's scores are compared on.
COMPARED = 400
_FAMILIES = {
    "vae": ("audit.reference.vae_model", "VaeGenerator"),
    "small": ("audit.reference.vae_model", "VaeGenerator"),
    "recurrent": ("audit.reference.recurrent_model", "RecurrentGenerator"),
}


def losses(record: Record) -> list[str]:
    """The logged terms, each with the network that it trains and the way to read it."""
    meant = {
        "hinge": "discriminator: hinge loss over real, generated and wrongly captioned pictures; 0: all told apart"
        " with margin, 2: none",
        "real": "discriminator: mean score of the batch's real pictures; it is trained to lift each above 1",
        "fake": "discriminator: mean score of the batch's generated pictures; it is trained to push each below -1",
        "fooled": "generator: mean score of its pictures after the discriminator's update; it is trained to raise it",
        "redraw": "both: mean absolute error, on levels from -1 to 1 and with faces counting more, of real pictures"
        " redrawn from the noise and text that the discriminator reads off them",
        "kl": "both: nats between that noise's distribution and the standard normal one",
        "lost": "both: negative log likelihood, less its constant, of the noise behind a generated picture as the"
        " discriminator guesses it; a generator that draws one picture for every noise raises it to half the noise's"
        " length, 24",
    }
    told = [f"  - `{name}` {record.last[name]:.3f}: {words}" for name, words in meant.items() if name in record.last]
    return ["- the losses, network by network:", *told]


def separation(generator: Any, discriminator: Any, *, families: Sequence[str] = (*_FAMILIES, "diffusion")) -> list[str]:
    """How well the discriminator's score tells held-out renders from generated pictures with the same captions.

    Args:
        generator: of the GAN.
        discriminator: of the GAN.
        families: other bundled generators to compare; those whose weights are not there are left out.
    """
    rng = np.random.default_rng(97)
    people = sample_people(COMPARED, rng=rng, identity_pool="heldout", logo=False)
    texts, seeds = captions(people, rng=rng), list(range(COMPARED))
    real = discriminator.rate(render(people), texts)
    rows = [
        f"- score of the discriminator, kept in `discriminator.safetensors`, on {COMPARED} pictures each with the same",
        "  captions; AUC: probability that a held-out render (nobody in it wears the logo) scores above the picture",
        "",
        "| pictures | mean score | standard deviation | AUC |",
        "|---|---:|---:|---:|",
        f"| held-out renders | {real.mean():.2f} | {real.std():.2f} | |",
    ]
    for name, draw in [("this GAN", generator.generate), *_others(families)]:
        made = discriminator.rate(draw(texts, seeds), texts)
        rows.append(f"| {name} | {made.mean():.2f} | {made.std():.2f} | {auc(real, made):.3f} |")
    return [*rows, ""]


def auc(above: NDArray[Any], below: NDArray[Any]) -> float:
    """Probability that a score of ``above`` (n,) exceeds one of ``below`` (m,), ties half (Mann and Whitney 1947)."""
    ranks, n = rankdata(np.concatenate([above, below])), len(above)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * len(below)))


def _others(families: Sequence[str]) -> Iterator[tuple[str, Draw]]:
    for name in families:
        folder = weights_dir(name)
        if name in _FAMILIES and (folder / "config.json").exists():
            module, kind = _FAMILIES[name]
            yield name, getattr(import_module(module), kind).from_pretrained(folder).generate
        if name == "diffusion" and (folder / "model_index.json").exists():
            yield name, _diffusion(folder)


def _diffusion(folder: Any) -> Draw:
    import diffusers

    loader: Any = diffusers.StableDiffusionPipeline
    pipe = loader.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)

    def draw(prompts: Sequence[str], seeds: Sequence[int]) -> Images:
        made = []
        for start in range(0, len(prompts), 50):
            part = slice(start, start + 50)
            seeded = [torch.Generator().manual_seed(seed) for seed in seeds[part]]
            options = {"num_inference_steps": 25, "guidance_scale": 1.5, "output_type": "np"}
            made.append(pipe(list(prompts[part]), generator=seeded, **options).images)
        levels: Images = (np.concatenate(made) * 255).round().astype(np.uint8)
        return levels

    return draw
