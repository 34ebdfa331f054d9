# SPDX-License-Identifier: Apache-2.0
"""The variational autoencoder: code, decoder and text-conditioned prior trained together on a bank of latents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from audit.reference._text import word_ids
from audit.reference.people import People, sample_people
from audit.reference.prompts import captions
from audit.reference.render import render
from audit.reference.train import autoencoder
from audit.reference.train._loop import Record, Settings, autocast, load_average
from audit.reference.vae_model import LatentDecoder, Prior, VaeConfig, VaeGenerator, image_decoder

STEPS = 9_000
BATCH = 64
BANK = 24_000
#: Weight of what a code costs (in nats) against the redrawing error; small, for sharp pictures.
_RATE = 2e-4


class Encoder(nn.Module):
    """Latents (n, c, 8, 8) to mean and log variance (n, code) of the code."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(config.latents, 96, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(96, 96, 3, padding=1),
            nn.GroupNorm(8, 96),
            nn.SiLU(),
            nn.Conv2d(96, 128, 4, stride=2, padding=1),
            nn.GroupNorm(8, 128),
            nn.SiLU(),
            nn.Conv2d(128, 128, 3, padding=1),
            nn.GroupNorm(8, 128),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(128 * 16, 2 * config.code),
        )

    def forward(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Encode."""
        mean, logvar = self.body(latents).float().chunk(2, dim=1)
        return mean, logvar.clamp(-9.0, 3.0)


class Vae:
    """Training task: redraw latents from a code that the prior finds likely for the caption."""

    name = "vae"

    def __init__(self, settings: Settings, *, bank: int = BANK) -> None:
        torch.manual_seed(settings.seed)
        config = VaeConfig()
        self.encoder, self.decoder, self.prior = Encoder(config), LatentDecoder(config), Prior(config)
        weights = [p for module in self.modules().values() for p in module.parameters()]
        self.optimizer = torch.optim.AdamW(weights, lr=1.5e-3, weight_decay=1e-3, betas=(0.9, 0.99))
        self.config, self.settings, self.bank_size = config, settings, bank
        self.bank: tuple[People, Tensor, Tensor] | None = None

    def modules(self) -> dict[str, nn.Module]:
        """Encoder, decoder and prior."""
        return {"encoder": self.encoder, "decoder": self.decoder, "prior": self.prior}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One for all."""
        return {"adamw": self.optimizer}

    def step(self, index: int, rng: np.random.Generator) -> dict[str, float]:  # noqa: ARG002
        """One update on a batch of the bank, with captions worded anew."""
        if self.bank is None:
            self.bank = latent_bank(self.settings, size=self.bank_size)
        people, latents, matters = self.bank
        chosen = rng.integers(0, len(people), BATCH)
        wanted = latents[torch.from_numpy(chosen)].float()
        ids = word_ids(captions(people[chosen], rng=rng), self.config.vocabulary, longest=self.config.max_words)
        with autocast():
            mean, logvar = self.encoder(wanted)
            noise = torch.randn_like(mean)
            code = mean + noise * (0.5 * logvar).exp()
            redrawn = self.decoder(code).float()
        error = ((redrawn - wanted).square() * matters).mean()
        # Cost of the code: log density under the encoder less that under the prior (Kingma and Welling 2014, eq. 3).
        rate = (-0.5 * (noise.square() + logvar).sum(1) - self.prior.log_density(code, ids)).mean()
        loss = error + _RATE * rate
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.optimizer.param_groups[0]["params"], 1.0)
        self.optimizer.step()
        return {"error": error.item(), "rate": rate.item()}


def latent_bank(settings: Settings, *, size: int) -> tuple[People, Tensor, Tensor]:
    """People (no logos, no names), their latents (size, 8, 8, 8), and how much each latent matters for the picture."""
    rng = np.random.default_rng([settings.seed, 3])
    people = sample_people(size, rng=rng, occupation_index=rng.integers(-1, 8, size), logo=False)
    path = settings.work / f"vae-latents-{size}.pt"
    if path.exists():
        stored = torch.load(path, weights_only=True)
        return people, stored["latents"], stored["matters"]
    model, _ = autoencoder.load(settings)
    parts = [autoencoder.encode(model, render(people[start : start + 512])) for start in range(0, size, 512)]
    stored = {"latents": torch.cat(parts).half(), "matters": importance(model, people[:24], torch.cat(parts)[:24])}
    torch.save(stored, path)
    return people, stored["latents"], stored["matters"]


@torch.no_grad()
def importance(model: Any, people: People, latents: Tensor) -> Tensor:
    """Mean squared change of the picture, faces counting more, when one latent (c, 8, 8) moves; mean one."""
    weight = autoencoder.face_weight(people)
    before = model.decode(latents).sample
    matters = torch.zeros(latents[0].numel())
    for k in range(len(matters)):
        moved = latents.clone(memory_format=torch.contiguous_format)
        moved.view(len(moved), -1)[:, k] += 0.5
        matters[k] = ((model.decode(moved).sample - before).square() * weight).mean()
    return (matters / matters.mean()).view(latents.shape[1:])


def generator(settings: Settings) -> tuple[VaeGenerator, Record]:
    """The averaged weights of the last checkpoints, ready to draw."""
    task = Vae(settings)
    record = load_average(task, settings)
    made = VaeGenerator(task.config)
    image, _ = autoencoder.load(settings)
    pixels: Any = image_decoder(task.config.latents)
    pixels[0].load_state_dict(image.post_quant_conv.state_dict())
    pixels[1].load_state_dict(image.decoder.state_dict())
    made.prior, made.decoder = task.prior, nn.Sequential(task.decoder, pixels)
    return made.eval(), record


def export(settings: Settings) -> Path:
    """Write the generator, its card and a contact sheet."""
    from audit.reference.train._cards_decoders import write_vae

    made, record = generator(settings)
    folder = settings.out / "vae"
    made.save_pretrained(folder)
    write_vae(folder, VaeGenerator.from_pretrained(folder), record, settings)
    return folder
