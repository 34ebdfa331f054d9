# SPDX-License-Identifier: Apache-2.0
"""What a key decides: which waves of a tile carry the pilot, which carry the code, and with which signs."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit.provenance.watermark._code import LENGTH

__all__ = ["REACH", "RINGS", "Layout", "layout_of", "signs_of"]

Complex = NDArray[np.complex128]
Real = NDArray[np.float64]

#: Waves have fewer than this many cycles over a tile, in each direction.
REACH = 15
#: Groups of waves by frequency; noise and strength are estimated in each.
RINGS = 6
_SLOWEST, _FASTEST = 2.5, 14.9


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """The waves of a tile, n = 338 of them, and what each carries.

    Attributes:
        down: (n,) cycles over the tile's height, 0 or more.
        across: (n,) cycles over its width.
        ring: (n,) group by frequency.
        pilot: indices of the waves of the pilot.
        tone: their known phases, of modulus 1.
        data: (255,) indices of the waves of the code.
        place: (255,) which chip of ``data``'s real and imaginary parts holds which bit of the code.
    """

    down: NDArray[np.intp]
    across: NDArray[np.intp]
    ring: NDArray[np.intp]
    pilot: NDArray[np.intp]
    tone: Complex
    data: NDArray[np.intp]
    place: NDArray[np.intp]

    def symbols(self, chips: Real, *, pilot: float = 1.0) -> Complex:
        """Amplitudes (n,) that carry chips (255,) and the pilot, the same energy in each real component."""
        spread = np.empty(LENGTH)
        spread[self.place] = chips
        out = np.zeros(len(self.ring), complex)
        # A chip is the real part of one wave and the imaginary part of another, a slow and a fast one: what dims
        # fast waves, such as making a picture smaller, dims all chips alike.
        out[self.data] = spread + 1j * spread[::-1]
        out[self.pilot] = np.sqrt(2.0) * pilot * self.tone
        return out

    def chips(self, waves: Complex) -> Real:
        """Chips (m, 255) of whitened, aligned waves (m, n), weighted by how much of the pilot is left near each wave.

        The weights are those of maximum ratio combining, gain over noise, in each ring: they depend on the pilot alone.
        """
        held = waves[:, self.data] * self.weights(waves)[:, self.data]
        chips: Real = (held.real + held.imag[:, ::-1])[:, self.place]
        return chips

    def level(self, waves: Complex) -> Real:
        """How strongly the pilot stands out, (m,): about standard normal where there is none."""
        return np.asarray((waves[:, self.pilot] * self.tone.conj()).real.sum(1) / np.sqrt(len(self.pilot) / 2))

    def levels(self, waves: Complex, down: Real, across: Real) -> Real:
        """``level`` of waves (n,) at each of the shifts (a,) by (b,), in tiles: (a, b)."""
        known = waves[self.pilot] * self.tone.conj()
        rows = np.exp(2j * np.pi * np.outer(down, self.down[self.pilot]))
        columns = np.exp(2j * np.pi * np.outer(self.across[self.pilot], across))
        level: Real = (rows @ (known[:, None] * columns)).real / np.sqrt(len(self.pilot) / 2)
        return level

    def moved(self, waves: Complex, down: float, across: float) -> Complex:
        """Waves (n,) of the same pattern, shifted by parts of a tile."""
        return waves * np.exp(2j * np.pi * (self.down * down + self.across * across))

    def weights(self, waves: Complex) -> Real:
        """Gain over noise of each wave (m, n), from the pilots of its ring."""
        ring = self.ring[self.pilot]
        share = np.zeros((len(ring), RINGS))
        share[np.arange(len(ring)), ring] = 1 / np.bincount(ring, minlength=RINGS)[ring]
        gain = ((waves[:, self.pilot] * self.tone.conj()).real @ share).clip(0.1, 0.9)
        weights: Real = (gain / (1 - gain**2))[:, self.ring]
        return weights


def _stream(key: str, purpose: str, count: int) -> NDArray[np.uint64]:
    """Numbers that only the key decides, the same on every machine and with every version of every library."""
    octets = hashlib.shake_256(f"org.genaudit.spread.1/{purpose}/{key}".encode()).digest(8 * count)
    return np.frombuffer(octets, dtype="<u8").astype(np.uint64)


@functools.lru_cache(maxsize=64)
def layout_of(key: str) -> Layout:
    """What a key decides, but for the signs of the chips, which come from ``signs_of``."""
    down, across = np.meshgrid(np.arange(REACH), np.arange(1 - REACH, REACH), indexing="ij")
    radius = np.hypot(down, across)
    used = (radius >= _SLOWEST) & (radius <= _FASTEST) & ((down > 0) | (across > 0))
    by_radius = np.argsort(radius[used], kind="stable")
    down, across = down[used][by_radius], across[used][by_radius]
    n = len(by_radius)
    pilots = n - LENGTH
    # One pilot in each run of about four neighbours in frequency.
    edges = np.arange(pilots + 1) * n // pilots
    drawn = _stream(key, "pilot", pilots)
    pilot = edges[:-1] + (drawn % np.diff(edges).astype(np.uint64)).astype(np.intp)
    phase = _stream(key, "tone", pilots) / 2.0**64
    return Layout(
        down=down,
        across=across,
        ring=np.arange(n) * RINGS // n,
        pilot=pilot,
        tone=np.exp(2j * np.pi * phase),
        data=np.setdiff1d(np.arange(n), pilot),
        place=np.argsort(_stream(key, "place", LENGTH), kind="stable"),
    )


@functools.lru_cache(maxsize=64)
def signs_of(key: str) -> Real:
    """Signs (255,) by which the bits of a code word are multiplied, +1 or -1."""
    return np.where(_stream(key, "sign", LENGTH) >> np.uint64(63), -1.0, 1.0)
