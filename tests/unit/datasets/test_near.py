# SPDX-License-Identifier: Apache-2.0
"""Near duplicates: what a re-encoding leaves alone and what another person does not."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from audit.datasets._near import BITS, LEVELS, Signature, _distance, groups, hamming, join, signature
from audit.reference.render import render
from audit.reference.world import sample_people


@pytest.fixture(scope="module")
def faces() -> NDArray[np.uint8]:
    return render(sample_people(200, rng=np.random.default_rng(3), identity_pool="heldout"))


def _jpeg(rgb: NDArray[np.uint8], quality: int = 90) -> NDArray[np.uint8]:
    sink = io.BytesIO()
    Image.fromarray(rgb).save(sink, "JPEG", quality=quality)
    return np.asarray(Image.open(sink))


def _smaller(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(rgb).resize((61, 61), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("change", [_jpeg, _smaller], ids=["jpeg 90", "resize 5 %"])
def test_a_changed_copy_is_near_and_other_people_are_not(faces, change) -> None:
    signs = [signature(rgb) for rgb in faces] + [signature(change(rgb)) for rgb in faces]
    assert all(hamming(one, other) <= BITS for one, other in zip(signs[:200], signs[200:], strict=True))
    assert groups(signs).tolist() == [*range(200), *range(200)]


def test_the_hash_is_that_of_the_definition(faces) -> None:
    """Against the cosine sums of the DCT written out."""
    k, x = np.arange(8)[:, None], np.arange(32)
    cosines = np.cos(np.pi * (2 * x + 1) * k / 64) * np.where(k == 0, np.sqrt(1 / 32), np.sqrt(2 / 32))
    for rgb in faces[:20]:
        grey = Image.fromarray(rgb).convert("L").resize((32, 32), Image.Resampling.BICUBIC)
        low = (cosines @ np.asarray(grey, np.float64) @ cosines.T).ravel()
        expected = int("".join("1" if value > np.median(low) else "0" for value in low), 2)
        assert signature(rgb).bits == expected


def test_mirrored_turned_and_inverted_pictures_are_others(faces) -> None:
    rgb = faces[0]
    changed = [rgb, rgb[:, ::-1], rgb[::-1], rgb.transpose(1, 0, 2), 255 - rgb]
    assert groups([signature(np.ascontiguousarray(one)) for one in changed]).tolist() == [0, 1, 2, 3, 4]


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.integers(2, 60), st.integers(0, 20))
def test_groups_are_those_of_all_pairs(seed: int, n: int, bits: int) -> None:
    """Against the plain definition: breadth-first search over every pair."""
    rng = np.random.default_rng(seed)
    base = rng.integers(0, 2**63, 6)
    hashes = [
        int(base[rng.integers(6)]) ^ (1 << int(rng.integers(64))) ^ (1 << int(rng.integers(64))) for _ in range(n)
    ]
    signs = [Signature(h, rng.integers(0, 9, 768).astype(np.uint8)) for h in hashes]

    def near(i: int, j: int) -> bool:
        apart = float(np.sqrt(np.mean((signs[i].small.astype(float) - signs[j].small.astype(float)) ** 2)))
        return (hashes[i] ^ hashes[j]).bit_count() <= bits and apart <= LEVELS

    expected = list(range(n))
    for i in range(n):
        if expected[i] == i:
            todo = [i]
            while todo:
                here = todo.pop()
                for j in range(n):
                    if expected[j] == j and j > i and near(here, j):
                        expected[j] = i
                        todo.append(j)
    assert groups(signs, bits=bits).tolist() == expected


def test_colour_decides_where_the_hash_cannot() -> None:
    flat = np.zeros((32, 32, 3), np.uint8)
    flat[:16] = (200, 0, 0)
    other = np.zeros((32, 32, 3), np.uint8)
    other[:16] = (0, 102, 0)  # the same grey
    one, two = signature(flat), signature(other)
    assert hamming(one, two) <= BITS
    assert groups([one, two]).tolist() == [0, 1]


def test_joining_keeps_the_smallest_index() -> None:
    labels = join(np.array([0, 1, 2, 3, 2]), np.array([3]), np.array([4]))
    assert labels.tolist() == [0, 1, 2, 2, 2]


def test_distances_are_exact() -> None:
    small = np.random.default_rng(0).integers(0, 256, (5, 768)).astype(np.uint8)
    found = _distance(small, np.array([0, 3]), np.array([4, 3]))
    assert found[1] == 0
    assert found[0] == pytest.approx(np.sqrt(np.mean((small[0].astype(float) - small[4]) ** 2)), rel=1e-5)
