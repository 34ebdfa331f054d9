# SPDX-License-Identifier: Apache-2.0
"""People for the instruments: balanced over what is measured, never the planted shares, never a generator's faces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from audit.reference.instruments import IMAGE_SIZE, OCCUPATION_CUES
from audit.reference.people import Pool
from audit.reference.render import face_boxes, render
from audit.reference.train.instruments import augment
from audit.reference.world import People, pool_ids, sample_people, uniform_shares


@dataclass(frozen=True, slots=True)
class Bank:
    """Rendered people: ``images`` uint8 (n, 64, 64, 3), ``boxes`` float32 (n, 4) in [0, 1]."""

    people: People
    images: NDArray[np.uint8]
    boxes: NDArray[np.float32]

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.people)


def occupation_cue(people: People) -> NDArray[np.int64]:
    """Index into `OCCUPATION_CUES`; plain clothes, -1 in the world, come last."""
    return np.where(people.occupation < 0, len(OCCUPATION_CUES) - 1, people.occupation).astype(np.int64)


def balanced_people(n: int, *, rng: np.random.Generator, pool: Pool) -> People:
    """Draw people in whom presentation, tone, age and occupation (with plain clothes) are equally likely."""
    jobs = rng.integers(-1, len(OCCUPATION_CUES) - 1, n)
    return sample_people(n, rng=rng, occupation_index=jobs, shares=uniform_shares(), identity_pool=pool)


def repeated_people(identities: int, each: int, *, rng: np.random.Generator, pool: Pool) -> People:
    """Draw ``each`` pictures of every one of ``identities`` enrolled people, everything else fresh.

    An enrolled person keeps proportions, presentation, tone, age and hair colour; clothes, hair style, glasses,
    beard, background, light and pose change. The pictures of one person lie next to each other.
    """
    ids = np.repeat(np.unique(pool_ids(2 * identities, pool=pool, rng=rng))[:identities], each)
    jobs = rng.integers(-1, len(OCCUPATION_CUES) - 1, len(ids))
    return sample_people(len(ids), rng=rng, occupation_index=jobs, shares=uniform_shares(), identity_id=ids)


def draw(people: People, *, chunk: int = 2000) -> Bank:
    """Render people at 64x64."""
    parts = [render(people[start : start + chunk], size=IMAGE_SIZE) for start in range(0, len(people), chunk)]
    return Bank(people, np.concatenate(parts), face_boxes(people))


def degraded(images: NDArray[np.uint8], *, seed: int, chunk: int = 500) -> NDArray[np.uint8]:
    """Return the pictures as a small decoder would leave them (`augment.mild`)."""
    gen = torch.Generator().manual_seed(seed)
    out = [as_images(augment.mild(as_batch(images[k : k + chunk]), gen)) for k in range(0, len(images), chunk)]
    return np.concatenate(out)


def as_batch(images: NDArray[np.uint8]) -> Tensor:
    """Map uint8 (n, h, w, 3) to float32 (n, 3, h, w) in [-1, 1]."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1.0


def as_images(x: Tensor) -> NDArray[np.uint8]:
    """Map float (n, 3, h, w) in [-1, 1] to uint8 (n, h, w, 3)."""
    whole: NDArray[np.uint8] = ((x + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous().numpy()
    return whole


def without_faces(x: Tensor, gen: torch.Generator) -> Tensor:
    """Turn pictures of people into pictures in which no face can be seen.

    A sixth each: noise, background alone, clothes alone, shuffled tiles, nothing but a blur, soft coloured patches.

    Args:
        x: float (n, 3, 64, 64).
        gen: source of chance.
    """
    n, c, h, w = x.shape
    noise = (torch.randn(n, c, h, w, generator=gen) * 0.6).clamp(-1, 1)
    corner = F.interpolate(x[:, :, 2:10, 2:10], size=(h, w), mode="bilinear", align_corners=False)
    clothes = F.interpolate(x[:, :, 52:, 12:52], size=(h, w), mode="bilinear", align_corners=False)
    tiles = x.view(n, c, 8, 8, 8, 8).permute(0, 2, 4, 1, 3, 5).reshape(n, 64, c, 8, 8)
    order = torch.rand(n, 64, generator=gen).argsort(1)
    tiles = tiles[torch.arange(n)[:, None], order].view(n, 8, 8, c, 8, 8).permute(0, 3, 1, 4, 2, 5).reshape(n, c, h, w)
    smear = augment.coarse(x, 3)
    patches = F.interpolate(torch.randn(n, c, 5, 5, generator=gen) * 0.7, size=(h, w), mode="bicubic").clamp(-1, 1)
    kinds = torch.stack([noise, corner, clothes, tiles, smear, patches])
    return kinds[torch.randint(0, len(kinds), (n,), generator=gen), torch.arange(n)]
