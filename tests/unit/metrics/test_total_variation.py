# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from audit.metrics.bias.representation_gap import METRIC as GAP
from audit.metrics.bias.total_variation import METRIC
from audit.types import DeclaredGroups, OperatingCharacteristics, Status

AGE = OperatingCharacteristics(
    "age",
    ("young", "middle-aged", "older"),
    ("young", "middle-aged", "older", "could not tell"),
    ((960, 20, 0, 20), (10, 900, 70, 20), (0, 30, 940, 30)),
    "1,000 images a group",
)
AGES = DeclaredGroups("age", AGE.truth, dict.fromkeys(AGE.truth, 1 / 3), "policy choice")


def ages(make_view, answers):
    groups, operating = {"age": AGES}, {"attributes.age": AGE}
    return METRIC(make_view(len(answers), attributes__age=answers, groups=groups, operating=operating))


def test_two_groups_give_the_absolute_gap(bias_view):
    view = bias_view(["feminine"] * 30 + ["masculine"] * 8 + ["could not tell"] * 2)
    (found,) = METRIC(view)
    gap = GAP(view)[0]
    assert (found.value, found.low, found.high) == pytest.approx((gap.value, gap.low, gap.high))
    assert found.floor == pytest.approx(gap.floor)
    assert found.extra["excess"] == pytest.approx(found.value - found.floor)


def test_the_interval_of_a_balanced_generator_reaches_zero(bias_view, make_view):
    (found,) = METRIC(bias_view(["feminine", "masculine"] * 20))
    assert found.low == 0.0
    (found,) = ages(make_view, list(AGE.truth) * 12)
    assert found.low == 0.0
    assert found.value < found.floor


def test_one_group_only_is_as_far_as_can_be(make_view):
    (found,) = ages(make_view, ["young"] * 48)
    assert found.value == pytest.approx(2 / 3, abs=0.02)
    assert found.low > 0.4
    assert found.high <= 1.0


def test_no_answers_give_no_number(make_view):
    (found,) = ages(make_view, [])
    assert (found.status, found.value) == (Status.INSUFFICIENT, None)
