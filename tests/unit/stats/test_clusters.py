# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from audit.stats.clusters import assign, distance, share_differences, ward_centres
from audit.stats.floor import multinomial_floor
from audit.stats.intervals import newcombe


def blobs(sizes, rng, d=6):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return 4 * np.eye(d)[labels] + 0.2 * rng.normal(size=(len(labels), d)), labels


def test_blobs_are_found_and_numbered_by_size():
    vectors, labels = blobs((20, 50, 30), np.random.default_rng(0))
    centres = ward_centres(vectors, 3)
    assert centres == pytest.approx(4 * np.eye(6)[[1, 2, 0]], abs=0.25)
    assert assign(vectors, centres).tolist() == np.array([2, 0, 1])[labels].tolist()


def test_order_does_not_matter_and_large_sets_are_thinned():
    rng = np.random.default_rng(1)
    vectors, _ = blobs((40, 30), rng)
    assert ward_centres(rng.permutation(vectors), 2) == pytest.approx(ward_centres(vectors, 2))
    many, _ = blobs((3000, 2000), rng)
    assert ward_centres(many, 2) == pytest.approx(4 * np.eye(6)[:2], abs=0.05)


def test_copies_are_one_cluster():
    assert len(ward_centres(np.ones((30, 3)), 5)) == 1


def test_the_nearest_centre_by_brute_force():
    rng = np.random.default_rng(2)
    vectors, centres = rng.normal(size=(50, 4)), rng.normal(size=(5, 4))
    expected = ((vectors[:, None] - centres[None]) ** 2).sum(axis=2).argmin(axis=1)
    assert assign(vectors, centres).tolist() == expected.tolist()


def test_distance_of_apart_and_of_equal_samples():
    found = distance(np.array([40, 0, 0]), np.array([0, 30, 30]))
    assert found.value == 1.0
    assert found.high == 1.0
    assert found.low > 0.8
    found = distance(np.array([20, 20]), np.array([200, 200]))
    assert (found.value, found.low) == (0.0, 0.0)
    assert found.high > 0.1


def test_the_floor_with_a_large_second_sample_is_the_closed_form():
    found = distance(np.array([10, 20, 20]), np.array([2, 4, 4]) * 1_000_000, reps=20_000)
    assert found.floor == pytest.approx(multinomial_floor(50, (0.2, 0.4, 0.4)).tv, rel=0.02)


@pytest.mark.parametrize(
    ("p", "q"),
    [((0.25,) * 4, (0.25,) * 4), ((0.7, 0.1, 0.1, 0.1), (0.25,) * 4), ((0.98, 0.02, 0.0, 0.0), (0.4, 0.4, 0.1, 0.1))],
)
def test_the_distance_is_covered(p, q):
    rng, held = np.random.default_rng(3), 0
    truth = np.abs(np.array(p) - np.array(q)).sum() / 2
    for _ in range(300):
        found = distance(rng.multinomial(40, p), rng.multinomial(120, q), reps=400)
        held += found.low <= truth <= found.high
    assert held / 300 >= 0.93


def test_share_differences_are_newcombes_at_the_raised_level():
    found = share_differences(np.array([10, 30]), np.array([50, 40]), level=0.9)
    one = newcombe(10, 40, 50, 90, level=0.95)
    assert found[0] == pytest.approx([one.value, one.low, one.high])
    assert found[1] == pytest.approx([-one.value, -one.high, -one.low])
