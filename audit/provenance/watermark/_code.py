# SPDX-License-Identifier: Apache-2.0
"""The error-correcting code of the built-in mark: 40 bits in 255, decoded from soft values."""

from __future__ import annotations

import functools
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

__all__ = ["BITS", "LENGTH", "decode", "encode", "generator"]

Bits = NDArray[np.uint8]

#: Payload bits, and what they become.
BITS = 40
LENGTH = 255
_FIELD = 8  # GF(2^8)
_PRIMITIVE = 0b100011101  # x^8 + x^4 + x^3 + x^2 + 1
_DIMENSION = 45  # of the BCH code that ours is part of: corrects 43 wrong bits, so words differ in 87 places or more
_SURE = 16  # of the 40 most reliable places, those of which at most two are tried the other way round
_CHUNK = 128  # words decoded together: what fits in the cache


def encode(payload: Bits) -> Bits:
    """Codewords (..., 255) of payload bits (..., 40); the first 40 bits of a word are the payload."""
    word: Bits = (payload.astype(np.int64) @ generator() % 2).astype(np.uint8)
    return word


def decode(soft: NDArray[np.floating], *, alike: bool = False) -> tuple[Bits, NDArray[np.float64]]:
    """Most likely codewords, by ordered statistics (Fossorier & Lin 1995, IEEE Trans. Inf. Theory 41).

    The 40 most reliable independent places are taken as they look; every word that differs from these in at most two
    places is built, and in three where all are among the less reliable; the one closest to the soft values wins.

    Args:
        soft: (n, 255); positive where a bit is more likely 0, larger where that is surer.
        alike: rows differ in signs only, so what depends on sizes is worked out once; the answer is the same.

    Returns:
        Codewords (n, 255), and how well each fits: ``sum(c s) / sqrt(sum(s^2))`` with c = 1 - 2 bit; 0 where all soft
        values are 0.
    """
    chunk = 8 * _CHUNK if alike else _CHUNK
    parts = [_decode(soft[i : i + chunk].astype(np.float32), alike=alike) for i in range(0, len(soft), chunk)]
    if not parts:
        return np.empty((0, LENGTH), np.uint8), np.empty(0)
    return np.concatenate([word for word, _ in parts]), np.concatenate([score for _, score in parts])


def _decode(soft: NDArray[np.float32], *, alike: bool) -> tuple[Bits, NDArray[np.float64]]:
    order = np.argsort(-np.abs(soft[:1] if alike else soft), axis=1, kind="stable")
    rows, place = _reduce(order)
    sign = 1 - 2 * rows.astype(np.float32)
    n = len(soft)
    order, place = np.broadcast_to(order, (n, LENGTH)), np.broadcast_to(place, (n, BITS))
    sure = np.take_along_axis(soft, order, 1)
    looks = np.take_along_axis(sure, place, 1) < 0
    # Parities are sums of at most 40 ones: exact in float32, and a product of matrices is what runs fastest.
    word = (np.matmul(looks[:, None].astype(np.float32), rows.astype(np.float32))[:, 0] % 2).astype(np.uint8)
    rows = np.broadcast_to(rows, (n, BITS, LENGTH))
    agreed = sure * (1 - 2.0 * word).astype(np.float32)
    for number in (_flips_alike(agreed, sign[0]) if alike else _flips(agreed, sign)).T:
        known = number >= 0
        word[known] ^= rows[known, number[known]]
    out = np.empty_like(word)
    np.put_along_axis(out, order, word, 1)
    norm = np.linalg.norm(soft.astype(np.float64), axis=1)
    fit = np.einsum("ij,ij->i", 1.0 - 2.0 * out, soft)
    return out, np.divide(fit, norm, out=np.zeros(n), where=norm > 0)


def _flips(agreed: NDArray[np.float32], sign: NDArray[np.float32]) -> NDArray[np.intp]:
    """Which of the 40 rows to add, (n, 3), -1: none.

    A row's signs (n, 40, 255) multiply the word's, so the fit with rows a, b, c added is the sum of agreed x a x b x c:
    all fits for pairs are one product of matrices.
    """
    every = np.arange(len(agreed))
    weighted = sign * agreed[:, None]
    best, flips = agreed.sum(1), np.full((len(agreed), 3), -1)

    def take(fit: NDArray[np.float32], *rows: NDArray[np.intp] | int) -> None:
        better = fit > best
        best[better] = fit[better]
        for i in range(3):
            new = rows[i] if i < len(rows) else -1
            flips[:, i] = np.where(better, new, flips[:, i])

    one = weighted.sum(2)
    take(one.max(1), one.argmax(1))
    two = np.matmul(weighted, sign.transpose(0, 2, 1)).reshape(len(agreed), -1)
    two[:, :: BITS + 1] = -np.inf  # the diagonal
    at = two.argmax(1)
    take(two[every, at], *np.divmod(at, BITS))
    for row in range(_SURE, BITS - 2):
        rest = slice(row + 1, BITS)
        three = np.matmul(weighted[:, rest] * sign[:, row, None], sign[:, rest].transpose(0, 2, 1))
        three = three.reshape(len(agreed), -1)
        width = BITS - row - 1
        three[:, :: width + 1] = -np.inf
        at = three.argmax(1)
        a, b = np.divmod(at, width)
        take(three[every, at], row, a + row + 1, b + row + 1)
    return flips


