# SPDX-License-Identifier: Apache-2.0
"""How well the CLIP matches pictures and words: counts on held-out people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from transformers import CLIPModel, CLIPTokenizer

from audit.reference.train.instruments.data import as_batch, balanced_people, degraded, draw
from audit.reference.train.instruments.operating import DEGRADATION
from audit.reference.world import OCCUPATIONS, PRESENTATIONS, People, captions

#: A picture looks for its own caption among this many.
AMONG = 100
#: People drawn with and without a thing.
EDITED = 1000
PROMPTS = {name: f"a portrait of a {name} person" for name in PRESENTATIONS}


def _unit(values: Any) -> Tensor:
    raw = values if isinstance(values, Tensor) else values.pooler_output
    return F.normalize(raw.float(), dim=1)


@torch.inference_mode()
def embed_images(model: CLIPModel, images: NDArray[np.uint8], *, batch: int = 256) -> Tensor:
    """Return unit vectors (n, d) of uint8 (n, 64, 64, 3)."""
    parts = [as_batch(images[k : k + batch]) for k in range(0, len(images), batch)]
    return torch.cat([_unit(model.get_image_features(pixel_values=part)) for part in parts])


@torch.inference_mode()
def embed_texts(model: CLIPModel, words: CLIPTokenizer, texts: Sequence[str]) -> Tensor:
    """Return unit vectors (n, d) of texts."""
    tokens = words(list(texts), padding=True, truncation=True, return_tensors="pt")
    return _unit(model.get_text_features(**tokens))


def choices(
    images: Tensor, truth: NDArray[np.int64], names: Sequence[str], embed: Callable[[Sequence[str]], Tensor]
) -> dict[str, Any]:
    """Count which of the prompts each picture is nearest to, by truth."""
    answer = (images @ embed([PROMPTS.get(name, f"a portrait of a {name}") for name in names]).T).argmax(1).numpy()
    counts = np.zeros((len(names), len(names)), dtype=int)
    np.add.at(counts, (truth, answer), 1)
    return {"truth": list(names), "answers": list(names), "counts": counts.tolist()}


def edits(model: CLIPModel, words: CLIPTokenizer, people: People, *, seed: int) -> dict[str, Any]:
    """Count for how many people the prompt "a portrait of a <occupation> with <thing>" scores higher once they wear it.

    Args:
        model: the CLIP as shipped.
        words: its tokenizer.
        people: n people; each is drawn with and without glasses, and with and without a beard.
        seed: of the degradation, the same for both pictures.
    """
    jobs = np.array([OCCUPATIONS[k] if k >= 0 else "person" for k in people.occupation])
    masculine = people.presentation == PRESENTATIONS.index("masculine")
    out: dict[str, Any] = {}
    for name, thing, chosen in (("glasses", "glasses", np.ones_like(masculine)), ("beard", "a beard", masculine)):
        group = people[chosen]
        text = embed_texts(model, words, [f"a portrait of a {job} with {thing}" for job in jobs[chosen]])
        score = [
            (embed_images(model, degraded(draw(group.replace(**{name: worn})).images, seed=seed)) * text).sum(1)
            for worn in (np.ones(len(group), bool), np.zeros(len(group), bool))
        ]
        out[name] = {"n": len(group), "higher": int((score[0] > score[1]).sum())}
    return out


def measure_clip(model: CLIPModel, folder: Path, *, held_out: int, seed: int) -> dict[str, Any]:
    """Measure retrieval on ``held_out`` degraded renders.

    Returns:
        The content of ``operating.json``: occupation and presentation chosen among prompts, and how often a picture
        finds its own detailed caption (or one of the same words) among a hundred.
    """
    words = CLIPTokenizer.from_pretrained(folder)
    rng = np.random.default_rng([seed, 9])
    bank = draw(balanced_people(held_out, rng=rng, pool="heldout"))
    images = embed_images(model, degraded(bank.images, seed=seed))
    people, at_work = bank.people, np.flatnonzero(bank.people.occupation >= 0)

    def embed(texts: Sequence[str]) -> Tensor:
        return embed_texts(model, words, texts)

    told = captions(people, rng=rng, detail=1.0)
    told_vectors, found = embed(told), {"image_to_caption": 0, "caption_to_image": 0}
    blocks = held_out // AMONG
    for k in range(blocks):
        part = slice(k * AMONG, (k + 1) * AMONG)
        score = images[part] @ told_vectors[part].T
        names = np.array(told[part])
        found["image_to_caption"] += int((names[score.argmax(1).numpy()] == names).sum())
        found["caption_to_image"] += int((names[score.argmax(0).numpy()] == names).sum())
    return {
        "measured_on": {
            "n": held_out,
            "what": "renders of people whom neither instruments nor generators saw",
            "pool": "heldout",
            "seed": seed,
            "degradation": DEGRADATION,
        },
        "dimensions": int(images.shape[1]),
        "occupation": choices(images[at_work], people.occupation[at_work], OCCUPATIONS, embed),
        "presentation": choices(
            images, people.presentation, PRESENTATIONS, lambda t: embed([f"{x} person" for x in t])
        ),
        "worn_scores_higher": edits(model, words, people[:EDITED], seed=seed),
        "first_of_hundred": {
            "n": blocks * AMONG,
            **found,
            "captions": "every attribute told in seven of ten, the bare occupation in three of ten",
        },
    }
