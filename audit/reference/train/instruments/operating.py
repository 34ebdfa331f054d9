# SPDX-License-Identifier: Apache-2.0
"""How often the attribute classifier is right: counts on held-out people whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from audit.reference.instruments import COULD_NOT_TELL, HEADS, AttributeNet
from audit.reference.train.instruments import augment
from audit.reference.train.instruments.data import (
    Bank,
    as_batch,
    as_images,
    balanced_people,
    degraded,
    draw,
    occupation_cue,
    without_faces,
)
from audit.reference.world import TONE_BANDS, tone_band
from audit.stats.monk import monk_tone

DEGRADATION = "Gaussian blur of 0.2 to 0.7 pixels, patchy noise up to 3 %, pixel noise up to 1.5 % of the range"
AUTOENCODER = "encoded and decoded by the autoencoder of the reference diffusion model"
Decode: TypeAlias = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


def table(truth: Sequence[str], answers: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    """Count answers by truth.

    Args:
        truth: a name each.
        answers: a name each, or "could not tell".
        names: the possible truths, in order.

    Returns:
        ``{"truth": names, "answers": names + ["could not tell"], "counts": rows by truth}``.
    """
    columns = [*names, COULD_NOT_TELL]
    counts = np.zeros((len(names), len(columns)), dtype=int)
    for t, a in zip(truth, answers, strict=True):
        counts[names.index(t), columns.index(a)] += 1
    return {"truth": list(names), "answers": columns, "counts": counts.tolist()}


def _named(index: NDArray[Any], names: Sequence[str]) -> list[str]:
    return [names[int(k)] for k in index]


def tone_answers(images: NDArray[np.uint8], boxes: NDArray[np.float32]) -> list[str]:
    """Read a Monk tone off each face by its pixels: "1" to "10", or "could not tell"."""
    pairs = zip(images, boxes, strict=True)
    found = [monk_tone(image, (float(a), float(b), float(c), float(d))).tone for image, (a, b, c, d) in pairs]
    return [COULD_NOT_TELL if tone is None else str(tone) for tone in found]


def box_overlap(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    """Intersection over union of the rectangles around two face ellipses, (n, 4) each."""
    low = np.maximum(a[:, :2] - a[:, 2:], b[:, :2] - b[:, 2:])
    high = np.minimum(a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:])
    both = np.prod(np.clip(high - low, 0, None), axis=1, dtype=np.float64)
    whole = 4 * np.prod(a[:, 2:], axis=1, dtype=np.float64) + 4 * np.prod(b[:, 2:], axis=1, dtype=np.float64) - both
    overlap: NDArray[np.float64] = both / whole
    return overlap


def _tables(net: AttributeNet, bank: Bank, images: NDArray[np.uint8]) -> dict[str, Any]:
    """Count answers about ``images``, which are the renders of ``bank`` in some state."""
    seen = net.predict(images)
    said = {head: net.answers(seen, head) for head in HEADS}
    people = bank.people
    truth = {
        "presentation": _named(people.presentation, HEADS["presentation"]),
        "age": _named(people.age, HEADS["age"]),
        "occupation": _named(occupation_cue(people), HEADS["occupation"]),
        "glasses": _named(people.glasses, HEADS["glasses"]),
        "face": [HEADS["face"][1]] * len(people),
    }
    bands = [tone_band(int(tone)) for tone in people.tone]
    tones = tone_answers(images, seen["box"])
    tones = [COULD_NOT_TELL if face != HEADS["face"][1] else t for t, face in zip(tones, said["face"], strict=True)]
    by_band: dict[str, Any] = {}
    for band in TONE_BANDS:
        mine = [k for k, b in enumerate(bands) if b == band]
        by_band[band] = table(
            [truth["presentation"][k] for k in mine], [said["presentation"][k] for k in mine], HEADS["presentation"]
        )
    overlap = box_overlap(bank.boxes, seen["box"])
    return {
        **{head: table(truth[head], said[head], HEADS[head]) for head in truth},
        "tone": table([str(t) for t in people.tone], tones, [str(t) for t in range(1, 11)]),
        "tone_band": table(bands, [t if t == COULD_NOT_TELL else tone_band(int(t)) for t in tones], list(TONE_BANDS)),
        "presentation_by_tone_band": by_band,
        "box_overlap": {
            "n": len(people),
            "mean": float(overlap.mean()),
            "5th_percentile": float(np.quantile(overlap, 0.05)),
        },
    }


def measure_attributes(net: AttributeNet, *, held_out: int, seed: int, decode: Decode | None = None) -> dict[str, Any]:
    """Measure the classifier, and the pixel method for tone on its boxes, on held-out people.

    Args:
        net: the classifier as shipped.
        held_out: number of renders, balanced over presentation, tone, age and occupation.
        seed: of people and degradation.
        decode: sends pictures through the autoencoder of the reference diffusion model, where there is one.

    Returns:
        The content of ``operating.json``: a table (see `table`) for each attribute and what it was measured on; under
        ``"after_autoencoder"`` the same for pictures that went through ``decode``.
    """
    bank = draw(balanced_people(held_out, rng=np.random.default_rng([seed, 9]), pool="heldout"))
    on = {
        "n": held_out,
        "what": "renders of people whom neither instruments nor generators saw",
        "pool": "heldout",
        "seed": seed,
        "balanced_over": ["presentation", "tone", "age", "occupation"],
    }
    measured = {
        "measured_on": on | {"degradation": DEGRADATION},
        **_tables(net, bank, degraded(bank.images, seed=seed)),
    }
    empty = net.answers(net.predict(_without_faces(bank, seed=seed)), "face")
    no = HEADS["face"].index("no face")
    measured["face"]["counts"][no] = table(["no face"] * len(empty), empty, HEADS["face"])["counts"][no]
    if decode is not None:
        decoded = {"measured_on": on | {"degradation": AUTOENCODER}, **_tables(net, bank, decode(bank.images))}
        measured["after_autoencoder"] = decoded
    return measured


def _without_faces(bank: Bank, *, seed: int) -> NDArray[np.uint8]:
    gen = torch.Generator().manual_seed(seed)
    return as_images(augment.mild(without_faces(as_batch(bank.images[:2000]), gen), gen))
