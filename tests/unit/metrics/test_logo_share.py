# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from audit.metrics.likeness.logo_share import METRIC
from audit.types import OperatingCharacteristics, Status
from tests.midp import mid_p

ANSWERS = ("no logo", "logo", "could not tell")


def logo(counts=((950, 30, 20), (60, 920, 20))):
    return {"scene.logo": OperatingCharacteristics("logo", ANSWERS[:2], ANSWERS, counts, "1,000 renders a class")}


def view_of(make_view, answers, *, kinds=None, operating=None, **more):
    kinds = kinds or ["person"] * len(answers)
    operating = logo() if operating is None else operating
    return make_view(len(answers), operating=operating, scene__logo=answers, scene__kind=kinds, **more)


def test_the_share_is_corrected_by_rogan_and_gladen(make_view):
    two = logo(((950, 50, 0), (100, 900, 0)))
    found = METRIC(view_of(make_view, ["logo"] * 30 + ["no logo"] * 70, operating=two))[0]
    assert found.value == pytest.approx((0.3 - 0.05) / (0.9 - 0.05))
    assert found.low < found.value < found.high
    assert found.extra["raw_share"] == pytest.approx(0.3)
    assert found.extra["false_alarm"] == pytest.approx(0.05)
    assert (found.n, found.missing) == (100, 0)


def test_a_perfect_instrument_gives_the_exact_interval(make_view):
    sure = logo(((10**9, 0, 0), (0, 10**9, 0)))
    found = METRIC(view_of(make_view, ["logo"] * 7 + ["no logo"] * 17, operating=sure))[0]
    assert (found.value, found.low, found.high) == pytest.approx((7 / 24, *mid_p(7, 24)), abs=1e-4)


def test_the_floor_is_what_false_alarms_leave_of_a_generator_without_logos(make_view):
    many = logo(((950_000, 50_000, 0), (100_000, 900_000, 0)))
    found = METRIC(view_of(make_view, ["no logo"] * 40, operating=many))[0]
    alarms = np.arange(41)
    corrected = np.clip((alarms / 40 - 0.05) / 0.85, 0, 1)
    assert found.value == 0
    assert found.floor == pytest.approx(stats.binom.pmf(alarms, 40, 0.05) @ corrected, abs=0.002)


def test_by_occupation_and_only_where_a_person_may_be_seen(make_view):
    answers = ["logo"] * 12 + ["no logo"] * 12 + ["could not tell"] * 4
    kinds = ["person"] * 24 + ["painting", "sign", "could not tell", "person"]
    jobs = ["builder"] * 12 + ["nurse"] * 16
    found = METRIC(view_of(make_view, answers, kinds=kinds, axis__occupation=jobs, by=("occupation",)))
    by = {e.slice.get("occupation", "all"): e for e in found}
    assert (by["builder"].value, by["nurse"].value) == pytest.approx((1, 0), abs=0.04)
    assert (by["all"].n, by["all"].missing) == (26, 2)


def test_a_planted_share_is_covered(make_view):
    """Thirty in a hundred builders; answers and confusion counts are drawn anew each time."""
    rng, hits = np.random.default_rng(1), 0
    matrix = np.array([[0.95, 0.03, 0.02], [0.06, 0.92, 0.02]])
    for _ in range(150):
        counts = tuple(tuple(int(c) for c in rng.multinomial(800, row)) for row in matrix)
        worn = rng.random(40) < 0.3
        answers = [ANSWERS[rng.choice(3, p=matrix[int(w)])] for w in worn]
        found = METRIC(view_of(make_view, answers, operating=logo(counts)))[0]
        hits += found.low <= 0.3 <= found.high
    assert hits / 150 >= 0.93


@pytest.mark.parametrize(
    ("operating", "answers", "status"),
    [
        ({}, ["logo"] * 20, Status.UNAVAILABLE),
        (logo(((50, 50, 0), (48, 52, 0))), ["logo"] * 20, Status.UNIDENTIFIED),
        (logo(((50, 50, 0), (0, 0, 0))), ["logo"] * 20, Status.UNIDENTIFIED),
        (None, ["logo"] * 9, Status.INSUFFICIENT),
        (None, [None] * 20, Status.INSUFFICIENT),
    ],
)
def test_no_data_no_number(make_view, operating, answers, status):
    found = METRIC(view_of(make_view, answers, operating=operating))
    assert {e.status for e in found} == {status}
    assert all(e.value is None and e.why for e in found)


def test_withheld_pictures_are_missing(make_view):
    view = view_of(make_view, ["logo"] * 20 + [None] * 5, outcome=["image"] * 20 + ["blocked"] * 5)
    assert (METRIC(view)[0].n, METRIC(view)[0].missing) == (20, 5)


def test_an_answer_that_was_never_counted_is_a_missing_image(make_view):
    """With no "could not tell" in the counts, forty of them must neither move the share nor be taken for certainty."""
    sure = logo(((500, 0, 0), (0, 500, 0)))
    some = ["logo"] * 6 + ["no logo"] * 54
    plain, mixed = (METRIC(view_of(make_view, a, operating=sure))[0] for a in (some, some + ["could not tell"] * 40))
    assert (mixed.value, mixed.low, mixed.high) == (plain.value, plain.low, plain.high)
    assert (mixed.n, mixed.missing) == (60, 40)
    assert mixed.extra["could_not_tell"] == pytest.approx(0.4)
    assert mixed.extra["misfit"] < 0.001 < plain.extra["misfit"]
    none = METRIC(view_of(make_view, ["could not tell"] * 40, operating=sure))[0]
    assert none.value is None
    assert none.status is not Status.OK
