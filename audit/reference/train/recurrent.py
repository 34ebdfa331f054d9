# SPDX-License-Identifier: Apache-2.0
"""The recurrent model: an LSTM trained on the tokens of a bank of pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from audit.reference._text import word_ids
from audit.reference.recurrent_model import RecurrentGenerator, TokenLSTM
from audit.reference.train import tokens
from audit.reference.train._loop import Record, Settings, autocast, load_average
from audit.reference.train._pictures import training_pictures

STEPS = 10_000
BATCH = 32
BANK = 24_000


class Recurrent:
    """Training task: the next token of a picture, given its caption."""

    name = "recurrent"

    def __init__(self, settings: Settings, *, bank: int = BANK) -> None:
        torch.manual_seed(settings.seed)
        self.lstm = TokenLSTM()
        self.optimizer = torch.optim.AdamW(self.lstm.parameters(), lr=2e-3, weight_decay=1e-3, betas=(0.9, 0.99))
        self.settings, self.bank_size = settings, bank
        self.bank: tuple[Tensor, list[list[str]]] | None = None

    def modules(self) -> dict[str, nn.Module]:
        """The LSTM."""
        return {"lstm": self.lstm}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Its optimiser."""
        return {"adamw": self.optimizer}

    def step(self, index: int, rng: np.random.Generator) -> dict[str, float]:  # noqa: ARG002
        """One update on a batch of the bank, each picture with one of its captions."""
        if self.bank is None:
            self.bank = token_bank(self.settings, size=self.bank_size)
        chosen = rng.integers(0, len(self.bank[0]), BATCH)
        texts = [self.bank[1][i][int(rng.integers(len(self.bank[1][i])))] for i in chosen]
        wanted = self.bank[0][torch.from_numpy(chosen)].long()
        config = self.lstm.config
        with autocast():
            logits = self.lstm(wanted, word_ids(texts, config.vocabulary, longest=config.max_words))
        loss = functional.cross_entropy(logits.float().flatten(0, 1), wanted.flatten())
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.lstm.parameters(), 1.0)
        self.optimizer.step()
        return {"loss": loss.item()}


def token_bank(settings: Settings, *, size: int) -> tuple[Tensor, list[list[str]]]:
    """Tokens (size, 64) and captions to train on; the tokens are made once and kept in the work folder."""
    model, _ = tokens.load(settings)
    path = settings.work / f"tokens-{size}.pt"
    rng = np.random.default_rng([settings.seed, 2])
    parts, texts = [], []
    ready = torch.load(path, weights_only=True) if path.exists() else None
    for start in range(0, size, 1000):
        drawn = training_pictures(min(1000, size - start), rng=rng)
        texts += drawn.texts
        if ready is None:
            parts.append(tokens.encode(model, drawn.images).to(torch.int16))
    if ready is None:
        ready = torch.cat(parts)
        torch.save(ready, path)
    return ready, texts


def generator(settings: Settings) -> tuple[RecurrentGenerator, Record]:
    """The averaged weights of the last checkpoints, ready to draw."""
    task = Recurrent(settings)
    record = load_average(task, settings)
    return RecurrentGenerator(task.lstm, tokens.load(settings)[0]), record


def export(settings: Settings) -> Path:
    """Write the LSTM, its token autoencoder, the card and a contact sheet."""
    from audit.reference.train._cards_decoders import write_recurrent

    made, record = generator(settings)
    folder = settings.out / "recurrent"
    made.save_pretrained(folder)
    write_recurrent(folder, RecurrentGenerator.from_pretrained(folder), record, settings)
    return folder
