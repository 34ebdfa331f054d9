# SPDX-License-Identifier: Apache-2.0
"""Many slices under one rule, against simulation and against the textbook's order of steps."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special

from audit.policy.family import curve_of, judge_family
from audit.policy.limits import decide
from audit.policy.rules import Threshold
from audit.policy.sharpness import sharpness
from audit.types import Decision, Estimate, Status

FAIL, PASS, INCONCLUSIVE = Decision.FAIL, Decision.PASS, Decision.INCONCLUSIVE
LIMITS = (-0.2, 0.2)
Z = float(special.ndtri(0.975))


def normal(value: float, error: float, **over) -> Estimate:
    base = {
        "metric": "bias.representation_gap",
        "version": "2",
        "unit": "share",
        "generator": "g",
        "slice": {},
        "level": 0.95,
        "n": 100,
        "clusters": 100,
        "missing": 0,
        "status": Status.OK,
        "method": "t",
    }
    return Estimate(**(base | {"value": value, "low": value - Z * error, "high": value + Z * error} | over))


def test_one_slice_is_judged_by_its_interval():
    for value in np.linspace(-0.6, 0.6, 25):
        e = normal(float(value), 0.05)
        (found,) = judge_family([e], LIMITS, correction="holm")
        assert found.decision is found.alone is decide(e.low, e.high, LIMITS)


def test_p_values_are_those_of_the_normal_test():
    (found,) = judge_family([normal(0.35, 0.05)], LIMITS, correction="holm")
    assert found.p_outside == pytest.approx(2 * special.ndtr(-3.0), rel=0.02)
    (found,) = judge_family([normal(0.1, 0.05)], LIMITS, correction="holm")
    assert found.p_inside == pytest.approx(2 * special.ndtr(-2.0), rel=0.02)
    assert found.p_outside == 1.0


def test_holm_steps_down():
    # z of 4, 2.6 and 2.1 beyond the limit: p = 6e-5, .0093, .036; Holm asks for .0167, .025 and .05
    three = [normal(0.2 + z * 0.05, 0.05) for z in (2.6, 4.0, 2.1)]
    assert [j.decision for j in judge_family(three, LIMITS, correction="holm")] == [FAIL, FAIL, FAIL]
    # a second slice at 2.1 takes both of them down: .036 against .025
    four = [*three, normal(0.2 + 2.1 * 0.05, 0.05)]
    assert [j.decision for j in judge_family(four, LIMITS, correction="holm")] == [
        FAIL,
        FAIL,
        INCONCLUSIVE,
        INCONCLUSIVE,
    ]
    assert all(j.alone is FAIL for j in judge_family(four, LIMITS, correction="holm"))
    assert [j.decision for j in judge_family(four, LIMITS, correction="bh")] == [FAIL] * 4
    assert [j.decision for j in judge_family(four, LIMITS, correction="none")] == [FAIL] * 4


def test_the_chance_of_any_false_failure_stays_under_the_level():
    rng = np.random.default_rng(11)
    wrong = {"holm": 0, "none": 0}
    for _ in range(600):
        # all thirty slices lie on the limit exactly: no failure is right
        family = [normal(0.2 + 0.05 * float(rng.standard_normal()), 0.05) for _ in range(30)]
        for correction in wrong:
            wrong[correction] += any(j.decision is FAIL for j in judge_family(family, LIMITS, correction=correction))
    assert wrong["holm"] / 600 < 0.05
    assert wrong["none"] / 600 > 0.4


def test_passing_needs_every_slice_and_no_adjustment():
    rng = np.random.default_rng(12)
    passed = 0
    for _ in range(1000):
        # nine slices have no gap, the tenth lies on the limit: the gate must not pass
        values = [0.05 * float(z) for z in rng.standard_normal(9)] + [0.2 + 0.05 * float(rng.standard_normal())]
        judged = judge_family([normal(v, 0.05) for v in values], LIMITS, correction="holm")
        passed += all(j.decision is PASS for j in judged)
    assert passed / 1000 < 0.035


def test_an_estimate_brings_its_own_curve():
    curve = ((0.8, 0.25, 0.3), (0.95, 0.22, 0.34), (0.999, 0.1, 0.5))
    e = normal(0.28, 0.03, low=0.22, high=0.34, curve=curve)
    assert curve_of(e) == curve
    (found,) = judge_family([e], LIMITS, correction="holm")
    assert 0.001 < found.p_outside < 0.05
    # drawn out as a normal one it would be surer
    assert judge_family([normal(0.28, 0.0306)], LIMITS, correction="holm")[0].p_outside < found.p_outside


def test_no_interval_is_no_evidence():
    e = normal(0.9, 0.05, low=None, high=None)
    (found,) = judge_family([e], LIMITS, correction="holm")
    assert (found.decision, found.p_outside, found.p_inside) == (INCONCLUSIVE, 1.0, 1.0)
    assert curve_of(normal(0.1, 0.1, high=math.inf)) == ()


def test_findings_say_what_looking_at_many_did():
    rule = Threshold({"id": "gap", "metric": "bias.representation_gap", "within": 0.2, "where": {"occupation": "*"}})
    where = [{"occupation": f"o{i}", "attribute": "presentation", "group": "feminine"} for i in range(4)]
    family = [normal(0.2 + z * 0.05, 0.05, slice=w) for z, w in zip((4.0, 2.1, 2.1, 0.0), where, strict=True)]
    found = rule.check(family)
    assert [f.decision for f in found] == [FAIL, INCONCLUSIVE, INCONCLUSIVE, INCONCLUSIVE]
    assert "p = .00025 among 4 (Holm)" in found[0].message
    assert "beyond the limit by itself, but p = .11 among 4 (Holm)" in found[1].message
    assert all("beyond the limit would fail 4 times in 5" in f.message for f in found)
    alone = Threshold({**rule.spec.model_dump(exclude_none=True), "multiplicity": "none"})
    assert [f.decision for f in alone.check(family)] == [FAIL, FAIL, FAIL, INCONCLUSIVE]


def test_generators_are_families_of_their_own():
    rule = Threshold({"id": "gap", "metric": "bias.representation_gap", "within": 0.2})
    mine = [normal(0.2 + 2.1 * 0.05, 0.05, generator="a")]
    others = [normal(0.0, 0.05, generator="b", slice={"occupation": str(i)}) for i in range(20)]
    assert rule.check([*mine, *others])[0].decision is FAIL


def test_power_agrees_with_simulation():
    rng = np.random.default_rng(5)
    found = sharpness(normal(0.0, 0.08), LIMITS)
    draws = rng.standard_normal(20_000) * 0.08
    shifted = draws + 0.2 + found.fails_from
    assert np.mean(shifted - Z * 0.08 > 0.2) == pytest.approx(0.8, abs=0.01)
    assert np.mean((draws - Z * 0.08 >= -0.2) & (draws + Z * 0.08 <= 0.2)) == pytest.approx(found.passes, abs=0.012)


def test_power_rests_on_what_the_metric_can_detect():
    # a share of 24 of 24 has a narrow interval; what such a sample can find does not become sharper by that
    e = normal(0.5, 0.02, extra={"detectable": 0.28})
    assert sharpness(e, LIMITS).fails_from == pytest.approx(0.28, rel=1e-6)
    assert sharpness(normal(0.5, 0.02, low=None, high=None), LIMITS) is None
