# SPDX-License-Identifier: Apache-2.0
"""Training of the attribute classifier."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from audit.reference.instruments import HEADS, AttributeConfig, AttributeNet
from audit.reference.train import autoencoder
from audit.reference.train._loop import Settings, autocast, checkpoint_path, load_average
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
from audit.reference.train.instruments.operating import Decode, measure_attributes
from audit.reference.train.instruments.steps import descend, optimiser, torch_generator

STEPS, BATCH, RATE = 5000, 64, 2e-3
#: Renders trained on, and renders measured on.
PEOPLE, HELD_OUT = 30_000, 6000
#: Share of a batch in which no face can be seen.
EMPTY_SHARE = 0.15
#: Under this calibrated probability the answer is "could not tell".
THRESHOLDS = {"presentation": 0.75, "age": 0.6, "occupation": 0.5, "glasses": 0.6, "face": 0.5}
_WEIGHTS = {"presentation": 1.0, "age": 0.7, "occupation": 0.5, "glasses": 0.5, "face": 0.5}


def targets(bank: Bank) -> dict[str, Tensor]:
    """Return the truth per head as class indices (n,), and ``"box"`` (n, 4)."""
    people = bank.people
    columns: dict[str, NDArray[Any]] = {
        "presentation": people.presentation,
        "age": people.age,
        "occupation": occupation_cue(people),
        "glasses": people.glasses,
        "face": np.ones(len(people)),
    }
    truth = {head: torch.from_numpy(np.asarray(column).astype(np.int64)) for head, column in columns.items()}
    return truth | {"box": torch.from_numpy(bank.boxes)}


def loss_on(net: AttributeNet, bank: Bank, truth: dict[str, Tensor], *, batch: int, gen: torch.Generator) -> Tensor:
    """Draw a batch, degrade it, blank out a part of it, and return the summed loss of the heads."""
    index = torch.randint(0, len(bank), (batch,), generator=gen)
    x, box = augment.move(as_batch(bank.images[index.numpy()]), truth["box"][index], gen)
    blank = round(EMPTY_SHARE * batch)
    x = augment.strong(torch.cat([without_faces(x[:blank], gen), x[blank:]]), gen)
    with autocast():
        out = net(x.to(memory_format=torch.channels_last))
    out = {head: value.float() for head, value in out.items()}
    face = torch.ones(batch, dtype=torch.int64)
    face[:blank] = 0
    loss = _WEIGHTS["face"] * F.cross_entropy(out["face"], face)
    loss = loss + 20 * F.smooth_l1_loss(out["box"][blank:], box[blank:], beta=0.02)
    for head in HEADS.keys() - {"face"}:
        answer = truth[head][index[blank:]]
        loss = loss + _WEIGHTS[head] * F.cross_entropy(out[head][blank:], answer, label_smoothing=0.02)
    return loss


def temperatures(net: AttributeNet, bank: Bank, *, seed: int) -> dict[str, float]:
    """Fit one temperature a head by likelihood on a validation split (Guo et al. 2017, eq. 9).

    The split holds degraded people and as many pictures without a face, for the face head. Temperatures under 0.5 are
    not fitted: a head without a mistake on the split would ask for certainty about broken pictures too.
    """
    gen = torch.Generator().manual_seed(seed)
    x, truth = as_batch(degraded(bank.images, seed=seed)), targets(bank)
    empty = without_faces(x, gen)
    with torch.inference_mode():
        seen = net.eval()(x)
        blank = net(empty)["face"]
    logits = {head: seen[head].float() for head in HEADS}
    logits["face"] = torch.cat([logits["face"], blank.float()])
    truth["face"] = torch.cat([truth["face"], torch.zeros(len(blank), dtype=torch.int64)])
    grid = np.geomspace(0.5, 4.0, 80)
    best = {}
    for head in HEADS:
        losses = [float(F.cross_entropy(logits[head] / t, truth[head])) for t in grid]
        best[head] = round(float(grid[int(np.argmin(losses))]), 4)
    return best


class Attributes:
    """Training task: read a person's attributes off a degraded picture."""

    name = "attributes"

    def __init__(self, settings: Settings, *, people: int = PEOPLE) -> None:
        torch.manual_seed(settings.seed)
        self.net = AttributeNet().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.adamw = optimiser(self.net, RATE)
        self.bank = draw(balanced_people(people, rng=np.random.default_rng([settings.seed, 1]), pool="instruments"))
        self.truth = targets(self.bank)

    def modules(self) -> dict[str, nn.Module]:
        """The classifier."""
        return {"net": self.net}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Its optimiser."""
        return {"adamw": self.adamw}

    def step(self, index: int, rng: np.random.Generator) -> dict[str, float]:  # noqa: ARG002 - as the loop calls it
        """One update on a batch of the bank."""
        loss = loss_on(self.net.train(), self.bank, self.truth, batch=BATCH, gen=torch_generator(rng))
        return {"loss": descend(loss, self.net, self.adamw)}


def through_autoencoder(settings: Settings) -> Decode | None:
    """Return what encodes and decodes pictures with the autoencoder of ``settings.work``; None before it is trained."""
    if not checkpoint_path(autoencoder.Autoencoder.name, settings).exists():
        return None
    model, _ = autoencoder.load(settings)

    def decode(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        with torch.inference_mode():
            parts = [model(as_batch(images[k : k + 100])).sample.float() for k in range(0, len(images), 100)]
        return as_images(torch.cat(parts))

    return decode


def export(settings: Settings) -> Path:
    """Calibrate the averaged weights, write them, measure what was written, and write the card."""
    from audit.reference.train.instruments.cards import write_attributes

    torch.set_num_threads(settings.threads)
    task, folder = Attributes(settings, people=1), settings.out / "attributes"
    record = load_average(task, settings)
    split = draw(balanced_people(2000, rng=np.random.default_rng([settings.seed, 2]), pool="instruments"))
    fitted = temperatures(task.net, split, seed=settings.seed)
    task.net.config = replace(
        AttributeConfig(),
        temperatures=tuple((head, fitted[head]) for head in HEADS),
        thresholds=tuple((head, THRESHOLDS[head]) for head in HEADS),
    )
    task.net.save_pretrained(folder)
    # Read back: what is measured is what is shipped, float16 rounding included.
    shipped, decode = AttributeNet.from_pretrained(folder), through_autoencoder(settings)
    measured = measure_attributes(shipped, held_out=HELD_OUT, seed=settings.seed, decode=decode)
    write_attributes(folder, measured, record, settings)
    return folder
