# SPDX-License-Identifier: Apache-2.0
"""What one optimiser step of every instrument needs."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn


def optimiser(module: nn.Module, rate: float, *, decay: float = 0.02) -> torch.optim.AdamW:
    """AdamW with weight decay on matrices and kernels, none on gains and biases."""
    matrices = [p for p in module.parameters() if p.ndim > 1]
    others = [p for p in module.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98))


def descend(loss: Tensor, module: nn.Module, adamw: torch.optim.Optimizer) -> float:
    """Do one step down the gradient of ``loss`` and return its value."""
    adamw.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(module.parameters(), 5.0)
    adamw.step()
    return float(loss.detach())


def torch_generator(rng: np.random.Generator) -> torch.Generator:
    """Return a torch generator whose seed is drawn from ``rng``."""
    return torch.Generator().manual_seed(int(rng.integers(2**62)))
