# SPDX-License-Identifier: Apache-2.0
"""What the small text-conditioned decoders share: prompts to word ids, and drawing in lanes of one width."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audit.reference.prompts import words

#: Ids of padding and of words outside the vocabulary; the vocabulary starts behind them.
PAD, UNKNOWN, SPECIAL = 0, 1, 2
LANE = 16


def word_ids(prompts: Sequence[str], vocabulary: Sequence[str], *, longest: int) -> Tensor:
    """Ids (n, longest) of prompts, cut or padded."""
    ids = {word: k + SPECIAL for k, word in enumerate(vocabulary)}
    out = torch.full((len(prompts), longest), PAD, dtype=torch.long)
    for row, prompt in zip(out, prompts, strict=True):
        found = [ids.get(word, UNKNOWN) for word in words(prompt)][:longest]
        row[: len(found)] = torch.tensor(found, dtype=torch.long)
    return out


@torch.inference_mode()
def in_lanes(
    draw: Callable[[Sequence[str], Tensor], Tensor], prompts: Sequence[str], noise: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Draw pictures ``LANE`` at a time, the last lane filled up, so that no picture depends on the size of its batch.

    Args:
        draw: prompts and noise (LANE, k) to pictures (LANE, 3, h, w) in [-1, 1].
        prompts: n texts.
        noise: float32 (n, k).

    Returns:
        (n, h, w, 3) RGB levels.
    """
    parts = []
    for start in range(0, len(prompts), LANE):
        index = np.minimum(np.arange(start, start + LANE), len(prompts) - 1)
        image = draw([prompts[i] for i in index], torch.from_numpy(noise[index]))
        levels = image.add(1).mul(127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1)
        parts.append(levels[: len(prompts) - start].numpy())
    return np.concatenate(parts)
