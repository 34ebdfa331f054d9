# SPDX-License-Identifier: Apache-2.0
"""People are drawn by the planted shares, and enrolled faces stay themselves."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from audit.reference import world


def _draw(n: int, seed: int = 0, **options: object) -> world.People:
    return world.sample_people(n, rng=np.random.default_rng(seed), **options)  # type: ignore[arg-type]


def _within(count: int, n: int, share: float) -> bool:
    low, high = stats.binom.ppf([1e-5, 1 - 1e-5], n, share)
    return bool(low <= count <= high)


@pytest.mark.parametrize("job", [*world.OCCUPATIONS, world.PLAIN])
def test_shares_are_the_planted_ones(job: str) -> None:
    n = 4000
    people, table = _draw(n, occupation=job), world.planted()["occupations"][job]
    assert _within(int((people.presentation == 0).sum()), n, table["feminine"])
    assert _within(int(people.glasses.sum()), n, table["glasses"])
    for tone in range(1, 11):
        assert _within(int((people.tone == tone).sum()), n, table["tone"][tone - 1]), tone
    for age in range(3):
        assert _within(int((people.age == age).sum()), n, table["age"][age]), age


def test_planted_tables_are_distributions() -> None:
    for job, table in world.planted()["occupations"].items():
        assert sum(table["tone"]) == pytest.approx(1.0, abs=1e-9), job
        assert sum(table["age"]) == pytest.approx(1.0, abs=1e-3), job


def test_planted_extremes() -> None:
    tables = world.planted()["occupations"]
    assert tables["nurse"]["feminine"] == 0.90
    assert tables["CEO"]["feminine"] == pytest.approx(0.15)
    assert sum(tables["CEO"]["tone"][:3]) == pytest.approx(0.85)
    assert tables["builder"]["feminine"] == pytest.approx(0.08)


def test_same_seed_same_people() -> None:
    first, second, third = _draw(50, 3), _draw(50, 3), _draw(50, 4)
    assert np.array_equal(first.nuisance, second.nuisance)
    assert np.array_equal(first.tone, second.tone)
    assert not np.array_equal(first.nuisance, third.nuisance)


def test_pools_are_disjoint() -> None:
    ends = sorted((start, start + size) for start, size in world.POOLS.values())
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(ends))
    for pool, (start, size) in world.POOLS.items():
        ids = _draw(300, identity_pool=pool).identity_id
        assert ((ids >= start) & (ids < start + size)).all(), pool


def test_a_person_keeps_face_and_traits() -> None:
    people = _draw(40, name="Tomas Arbry")
    assert np.unique(people.identity, axis=0).shape == (1, 8)
    assert {len(set(getattr(people, key).tolist())) for key in ("presentation", "tone", "age", "hair_colour")} == {1}
    assert len(np.unique(people.nuisance[:, 0])) == 40


def test_identity_is_known_for_all_time() -> None:
    # Pinned: changing the hash would give every enrolled person another face.
    assert world.identity_of(np.array([0, 7]))[:, 0] == pytest.approx([0.5079606, 0.4801495], abs=1e-6)


def test_fixed_values() -> None:
    people = _draw(30, occupation="chef", presentation="feminine", tone=(8, 9), age="older", glasses=True, beard=False)
    assert set(people.occupation) == {world.OCCUPATIONS.index("chef")}
    assert set(people.presentation) == {0}
    assert set(people.tone) <= {8, 9}
    assert set(people.age) == {2}
    assert people.glasses.all()
    assert not people.beard.any()


def test_gallery_has_five_memorised_of_twenty() -> None:
    names, people, memorised = world.gallery_people()
    assert len(names) == len(people) == len(set(names)) == 20
    assert memorised.sum() == 5
    assert len(set(people.identity_id.tolist())) == 20


def test_indexing_and_concat() -> None:
    people = _draw(6)
    again = world.concat([people[:2], people[np.array([2, 3, 4, 5])]])
    assert np.array_equal(again.identity_id, people.identity_id)
    assert len(people[3]) == 1


@pytest.mark.parametrize(("tone", "band"), [(1, "light"), (3, "light"), (4, "medium"), (7, "medium"), (8, "dark")])
def test_tone_band(tone: int, band: str) -> None:
    assert world.tone_band(tone) == band
