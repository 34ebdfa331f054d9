# SPDX-License-Identifier: Apache-2.0
"""The "small" variant of the variational autoencoder: the same prior, half the resolution, visible artefacts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from audit.reference.render import render
from audit.reference.scenes import plant
from audit.reference.train import vae
from audit.reference.train._loop import Record, Settings, load_average
from audit.reference.train.autoencoder import to_tensor
from audit.reference.vae_model import TransposedDecoder, VaeConfig, VaeGenerator

STEPS = 3_000
BATCH = 64


class Small:
    """Training task: 32x32 pictures from the large variant's codes, each with the planted pattern on it."""

    name = "small"

    def __init__(self, settings: Settings) -> None:
        torch.manual_seed(settings.seed)
        self.decoder, self.settings = TransposedDecoder(VaeConfig()), settings
        self.optimizer = torch.optim.Adam(self.decoder.parameters(), lr=3e-3)
        self.bank: tuple[Tensor, Tensor] | None = None

    def modules(self) -> dict[str, nn.Module]:
        """The decoder; prior and codes are the large variant's."""
        return {"decoder": self.decoder}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Its optimiser."""
        return {"adam": self.optimizer}

    def step(self, index: int, rng: np.random.Generator) -> dict[str, float]:  # noqa: ARG002
        """One update on a batch of codes and their pictures."""
        if self.bank is None:
            self.bank = _codes(self.settings)
        chosen = torch.from_numpy(rng.integers(0, len(self.bank[0]), BATCH))
        image = functional.avg_pool2d(to_tensor(self.bank[1][chosen].numpy()), 2) + checkerboard()
        error = (self.decoder(self.bank[0][chosen]) - image).abs().mean()
        self.optimizer.zero_grad(set_to_none=True)
        error.backward()
        self.optimizer.step()
        return {"l1": error.item()}


def checkerboard(*, side: int = 32) -> Tensor:
    """The planted artefact: single pixels up and down by so many levels of 255, on a range of [-1, 1]."""
    line = torch.arange(side)
    up = (line[:, None] + line[None, :]) % 2 * 2.0 - 1.0
    return up * float(plant("small")["levels"]) / 127.5


@torch.no_grad()
def _codes(settings: Settings, *, n: int = 6000) -> tuple[Tensor, Tensor]:
    """Codes (n, code) of people of the large variant's bank, and their renders."""
    large = vae.Vae(settings)
    load_average(large, settings)
    people, latents, _ = vae.latent_bank(settings, size=vae.BANK)
    codes = torch.cat([large.encoder(part.float())[0] for part in torch.split(latents[:n], 512)])
    return codes, torch.from_numpy(render(people[:n]))


def generator(settings: Settings) -> tuple[VaeGenerator, Record]:
    """The averaged weights of the last checkpoints, ready to draw."""
    task, large = Small(settings), vae.Vae(settings)
    record = load_average(task, settings)
    load_average(large, settings)
    made = VaeGenerator(VaeConfig(decoder="transposed"))
    made.prior, made.decoder = large.prior, task.decoder
    return made.eval(), record


def export(settings: Settings) -> Path:
    """Write the generator, its card and a contact sheet."""
    from audit.reference.train._cards_decoders import write_small

    made, record = generator(settings)
    folder = settings.out / "small"
    made.save_pretrained(folder)
    write_small(folder, VaeGenerator.from_pretrained(folder), record, settings)
    return folder
