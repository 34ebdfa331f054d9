# SPDX-License-Identifier: Apache-2.0
"""Training of the face embedder: margin softmax over identities, with the proportions as a second task."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audit.reference.instruments import AttributeNet, FaceEmbedder, crop_faces
from audit.reference.train._loop import Settings, autocast, load_average
from audit.reference.train.instruments import augment
from audit.reference.train.instruments.data import Bank, as_batch, draw, repeated_people
from audit.reference.train.instruments.steps import descend, optimiser, torch_generator

STEPS, BATCH, RATE = 3500, 64, 2e-3
#: People trained on, and renders measured on.
IDENTITIES, HELD_OUT = 3000, 4000
#: Pictures of each identity in the bank.
PICTURES_EACH = 12
#: CosFace (Wang et al. 2018, eq. 4): scale and margin of the softmax over identities.
SCALE, MARGIN = 24.0, 0.2
_PROPORTIONS_WEIGHT = 4.0


class Lesson(nn.Module):
    """The embedder with what only training needs: one centre an identity, and a reading of the proportions."""

    def __init__(self, identities: int, proportions: int) -> None:
        super().__init__()
        self.embedder = FaceEmbedder()
        self.centres = nn.Parameter(torch.randn(identities, self.embedder.config.dimensions) * 0.05)
        self.proportions = nn.Linear(self.embedder.config.dimensions, proportions)

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Map crops (n, 3, s, s) to cosines with the centres (n, identities) and proportions (n, k)."""
        z = F.normalize(self.embedder(crops).float(), dim=1)
        # The proportions are read off the unit vector, so they have to be *in* what is compared.
        return z @ F.normalize(self.centres, dim=1).T, self.proportions(z * SCALE / 4)


def jittered(boxes: Tensor, gen: torch.Generator) -> Tensor:
    """Move and scale boxes (n, 4) by as much as a predicted box is off."""
    n, radius = len(boxes), boxes[:, 2:].amax(1, keepdim=True)
    centre = boxes[:, :2] + radius * (torch.rand(n, 2, generator=gen) - 0.5) * 0.16
    return torch.cat([centre, boxes[:, 2:] * augment.uniform(n, 0.92, 1.09, gen)[:, None]], 1)


def margin_loss(cosines: Tensor, who: Tensor, margin: float) -> Tensor:
    """CosFace: cross-entropy of scaled cosines, the right one lowered by the margin."""
    lowered = cosines - margin * F.one_hot(who, cosines.shape[1])
    return F.cross_entropy(SCALE * lowered, who)


def loss_on(lesson: Lesson, bank: Bank, facts: Tensor, *, batch: int, gen: torch.Generator) -> Tensor:
    """Draw a batch of degraded crops and return the loss."""
    index = torch.randint(0, len(bank), (batch,), generator=gen)
    x = augment.strong(as_batch(bank.images[index.numpy()]), gen)
    box = jittered(torch.from_numpy(bank.boxes)[index], gen)
    config = lesson.embedder.config
    crops = crop_faces(x, box, size=config.size, margin=config.margin)
    flip = torch.rand(batch, generator=gen) < 0.5
    crops = torch.where(flip[:, None, None, None], crops.flip(3), crops)
    with autocast():
        cosines, read = lesson(crops.to(memory_format=torch.channels_last))
    known = F.mse_loss(read.float(), facts[index])
    return margin_loss(cosines.float(), index // PICTURES_EACH, MARGIN) + _PROPORTIONS_WEIGHT * known


class Faces:
    """Training task: tell people apart by their faces."""

    name = "faces"

    def __init__(self, settings: Settings, *, pictures: int = PICTURES_EACH) -> None:
        torch.manual_seed(settings.seed)
        rng = np.random.default_rng([settings.seed, 3])
        self.bank = draw(repeated_people(IDENTITIES if pictures else 1, max(pictures, 1), rng=rng, pool="instruments"))
        people = self.bank.people
        facts = np.concatenate([(people.identity - 0.5) * 3, (people.tone[:, None] - 5.5) / 3], axis=1)
        self.facts = torch.from_numpy(facts.astype(np.float32))
        self.lesson = Lesson(IDENTITIES, facts.shape[1]).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.adamw = optimiser(self.lesson, RATE)

    def modules(self) -> dict[str, nn.Module]:
        """The embedder with its centres."""
        return {"lesson": self.lesson}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Its optimiser."""
        return {"adamw": self.adamw}

    def step(self, index: int, rng: np.random.Generator) -> dict[str, float]:  # noqa: ARG002 - as the loop calls it
        """One update on a batch of the bank."""
        loss = loss_on(self.lesson.train(), self.bank, self.facts, batch=BATCH, gen=torch_generator(rng))
        return {"loss": descend(loss, self.lesson, self.adamw)}


def export(settings: Settings) -> Path:
    """Write the averaged embedder, measure what was written (boxes by the classifier beside it), write the card."""
    from audit.reference.train.instruments.cards import write_faces
    from audit.reference.train.instruments.operating_faces import measure_faces

    torch.set_num_threads(settings.threads)
    task, folder = Faces(settings, pictures=0), settings.out / "faces"
    record = load_average(task, settings)
    task.lesson.embedder.save_pretrained(folder)
    classifier = AttributeNet.from_pretrained(settings.out / "attributes")
    measured = measure_faces(FaceEmbedder.from_pretrained(folder), classifier, held_out=HELD_OUT, seed=settings.seed)
    write_faces(folder, measured, record, settings)
    return folder
