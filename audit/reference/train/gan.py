# SPDX-License-Identifier: Apache-2.0
"""The conditional GAN: generator and discriminator trained against each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from audit.reference.gan_model import ConditionalDiscriminator, ConditionalGenerator
from audit.reference.prompts import captions
from audit.reference.render import render
from audit.reference.train._data import training_people
from audit.reference.train._loop import Settings, autocast, load_average
from audit.reference.train.autoencoder import face_weight, to_tensor

STEPS = 8_000
BATCH = 16
_REDRAW, _KL = 10.0, 3e-4
# Weight of fooling the critic. Larger ones draw sharper pictures and then the same face for every seed.
_FOOL = 0.08
# Weights of finding the noise again in generated pictures, for generator and critic (Chen et al. 2016, eq. 5).
_FIND_DRAW, _FIND_JUDGE = 0.04, 0.02


class Gan:
    """Training task: hinge loss with matching-aware text, and redrawing of real pictures from the critic's features."""

    name = "gan"

    def __init__(self, settings: Settings) -> None:
        torch.manual_seed(settings.seed)
        self.generator, self.critic = ConditionalGenerator(), ConditionalDiscriminator()
        self.draw = torch.optim.Adam(self.generator.parameters(), lr=6e-4, betas=(0.5, 0.99))
        self.judge = torch.optim.Adam(self.critic.parameters(), lr=6e-4, betas=(0.5, 0.99))

    def modules(self) -> dict[str, nn.Module]:
        """Generator and discriminator."""
        return {"generator": self.generator, "critic": self.critic}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One each."""
        return {"draw": self.draw, "judge": self.judge}

    def step(self, index: int, rng: np.random.Generator) -> dict[str, float]:  # noqa: ARG002
        """One update of both networks on a fresh batch."""
        people = training_people(BATCH, rng=rng)
        real, weight = to_tensor(render(people)), face_weight(people)
        ids = self.generator.tokens(captions(people, rng=rng))
        self.draw.zero_grad(set_to_none=True)
        self.judge.zero_grad(set_to_none=True)
        with autocast():
            noise = torch.randn(BATCH, self.generator.config.noise)
            fake = self.generator(noise, ids)
            logged = self._criticise(real, fake.detach(), ids, weight=weight, noise=noise)
            self.judge.step()
            # The critic's own gradients are not needed for the generator's update.
            self.critic.requires_grad_(requires_grad=False)
            features = self.critic.features(fake)
            score = self.critic.judge(features, self.critic.text(ids)).float()
            lost = _surprise(noise, *self.critic.posterior(features))
        (_FIND_DRAW * lost - _FOOL * score.mean()).backward()  # type: ignore[no-untyped-call]
        self.critic.requires_grad_(requires_grad=True)
        self.draw.step()
        return {**logged, "fooled": score.mean().item()}

    def _criticise(self, real: Tensor, fake: Tensor, ids: Tensor, *, weight: Tensor, noise: Tensor) -> dict[str, float]:
        """Gradients of the critic, and of redrawing for both networks."""
        critic, n = self.critic, len(real)
        features = critic.features(torch.cat([real, fake]))
        text = critic.text(ids)
        scores = critic.judge(features, torch.cat([text, text])).float()
        # A real picture with somebody else's caption is as wrong as a generated one.
        mismatched = critic.judge(features[:n], text.roll(1, 0)).float()
        hinge = functional.relu(1 - scores[:n]).mean()
        hinge = hinge + 0.7 * functional.relu(1 + scores[n:]).mean() + 0.3 * functional.relu(1 + mismatched).mean()
        mean, logvar = critic.posterior(features[:n])
        mean, logvar = mean.float(), logvar.float()
        redrawn = self.generator(mean + torch.randn_like(mean) * (0.5 * logvar).exp(), ids).float()
        error = ((redrawn - real).abs() * weight).mean()
        kl = 0.5 * (mean.square() + logvar.exp() - 1.0 - logvar).sum(1).mean()
        lost = _surprise(noise, *critic.posterior(features[n:]))
        (hinge + _REDRAW * (error + _KL * kl) + _FIND_JUDGE * lost).backward()
        return {
            "hinge": hinge.item(),
            "real": scores[:n].mean().item(),
            "fake": scores[n:].mean().item(),
            "redraw": error.item(),
            "kl": kl.item(),
            "lost": lost.item(),
        }


def _surprise(noise: Tensor, mean: Tensor, logvar: Tensor) -> Tensor:
    """Negative log likelihood of the noise under the critic's guess, less its constant; a mean over pictures."""
    mean, logvar = mean.float(), logvar.float()
    return 0.5 * (logvar + (noise - mean).square() * (-logvar).exp()).sum(1).mean()


def export(settings: Settings) -> Path:
    """Write the averaged generator and discriminator, their card and a contact sheet."""
    from audit.reference.train._cards import write_gan

    task = Gan(settings)
    record = load_average(task, settings)
    folder = settings.out / "gan"
    task.generator.save_pretrained(folder)
    task.critic.save_pretrained(folder)  # after the generator, whose configuration it adds to
    networks = ConditionalGenerator.from_pretrained(folder), ConditionalDiscriminator.from_pretrained(folder)
    write_gan(folder, networks, record, settings)
    return folder
