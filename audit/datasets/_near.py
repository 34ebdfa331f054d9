# SPDX-License-Identifier: Apache-2.0
"""Near duplicates: a perceptual hash finds candidates, a small colour picture confirms them, union-find groups them.

A hash of signs alone takes two portraits in the same pose for one; a comparison of colours alone is too slow for all
pairs. Together they are neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["BITS", "LEVELS", "Signature", "groups", "hamming", "signature"]

BITS = 8  # of 64 that may differ: JPEG at quality 90 and a resize by 5 % change up to 6
LEVELS = 6.0  # root mean square of the difference of the small pictures, on a scale of 255
_SIDE = 16
_CELLS = 4_000_000  # of the matrix of distances that are held at a time


@dataclass(frozen=True, slots=True, eq=False)
class Signature:
    """What is compared of one picture.

    Attributes:
        bits: perceptual hash, 64 bits.
        small: the picture at 16x16, uint8 (768,).
    """

    bits: int
    small: NDArray[np.uint8]


def signature(rgb: NDArray[np.uint8]) -> Signature:
    """The signature of a picture, uint8 (h, w, 3) of any size.

    The hash holds which of the 8x8 lowest frequencies of the picture at 32x32 exceed their median (Zauner 2010, pHash).
    """
    from scipy.fft import dctn

    image = Image.fromarray(rgb)
    grey = np.asarray(image.convert("L").resize((32, 32), Image.Resampling.BICUBIC), np.float64)
    low = dctn(grey, norm="ortho")[:8, :8].ravel()
    bits = int.from_bytes(np.packbits(low > np.median(low)).tobytes(), "big")
    small = np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BOX), np.uint8)
    return Signature(bits, small.ravel())


def hamming(one: Signature, other: Signature) -> int:
    """How many bits of the hashes differ."""
    return (one.bits ^ other.bits).bit_count()


def groups(signatures: Sequence[Signature], *, bits: int = BITS, levels: float = LEVELS) -> NDArray[np.int64]:
    """Which pictures belong together.

    A chain counts: if a is near b and b near c, all three are one group.

    Args:
        signatures: of n pictures.
        bits: Hamming distance of the hashes, at most.
        levels: root mean square difference of the small pictures, at most.

    Returns:
        (n,) for each the index of the first picture of its group.
    """
    n = len(signatures)
    labels = np.arange(n)
    if n < 2:
        return labels
    hashes = np.array([s.bits for s in signatures], dtype=np.uint64)
    small = np.stack([s.small for s in signatures])
    for i, j in _candidates(hashes, bits):
        fresh = labels[i] != labels[j]
        i, j = i[fresh], j[fresh]  # noqa: PLW2901 - only those that could change anything
        close = _distance(small, i, j) <= levels
        if close.any():
            labels = join(labels, i[close], j[close])
    return labels


def join(labels: NDArray[np.int64], i: NDArray[np.int64], j: NDArray[np.int64]) -> NDArray[np.int64]:
    """Labels (n,) after uniting the groups of ``i[k]`` and ``j[k]`` for all k; a label is the smallest index in it."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(labels)
    edges = coo_array((np.ones(len(i), np.int8), (labels[i], labels[j])), shape=(n, n))
    merged = connected_components(edges, directed=False)[1][labels]
    _, first, inverse = np.unique(merged, return_index=True, return_inverse=True)
    return first[inverse].astype(np.int64)


def _candidates(hashes: NDArray[np.uint64], bits: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs i < j whose hashes differ in at most ``bits`` bits, block of rows by block of rows."""
    n = len(hashes)
    step = max(1, _CELLS // n)
    for start in range(0, n, step):
        distance = np.bitwise_count(hashes[start : start + step, None] ^ hashes[None, start:])
        i, j = np.nonzero(distance <= bits)
        above = j > i
        yield i[above] + start, j[above] + start


def _distance(small: NDArray[np.uint8], i: NDArray[np.int64], j: NDArray[np.int64]) -> NDArray[np.float64]:
    """Root mean square difference of pairs, a few thousand at a time."""
    out = np.empty(len(i))
    for start in range(0, len(i), 4096):
        part = slice(start, start + 4096)
        difference = small[i[part]].astype(np.float32) - small[j[part]]
        out[part] = np.sqrt(np.einsum("kd,kd->k", difference, difference) / small.shape[1])
    return out
