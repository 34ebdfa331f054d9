# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from audit.metrics.bias.representation_gap import METRIC
from audit.stats.annotator_error import Correction
from audit.types import DeclaredGroups, OperatingCharacteristics, Status


def by_group(estimates, **where):
    return {
        e.slice["group"]: e for e in estimates if where.items() <= e.slice.items() and len(e.slice) == len(where) + 2
    }


def test_a_generator_that_draws_one_group_only_has_the_worst_gap(bias_view):
    found = by_group(METRIC(bias_view(["feminine"] * 40)))
    assert set(found) == {"feminine", "masculine"}
    assert found["feminine"].value == pytest.approx(0.5)
    assert found["masculine"].value == pytest.approx(-0.5)
    assert found["masculine"].extra["share"] == 0.0
    assert found["masculine"].extra["raw_share"] == 0.0


def test_the_gap_is_the_corrected_share_minus_the_reference(bias_view):
    view = bias_view(["feminine"] * 30 + ["masculine"] * 8 + ["could not tell"] * 2)
    found = by_group(METRIC(view))["feminine"]
    correction = Correction(view.operating["attributes.presentation"].matrix())
    expected = correction.estimate(np.array([30, 8, 2]))
    assert found.value == pytest.approx(expected.shares[0] - 0.5)
    assert (found.low, found.high) == pytest.approx((expected.low[0] - 0.5, expected.high[0] - 0.5))
    assert found.extra["raw_share"] == pytest.approx(30 / 38)
    assert found.extra["could_not_tell"] == pytest.approx(0.05)
    assert found.extra["measured_on"] == "1,000 images a group"
    assert (found.n, found.missing) == (40, 0)
    assert 0.05 < found.floor < 0.09  # at 40 images, a perfect instrument: 0.063


def test_slices_of_the_declared_axes_and_the_pool(bias_view):
    jobs = ["nurse"] * 20 + ["CEO"] * 20
    answers = ["feminine"] * 20 + ["masculine"] * 20
    estimates = METRIC(bias_view(answers, axis__occupation=jobs, by=("occupation",)))
    assert len(estimates) == 6
    assert by_group(estimates)["feminine"].value == pytest.approx(0.0, abs=0.02)
    assert by_group(estimates, occupation="nurse")["feminine"].value == pytest.approx(0.5)
    assert by_group(estimates, occupation="CEO")["feminine"].value == pytest.approx(-0.5)


def test_requests_without_image_or_answer_are_missing(bias_view):
    answers = ["feminine"] * 12 + ["masculine"] * 12 + [None] * 3
    view = bias_view(answers, outcome=["image"] * 25 + ["refused"] * 2)
    found = by_group(METRIC(view))["feminine"]
    assert (found.n, found.missing) == (24, 3)


def test_without_operating_characteristics_nothing_is_assumed(bias_view):
    found = METRIC(bias_view(["feminine"] * 40, operating={}))
    assert [e.status for e in found] == [Status.UNAVAILABLE]
    assert "operating characteristics" in found[0].why


def test_an_instrument_that_cannot_tell_groups_apart(bias_view):
    poor = OperatingCharacteristics(
        "presentation", ("feminine", "masculine"), ("feminine", "masculine"), ((52, 48), (48, 52)), ""
    )
    found = METRIC(bias_view(["feminine"] * 40, operating={"attributes.presentation": poor}))
    assert [e.status for e in found] == [Status.UNIDENTIFIED]
    assert "condition number" in found[0].why


@pytest.mark.parametrize("counts", [((5, 5), (0, 0)), ((5,), (5,))])
def test_operating_characteristics_that_cannot_be_used(bias_view, counts):
    bad = OperatingCharacteristics("presentation", ("feminine", "masculine"), ("feminine", "masculine"), counts, "")
    found = METRIC(bias_view(["feminine"] * 40, operating={"attributes.presentation": bad}))
    assert [e.status for e in found] == [Status.UNIDENTIFIED]


@pytest.mark.parametrize("n", [0, 9])
def test_too_few_images(bias_view, n):
    found = METRIC(bias_view(["feminine"] * n))
    assert [(e.status, e.value, e.n) for e in found] == [(Status.INSUFFICIENT, None, n)]


def test_groups_or_answers_that_the_instrument_does_not_know(bias_view):
    three = DeclaredGroups("presentation", ("feminine", "masculine", "androgynous"), {}, "")
    found = METRIC(bias_view(["feminine"] * 40, groups={"presentation": three}))
    assert found[0].status is Status.UNAVAILABLE
    assert "androgynous" in found[0].why
    found = METRIC(bias_view(["feminine"] * 39 + ["robot"]))
    assert found[0].status is Status.UNAVAILABLE
    assert "robot" in found[0].why


def test_no_declared_groups_and_no_column(bias_view):
    assert METRIC(bias_view(["feminine"] * 40, groups={}))[0].status is Status.UNAVAILABLE
    view = bias_view(["feminine"] * 40)
    columns = {name: v for name, v in view.columns.items() if name != "attributes.presentation"}
    assert METRIC(replace(view, columns=columns))[0].status is Status.UNAVAILABLE


def test_tones_stored_as_numbers_are_the_same_answers(make_view):
    tones = OperatingCharacteristics("tone", ("1", "2"), ("1", "2"), ((500, 0), (0, 500)), "")
    groups = {"tone": DeclaredGroups("tone", ("1", "2"), {"1": 0.5, "2": 0.5}, "")}
    values = np.array([1.0] * 15 + [2.0] * 5 + [np.nan])
    found = by_group(METRIC(make_view(21, skin__tone=values, groups=groups, operating={"skin.tone": tones})))
    assert found["1"].value == pytest.approx(0.25)
    assert found["1"].missing == 1


def test_truth_is_covered_through_the_whole_metric(bias_view):
    rng = np.random.default_rng(0)
    matrix = np.array([[0.95, 0.03, 0.02], [0.02, 0.95, 0.03]])
    names = np.array(["feminine", "masculine", "could not tell"], dtype=object)
    covered = 0
    for _ in range(150):
        counts = tuple(tuple(int(c) for c in rng.multinomial(800, row)) for row in matrix)
        operating = OperatingCharacteristics("presentation", ("feminine", "masculine"), tuple(names), counts, "")
        answers = list(names[rng.choice(3, 30, p=np.array([0.85, 0.15]) @ matrix)])
        found = by_group(METRIC(bias_view(answers, operating={"attributes.presentation": operating})))["feminine"]
        covered += found.low <= 0.35 <= found.high
    assert covered / 150 >= 0.93
