# SPDX-License-Identifier: Apache-2.0
"""Latent vectors of requests: a function of the request's seed and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from audit.generators.networks._declared import Noise, Truncation

__all__ = ["latent", "latents"]


def latent(noise: Noise, shape: Sequence[int], *, seed: int, index: int, psi: Truncation | None) -> NDArray[np.float32]:
    """One latent of ``shape`` (no batch), float32.

    The first noise input of a network is ``numpy.random.default_rng(seed).standard_normal(shape)`` (PCG64; for uniform
    noise ``.uniform(-1, 1, shape)``), rounded to float32; the k-th takes ``SeedSequence(seed, spawn_key=(k,))``
    instead, so that adding an input changes none of the others. Entries beyond a threshold are replaced in the order
    in which they stand, by further draws from the same stream.

    Args:
        noise: its distribution.
        shape: of one latent.
        seed: of the request.
        index: which noise input of the network, from 0.
        psi: the truncation that holds for this request.
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(index,) if index else ())
    random = np.random.default_rng(sequence)
    if noise.distribution == "uniform":
        drawn = random.uniform(-1.0, 1.0, tuple(shape))
    else:
        drawn = random.standard_normal(tuple(shape))
    if psi is not None and psi.kind == "threshold":
        _redraw(drawn, psi.value, random)
    elif psi is not None:
        mean = np.asarray(psi.mean, dtype=np.float64)
        mean = mean.reshape(mean.shape + (1,) * (len(shape) - 1)) if mean.ndim else mean
        drawn = mean + psi.value * (drawn - mean)
    return drawn.astype(np.float32)


def latents(
    noise: Noise, shape: Sequence[int], *, seeds: Sequence[int], index: int, psi: Sequence[Truncation | None]
) -> NDArray[np.float32]:
    """The latents of a batch, float32 (N, *shape); row i is ``latent`` of the i-th seed."""
    rows = [latent(noise, shape, seed=s, index=index, psi=p) for s, p in zip(seeds, psi, strict=True)]
    return np.stack(rows)


def _redraw(drawn: NDArray[np.float64], threshold: float, random: np.random.Generator) -> None:
    """Replace, in place, whatever lies beyond ``threshold`` until nothing does."""
    flat = drawn.reshape(-1)
    beyond = np.flatnonzero(np.abs(flat) > threshold)
    while beyond.size:
        flat[beyond] = random.standard_normal(beyond.size)
        beyond = beyond[np.abs(flat[beyond]) > threshold]
