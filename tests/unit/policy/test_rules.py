# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from audit.policy.limits import decide
from audit.policy.rules import Threshold, matches
from audit.types import Decision, Estimate, Finding, Rule, Status

PASS, FAIL, INCONCLUSIVE, NOT_RUN = Decision.PASS, Decision.FAIL, Decision.INCONCLUSIVE, Decision.NOT_RUN
INF = math.inf


def estimate(value=0.5, low=0.4, high=0.6, **over) -> Estimate:
    base = {
        "metric": "outcomes.answered",
        "version": "1",
        "unit": "share",
        "generator": "g",
        "slice": {},
        "level": 0.95,
        "n": 24,
        "clusters": 24,
        "missing": 0,
        "status": Status.OK if value is not None else Status.INSUFFICIENT,
        "method": "Wilson",
    }
    return Estimate(**(base | {"value": value, "low": low, "high": high} | over))


def rule(**block) -> Threshold:
    return Threshold({"id": "r", "rule": "threshold", "metric": "outcomes.answered", **block})


def decisions(findings: list[Finding]) -> list[Decision]:
    return [finding.decision for finding in findings]


@pytest.mark.parametrize(
    ("limit", "interval", "decision"),
    [
        ({"at_most": 0.5}, (0.1, 0.5), PASS),
        ({"at_most": 0.5}, (0.1, 0.51), INCONCLUSIVE),
        ({"at_most": 0.5}, (0.5, 0.9), INCONCLUSIVE),
        ({"at_most": 0.5}, (0.51, 0.9), FAIL),
        ({"at_least": 0.5}, (0.5, 0.9), PASS),
        ({"at_least": 0.5}, (0.49, 0.9), INCONCLUSIVE),
        ({"at_least": 0.5}, (0.1, 0.5), INCONCLUSIVE),
        ({"at_least": 0.5}, (0.1, 0.49), FAIL),
        ({"within": 0.2}, (-0.2, 0.2), PASS),
        ({"within": 0.2}, (-0.3, 0.1), INCONCLUSIVE),
        ({"within": 0.2}, (-0.4, -0.21), FAIL),
        ({"within": 0.2}, (0.21, 0.4), FAIL),
        ({"within": 0.2}, (-0.4, 0.4), INCONCLUSIVE),
        ({"between": [0.4, 0.6]}, (0.4, 0.6), PASS),
        ({"between": [0.4, 0.6]}, (0.3, 0.39), FAIL),
        ({"at_most": 0.5}, (None, None), INCONCLUSIVE),
        ({"at_most": 0.5}, (None, 0.4), PASS),
        ({"at_most": 0.5}, (math.nan, 0.4), PASS),
        ({"at_most": 0.5}, (0.1, math.nan), INCONCLUSIVE),
        ({"at_least": 0}, (None, 0.4), INCONCLUSIVE),
    ],
)
def test_the_interval_decides(limit, interval, decision):
    findings = rule(**limit).check([estimate(0.0, *interval)])
    assert decisions(findings) == [decision]


ends = st.floats(-10, 10)


@given(ends, ends, ends, ends, st.floats(0, 5), st.floats(0, 5))
def test_widening_an_interval_only_ever_loses_certainty(a, b, c, d, left, right):
    limits, (low, high) = tuple(sorted((a, b))), sorted((c, d))
    before, after = decide(low, high, limits), decide(low - left, high + right, limits)
    assert after in {before, INCONCLUSIVE}


@given(ends, ends, ends, ends, st.floats(0, 5))
def test_loosening_a_limit_never_hurts(a, b, c, d, slack):
    (bottom, top), (low, high) = sorted((a, b)), sorted((c, d))
    order = [FAIL, INCONCLUSIVE, PASS]
    before, after = decide(low, high, (bottom, top)), decide(low, high, (bottom - slack, top + slack))
    assert order.index(after) >= order.index(before)


@given(ends, ends, ends)
def test_at_most_is_at_least_of_the_negative(limit, c, d):
    low, high = sorted((c, d))
    assert decide(low, high, (-INF, limit)) is decide(-high, -low, (-limit, INF))


