# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from audit.metrics.bias.obedience import METRIC
from audit.metrics.bias.obedience_gap import METRIC as GAP
from audit.stats.annotator_error import Correction
from audit.stats.intervals import newcombe, wilson
from audit.types import DeclaredGroups, OperatingCharacteristics, Status

AGES = ("young", "middle-aged", "older")
AGE = DeclaredGroups("age", AGES, dict.fromkeys(AGES, 1 / 3), "policy choice")


def exact(attribute, groups):
    counts = tuple(tuple(10**9 if i == j else 0 for j in range(len(groups) + 1)) for i in range(len(groups)))
    return OperatingCharacteristics(attribute, groups, (*groups, "could not tell"), counts, "all there are")


PERFECT = {"attributes.presentation": exact("presentation", ("feminine", "masculine"))}


@pytest.fixture
def asked(bias_view):
    """A view of prompts that ask for a presentation: (asked, answered, how many) by row of images of one prompt."""

    def make(*rows, **more):
        words = [a for a, _, n in rows for _ in range(n)]
        answers = [b for _, b, n in rows for _ in range(n)]
        more = {"prompt_id": words, "axis__who": words, "operating": PERFECT, **more}
        return replace(bias_view(answers, **more), asks={"presentation": "who"})

    return make


def one(found, **where):
    (match,) = [e for e in found if {"statistic": None, **where}.items() <= {"statistic": None, **e.slice}.items()]
    return match


def test_the_share_of_images_that_show_the_group_asked_for(asked):
    view = asked(("feminine", "feminine", 36), ("feminine", "masculine", 4), ("masculine", "masculine", 20))
    found = METRIC(view)
    feminine = one(found, group="feminine")
    assert feminine.value == pytest.approx(0.9)
    assert (feminine.n, feminine.missing) == (40, 0)
    assert feminine.extra["erasure"] == pytest.approx(0.1)
    assert feminine.extra["drawn_instead"] == "masculine"
    reference = Correction(PERFECT["attributes.presentation"].matrix()).estimate(np.array([36.0, 4.0, 0.0]))
    assert (feminine.low, feminine.high) == pytest.approx((reference.low[0], reference.high[0]))
    assert one(found, group="masculine").value == pytest.approx(1.0)


def test_the_worst_group_and_the_gap(asked):
    view = asked(("feminine", "feminine", 40), ("masculine", "masculine", 10), ("masculine", "feminine", 30))
    worst = one(METRIC(view), statistic="worst group")
    assert (worst.value, worst.extra["worst"]) == (pytest.approx(0.25), "masculine")
    assert worst.low < one(METRIC(view), group="masculine").low  # two groups at once
    (gap,) = GAP(view)
    assert gap.value == pytest.approx(0.75)
    assert (gap.extra["best"], gap.extra["worst"]) == ("feminine", "masculine")
    about = newcombe(40, 40, 10, 40)  # Wilson's limits for mid-p ones
    assert (gap.low, gap.high) == pytest.approx((about.low, about.high), abs=0.03)


def test_a_generator_that_draws_one_group_only_scores_worst(asked):
    view = asked(("feminine", "feminine", 40), ("masculine", "feminine", 40))
    assert one(METRIC(view), statistic="worst group").value == pytest.approx(0.0, abs=1e-6)
    assert GAP(view)[0].value == pytest.approx(1.0, abs=1e-6)


def test_an_obedient_generator_has_no_gap_and_its_floor_allows_for_the_instrument(bias_view, asked):
    rng = np.random.default_rng(0)
    said = rng.choice(["feminine", "masculine", "could not tell"], size=60, p=[0.95, 0.03, 0.02]).tolist()
    other = rng.choice(["feminine", "masculine", "could not tell"], size=60, p=[0.02, 0.95, 0.03]).tolist()
    words = ["feminine"] * 60 + ["masculine"] * 60
    view = replace(bias_view(said + other, prompt_id=words, axis__who=words), asks={"presentation": "who"})
    (gap,) = GAP(view)
    assert gap.low == 0.0
    assert 0.0 < gap.floor < 0.05
    feminine = one(METRIC(view), group="feminine")
    assert 0.95 < feminine.floor < 1.0
    assert feminine.high > 0.99
    assert feminine.extra["excess"] == pytest.approx(feminine.value - feminine.floor)


