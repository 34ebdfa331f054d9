# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from audit.metrics.bias.gap_to_reference import METRIC, TRAINING
from audit.metrics.bias.representation_gap import METRIC as GAP
from audit.metrics.bias.training import Composition, Training
from audit.stats.intervals import wilson
from audit.types import DeclaredGroups, OtherReference, ReferenceRow, Status

ROWS = {"nurse": ReferenceRow({"feminine": 0.87, "masculine": 0.13}, "labour force survey, table 11", 2024)}
GROUPS = DeclaredGroups(
    "presentation",
    ("feminine", "masculine"),
    {"feminine": 0.5, "masculine": 0.5},
    "policy choice",
    others={"labour statistics": OtherReference("occupation", ROWS)},
)
JOBS = ["nurse"] * 40 + ["CEO"] * 40
ANSWERS = ["feminine"] * 30 + ["masculine"] * 10 + ["feminine"] * 10 + ["masculine"] * 30


def view_of(bias_view, **more):
    more = {"groups": {"presentation": GROUPS}, **more}
    return bias_view(ANSWERS, axis__occupation=JOBS, prompt_id=JOBS, **more)


def test_the_gap_is_to_the_row_of_the_slice_and_slices_without_a_row_have_none(bias_view):
    found = METRIC(view_of(bias_view))
    assert [e.slice for e in found] == [
        {"occupation": "nurse", "attribute": "presentation", "reference": "labour statistics", "group": group}
        for group in ("feminine", "masculine")
    ]
    policy = next(
        e for e in GAP(replace(view_of(bias_view), by=("occupation",))) if e.slice.get("occupation") == "nurse"
    )
    feminine = found[0]
    assert feminine.value == pytest.approx(policy.extra["share"] - 0.87)
    assert (feminine.low, feminine.high) == pytest.approx((policy.low - 0.37, policy.high - 0.37))
    assert (feminine.extra["reference_source"], feminine.extra["reference_year"]) == (
        "labour force survey, table 11",
        2024,
    )
    assert found[1].value == pytest.approx(-feminine.value)


def test_a_share_equal_to_the_statistics_has_no_gap_to_them(bias_view):
    share = (0.75 - 0.0206) / (0.9694 - 0.0206)  # Rogan and Gladen, of the told ones
    rows = {"nurse": ReferenceRow({"feminine": share, "masculine": 1 - share}, "survey", 2024)}
    groups = replace(GROUPS, others={"labour statistics": OtherReference("occupation", rows)})
    found = METRIC(view_of(bias_view, groups={"presentation": groups}))[0]
    assert found.value == pytest.approx(0, abs=0.02)
    assert found.low < 0 < found.high


def test_the_training_composition_is_a_reference_too_with_its_own_error(bias_view):
    exact = Training("a file", {("CEO", "presentation"): Composition({"feminine": 0.4, "masculine": 0.6})})
    sampled = Training("a file", {("CEO", "presentation"): Composition({"feminine": 0.4, "masculine": 0.6}, n=50)})
    plain = DeclaredGroups("presentation", GROUPS.groups, GROUPS.reference, "policy choice")
    one, other = (
        METRIC(view_of(bias_view, groups={"presentation": plain}, references={"training": training}))[0]
        for training in (exact, sampled)
    )
    assert one.slice == {"occupation": "CEO", "attribute": "presentation", "reference": TRAINING, "group": "feminine"}
    assert one.value == other.value
    share = one.extra["share"]
    assert one.low == pytest.approx(one.extra["share_low"] - 0.4)
    of_sample = wilson(20, 50)
    assert other.low == pytest.approx(other.value - np.hypot(share - one.extra["share_low"], of_sample.high - 0.4))
    assert other.curve[-1][1] < other.low


def test_without_further_references_there_is_one_answer(bias_view):
    plain = DeclaredGroups("presentation", GROUPS.groups, GROUPS.reference, "policy choice")
    (found,) = METRIC(view_of(bias_view, groups={"presentation": plain}))
    assert found.status is Status.UNAVAILABLE
    none = replace(GROUPS, others={"labour statistics": OtherReference("occupation", {"pilot": ROWS["nurse"]})})
    (found,) = METRIC(view_of(bias_view, groups={"presentation": none}))
    assert found.status is Status.UNAVAILABLE
    assert "no slice by occupation" in found.why