@given(ends, ends)
def test_a_point_is_never_inconclusive(limit, value):
    assume(not math.isnan(value))
    assert decide(value, value, (-INF, limit)) is (PASS if value <= limit else FAIL)


@pytest.mark.parametrize("status", [s for s in Status if s is not Status.OK])
def test_no_number_is_not_run_and_says_why(status):
    finding = rule(at_most=1).check([estimate(None, None, None, status=status, why="because of x", n=3)])[0]
    assert finding.decision is NOT_RUN
    assert "because of x" in finding.message
    assert "n=3" in finding.message
    assert len(finding.evidence) == 1


def test_nothing_matching_is_one_not_run():
    assert decisions(rule(at_most=1).check([])) == [NOT_RUN]
    assert decisions(rule(at_most=1, where={"occupation": "nurse"}).check([estimate()])) == [NOT_RUN]


def test_every_generator_and_every_named_value_must_be_there():
    estimates = [
        estimate(slice={"kind": "named"}, generator="a"),
        estimate(slice={"kind": "neutral"}, generator="a"),
        estimate(metric="other", generator="b"),
    ]
    found = rule(at_most=1, where={"kind": ["named", "described"]}).check(estimates)
    assert decisions(found) == [PASS, NOT_RUN, NOT_RUN]
    assert found[1].message == "a: no estimate of outcomes.answered where kind is described"
    assert found[2].message == "b: no estimate of outcomes.answered where kind is named or described"
    assert decisions(rule(at_most=1, where={"generator": ["a", "z"]}, exact=True).check(estimates)) == [NOT_RUN] * 2
    assert decisions(rule(at_most=1, where={"generator": "a"}).check(estimates)) == [PASS, PASS]


def test_a_missing_slice_repeats_why_the_metric_has_no_number():
    whole = estimate(None, None, None, status=Status.UNAVAILABLE, why="no annotator called attributes")
    found = rule(at_most=1, where={"occupation": "*"}).check([whole])
    assert decisions(found) == [NOT_RUN]
    assert found[0].message.endswith("where occupation is given: no annotator called attributes")


def test_exact_looks_past_the_probe_set():
    estimates = [estimate(slice={"probe": "p"}), estimate(slice={"probe": "p", "kind": "named"})]
    assert len(rule(at_most=1, exact=True).check(estimates)) == 1
    assert len(rule(at_most=1, exact=True, where={"kind": "named"}).check(estimates)) == 1
    assert decisions(rule(at_most=1, exact=True, where={"probe": "q"}).check(estimates)) == [NOT_RUN]


def test_min_n_makes_a_small_sample_inconclusive():
    assert decisions(rule(at_most=1, min_n=25).check([estimate(n=24)])) == [INCONCLUSIVE]
    assert decisions(rule(at_most=1, min_n=24).check([estimate(n=24)])) == [PASS]


@pytest.mark.parametrize(
    ("where", "exact", "hit"),
    [
        ({}, False, True),
        ({}, True, False),
        ({"occupation": ("nurse",)}, True, True),
        ({"occupation": ("*",)}, True, True),
        ({"occupation": ("cook", "nurse"), "generator": ("g",)}, True, True),
        ({"generator": ("h",)}, False, False),
        ({"occupation": None}, False, False),
        ({"kind": None}, False, True),
        ({"kind": ("*",)}, False, False),
    ],
)
def test_where(where, exact, hit):
    assert matches(estimate(slice={"occupation": "nurse"}), where, exact=exact) is hit


@pytest.mark.parametrize(
    "block",
    [
        {},
        {"at_most": 1, "at_least": 0},
        {"within": -0.1},
        {"between": [2, 1]},
        {"at_most": math.nan},
        {"at_most": 1, "severity": "warn"},
        {"at_most": 1, "where": {"kind": []}},
        {"at_most": 1, "where": {"kind": 3}},
        {"at_most": 1, "min_n": 0},
    ],
)
def test_wrong_blocks_are_refused(block):
    with pytest.raises(ValidationError):
        rule(**block)


def test_threshold_is_a_rule():
    assert isinstance(rule(at_most=1), Rule)
