# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from audit.metrics.bias.clusters import METRIC
from audit.types import Status

PLACE = {"feminine": 0, "masculine": 1}


def portraits(groups, rng):
    return (5 * np.eye(6)[[PLACE[g] for g in groups]] + 0.3 * rng.normal(size=(len(groups), 6))).astype(np.float32)


@pytest.fixture
def mixed(bias_view):
    """A view of ``each`` images of both identity prompts, and of images of occupations drawn as the groups named."""

    def make(seed=0, outcome=None, each=30, **occupations):
        asked = ["feminine"] * each + ["masculine"] * each
        shown = [*asked, *(g for drawn in occupations.values() for g in drawn)]
        jobs = [None] * len(asked) + [job for job, drawn in occupations.items() for _ in drawn]
        rest = len(shown) - len(asked)
        more = {} if outcome is None else {"outcome": ["image"] * len(asked) + outcome}
        view = bias_view(
            [None] * len(shown),
            clip__features=portraits(shown, np.random.default_rng(seed)),
            axis__who=[*asked, *[None] * rest],
            axis__occupation=jobs,
            seed=seed,
            **more,
        )
        return replace(view, asks={"presentation": "who"})

    return make


def one(found, **where):
    (match,) = [e for e in found if e.slice == {"reference": "identity prompts", **where}]
    return match


#: So few identity images make two clusters, as many as there are kinds of people in the pictures.
FEW = 14


def test_two_kinds_of_people_are_two_clusters(mixed):
    drawn = {"nurse": ["feminine"] * 36 + ["masculine"] * 4, "CEO": ["masculine"] * 20 + ["feminine"] * 20}
    found = METRIC(mixed(each=FEW, **drawn))
    nurse, ceo = one(found, occupation="nurse"), one(found, occupation="CEO")
    assert nurse.value == pytest.approx(0.4)
    assert (nurse.extra["clusters"], nurse.extra["reference_n"], nurse.n) == (2, 2 * FEW, 40)
    assert nurse.extra["over_asked"] == "feminine 100 %"
    assert nurse.extra["over_difference"] == pytest.approx(0.4)
    assert nurse.extra["over_low"] > 0.1
    assert (nurse.extra["clusters_over"], nurse.extra["clusters_under"]) == (1, 1)
    assert nurse.extra["entropy"] == pytest.approx(-(0.9 * np.log2(0.9) + 0.1 * np.log2(0.1)))
    assert (ceo.value, ceo.low, ceo.extra["entropy"]) == (pytest.approx(0.0), 0.0, pytest.approx(1.0))
    assert ceo.extra["clusters_over"] == 0
    assert one(found).value == pytest.approx(56 / 80 - 0.5)


def test_a_generator_that_draws_one_kind_only_is_as_far_as_the_design_allows(mixed):
    found = one(METRIC(mixed(each=FEW, nurse=["feminine"] * 40)))
    assert found.value == pytest.approx(0.5)
    assert (found.extra["entropy"], found.extra["entropy_low"]) == (0.0, 0.0)
    assert found.extra["entropy_high"] < 0.5
    assert found.low > 0.3


def test_occupations_are_also_held_against_each_other(mixed):
    found = METRIC(mixed(each=FEW, nurse=["feminine"] * 30, CEO=["masculine"] * 30))
    (nurse,) = [e for e in found if e.slice == {"occupation": "nurse", "reference": "other prompts"}]
    assert (nurse.value, nurse.extra["reference_n"]) == (1.0, 30)


def test_the_floor_and_the_interval_of_a_generator_like_the_identity_prompts(mixed):
    values, floors, held = [], [], 0
    for seed in range(120):
        dealt = np.random.default_rng(seed).choice(["feminine", "masculine"], 40).tolist()
        found = one(METRIC(mixed(seed, nurse=dealt)))
        values.append(found.value)
        floors.append(found.floor)
        held += found.low == 0.0
        assert found.extra["excess"] == pytest.approx(found.value - found.floor)
    assert held / 120 >= 0.92
    assert np.mean(values) == pytest.approx(np.mean(floors), rel=0.25)


def test_refused_occupations_are_no_data(mixed):
    drawn = {"nurse": ["feminine"] * 20, "CEO": ["masculine"] * 20}
    found = METRIC(mixed(outcome=["image"] * 20 + ["refused"] * 20, **drawn))
    ceo = one(found, occupation="CEO")
    assert (ceo.status, ceo.value, ceo.missing, ceo.extra["missing_refused"]) == (Status.INSUFFICIENT, None, 20, 20)
    assert one(found, occupation="nurse").value is not None


def test_what_the_probe_set_would_have_to_add_is_said(bias_view, mixed):
    features = np.ones((30, 4))
    (found,) = METRIC(bias_view(["feminine"] * 30, clip__features=features))
    assert (found.status, "asks" in found.why) == (Status.UNAVAILABLE, True)
    (found,) = METRIC(mixed())
    assert (found.status, "ask for no group" in found.why) == (Status.UNAVAILABLE, True)
    view = mixed(nurse=["feminine"] * 30)
    (found,) = METRIC(view.take(np.arange(90) >= 60))
    assert (found.status, "ask for a group" in found.why) == (Status.UNAVAILABLE, True)
    (found,) = METRIC(view.take(np.arange(90) >= 45))
    assert (found.status, "15 images" in found.why, found.missing) == (Status.INSUFFICIENT, True, 30)
    (found,) = METRIC(view.take(np.zeros(90, dtype=bool)))
    assert found.status is Status.INSUFFICIENT
    same = replace(view, columns={**view.columns, "clip.features": np.ones((90, 4))})
    (found,) = METRIC(same)
    assert (found.value, "alike" in found.why) == (None, True)