def _flips_alike(agreed: NDArray[np.float32], sign: NDArray[np.float32]) -> NDArray[np.intp]:
    """The same where all words share their rows' signs (40, 255): then all fits are one product of matrices."""
    rows = _sets_of_rows()
    products = np.concatenate([sign, np.ones((1, LENGTH), np.float32)])[rows].prod(1)
    found: NDArray[np.intp] = rows[(agreed @ products.T).argmax(1)]
    return found


@functools.cache
def _sets_of_rows() -> NDArray[np.intp]:
    """Every set of rows that decoding tries to add, (2845, 3), -1: none."""
    few = [(), *((a,) for a in range(BITS)), *combinations(range(BITS), 2), *combinations(range(_SURE, BITS), 3)]
    return np.array([(*rows, *(-1,) * (3 - len(rows))) for rows in few])


def _reduce(order: NDArray[np.intp]) -> tuple[Bits, NDArray[np.intp]]:
    """Generators (n, 40, 255) with columns in the given order, reduced from the left; each row's pivot, rising."""
    n = len(order)
    padded = np.zeros((n, BITS, LENGTH + 1), np.uint8)
    padded[..., :LENGTH] = generator()[:, order].transpose(1, 0, 2)
    octets: Bits = np.packbits(padded, axis=2)
    rows = octets.view(np.uint64)  # (n, 40, 4); the order of the bytes does not matter to exclusive or
    every = np.arange(n)
    free = np.ones((n, BITS), dtype=bool)
    place = np.zeros((n, BITS), dtype=np.intp)
    for column in range(LENGTH):
        bit = (octets[:, :, column >> 3] >> (7 - (column & 7)) & 1).astype(bool)
        usable = bit & free
        pivot = usable.argmax(1)
        new = usable[every, pivot]
        if not new.any():
            continue
        chosen = np.where(new[:, None], rows[every, pivot], np.uint64(0))
        free[every, pivot] &= ~new
        place[every, pivot] = np.where(new, column, place[every, pivot])
        bit[every, pivot] = False
        rows ^= bit[:, :, None] * chosen[:, None]
        if not free.any():
            break
    by_place = np.argsort(place, axis=1)
    sorted_rows = np.take_along_axis(octets, by_place[..., None], 1)
    return np.unpackbits(sorted_rows, axis=2)[..., :LENGTH], np.take_along_axis(place, by_place, 1)


@functools.cache
def generator() -> Bits:
    """Generator matrix (40, 255), the identity in front: a part of the primitive BCH code (255, 45)."""
    polynomial = _polynomial()
    rows = np.zeros((_DIMENSION, LENGTH), np.uint8)
    for i in range(_DIMENSION):
        rows[i, i : i + len(polynomial)] = polynomial
    for i in range(_DIMENSION):  # the polynomial begins with 1, so the front is triangular
        others = rows[:, i].astype(bool)
        others[i] = False
        rows[others] ^= rows[i]
    # Of the code's 45 dimensions 40 are used; mixed, so that no place of a word is always 0.
    front = rows[:BITS].copy()
    for i in range(BITS):
        front[i] ^= rows[BITS + i % (_DIMENSION - BITS)]
    return front


def _polynomial() -> list[int]:
    """Generator polynomial: product of the minimal polynomials of alpha, alpha^3, ... until 45 dimensions are left."""
    power = [1]
    while len(power) < LENGTH:
        doubled = power[-1] << 1
        power.append(doubled ^ _PRIMITIVE if doubled >> _FIELD else doubled)
    log = {value: exponent for exponent, value in enumerate(power)}

    def times(a: int, b: int) -> int:
        return power[(log[a] + log[b]) % LENGTH] if a and b else 0

    product, roots, first = [1], set[int](), 1
    while len(product) < LENGTH - _DIMENSION + 1:
        conjugates = {first * 2**i % LENGTH for i in range(_FIELD)} - roots
        roots |= conjugates
        for exponent in conjugates:
            shifted = [0, *product]
            scaled = [*(times(c, power[exponent]) for c in product), 0]
            product = [a ^ b for a, b in zip(shifted, scaled, strict=True)]
        first += 2
    return product