def test_an_all_refused_group_is_no_data_and_hides_in_no_summary(asked):
    view = asked(("feminine", "feminine", 40), ("masculine", None, 40), outcome=["image"] * 40 + ["refused"] * 40)
    found = METRIC(view)
    masculine = one(found, group="masculine")
    assert (masculine.status, masculine.value, masculine.missing) == (Status.INSUFFICIENT, None, 40)
    assert masculine.extra["missing_refused"] == 40
    worst = one(found, statistic="worst group")
    assert (worst.value, "masculine" in worst.why) == (None, True)
    assert GAP(view)[0].value is None


def test_a_declared_group_that_nobody_asks_for_is_named(asked):
    found = METRIC(asked(("feminine", "feminine", 40)))
    masculine = one(found, group="masculine")
    assert (masculine.value, masculine.why, masculine.missing) == (None, "no prompt asks for it", 0)
    assert one(found, statistic="worst group").value is None
    assert "1 groups asked for" in GAP(asked(("feminine", "feminine", 40)))[0].why


def test_slices_by_axis(asked):
    rows = ("feminine", "feminine", 40), ("masculine", "masculine", 40)
    view = asked(*rows, axis__occupation=["nurse", "CEO"] * 40, by=("occupation", "who"))
    found = METRIC(view)
    assert {tuple(sorted(e.slice)) for e in found if "who" in e.slice} == set()
    assert one(found, occupation="CEO", group="feminine").n == 20
    assert [e.slice.get("occupation") for e in GAP(view)] == [None, "CEO", "nurse"]


def test_all_attributes_at_once_are_counted_as_answered(asked):
    rows = ("feminine", "feminine", 30), ("feminine", "masculine", 10), ("masculine", "masculine", 20)
    words, ages = ["young"] * 60, ["young"] * 20 + ["older"] * 10 + ["young"] * 25 + ["could not tell"] * 5
    view = asked(*rows, axis__age=words, attributes__age=ages)
    groups = {**view.groups, "age": AGE}
    operating = {**view.operating, "attributes.age": exact("age", AGES)}
    view = replace(view, groups=groups, operating=operating, asks={**view.asks, "age": "age"})
    both = [e for e in METRIC(view) if e.slice["attribute"] == "presentation & age"]
    overall, *cells = both
    assert overall.slice == {"attribute": "presentation & age"}
    assert (overall.value, overall.n, overall.missing) == (pytest.approx(35 / 55), 55, 5)
    expected = wilson(35, 55)
    assert (overall.low, overall.high) == pytest.approx((expected.low, expected.high))
    assert overall.extra["could_not_tell"] == pytest.approx(5 / 60)
    assert {e.slice["group"]: e.value for e in cells} == pytest.approx(
        {"feminine & young": 20 / 40, "masculine & young": 1.0}
    )


def test_prompts_that_ask_for_nothing_give_no_number(bias_view, asked):
    for metric in (METRIC, GAP):
        (found,) = metric(bias_view(["feminine"] * 40))
        assert (found.status, "asks" in found.why) == (Status.UNAVAILABLE, True)
        for found in metric(asked(("feminine", "feminine", 40), operating={})):
            assert found.status is Status.UNAVAILABLE
        nothing = asked(("feminine", "feminine", 40)).take(np.zeros(40, dtype=bool))
        assert {e.status for e in metric(nothing)} == {Status.INSUFFICIENT}


@pytest.mark.parametrize("true", [(0.95, 0.95), (0.98, 0.6)])
def test_truth_is_covered_through_the_whole_metric(asked, true):
    rng, errs = np.random.default_rng(1), np.array([[0.93, 0.05, 0.02], [0.04, 0.93, 0.03]])
    held, names = [], ("feminine", "masculine", "could not tell")
    for _ in range(60):
        counts = tuple(tuple(int(c) for c in rng.multinomial(300, row)) for row in errs)
        rows = []
        for g, p in enumerate(true):
            shares = np.array([p, 1 - p] if g == 0 else [1 - p, p]) @ errs
            rows += [(names[g], a, int(n)) for a, n in zip(names, rng.multinomial(60, shares), strict=True)]
        operating = replace(PERFECT["attributes.presentation"], counts=counts)
        view = asked(*rows, operating={"attributes.presentation": operating})
        found, (gap,) = METRIC(view), GAP(view)
        least = one(found, statistic="worst group")
        held.append(
            [
                one(found, group="masculine").low <= true[1] <= one(found, group="masculine").high,
                least.low <= min(true) <= least.high,
                gap.low <= abs(true[0] - true[1]) <= gap.high,
            ]
        )
    assert (np.mean(held, axis=0) >= 0.91).all()
