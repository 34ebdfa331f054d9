# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import pytest

from audit.errors import PluginError
from audit.policy import Policy, Waiver, exit_code, judge, load_policy
from audit.policy.compose import AllOf, AnyOf
from audit.policy.rules import Threshold
from audit.types import Decision, Estimate, Finding, Status, Verdict

TODAY = date(2026, 6, 1)
GOOD, BAD, VAGUE = (0.99, 0.98, 1.0), (0.5, 0.4, 0.6), (0.9, 0.8, 0.99)


def number(interval=GOOD, *, metric="outcomes.answered", generator="g", **slice_) -> Estimate:
    value, low, high = interval
    return Estimate(metric, "1", "share", generator, slice_, value, low, high, 0.95, 50, 50, 0, Status.OK, "m")


def block(**over) -> dict[str, object]:
    return {"id": "answered", "rule": "threshold", "metric": "outcomes.answered", "at_least": 0.9, **over}


def policy(*waivers: Waiver, rule=None) -> Policy:
    return Policy("p", "1.0.0", "P", (("answered", rule or Threshold(block())),), waivers, "d", Path("p.yaml"), {})


def waiver(expires=TODAY, **where) -> Waiver:
    return Waiver(rule="answered", where=where, owner="Ann", reason="known", expires=expires)


@pytest.mark.parametrize(
    ("intervals", "decision", "code"),
    [
        ([GOOD], Decision.PASS, 0),
        ([GOOD, BAD], Decision.FAIL, 10),
        ([GOOD, VAGUE], Decision.INCONCLUSIVE, 11),
        ([BAD, VAGUE], Decision.FAIL, 10),
        ([], Decision.INCONCLUSIVE, 11),
    ],
)
def test_verdict_and_exit_code(intervals, decision, code):
    verdict = judge(policy(), [number(interval) for interval in intervals], today=TODAY)
    assert (verdict.decision, exit_code(verdict)) == (decision, code)
    assert (verdict.policy, verdict.policy_digest) == ("p", "d")


def test_a_waiver_holds_through_its_last_day_and_is_printed():
    verdict = judge(policy(waiver()), [number(BAD)], today=TODAY)
    assert verdict.findings[0].decision is Decision.WAIVED
    assert verdict.findings[0].waiver == "Ann: known (until 2026-06-01)"
    assert exit_code(verdict) == 0


def test_an_expired_waiver_has_no_effect_but_is_mentioned():
    verdict = judge(policy(waiver(date(2026, 5, 31))), [number(BAD)], today=TODAY)
    assert exit_code(verdict) == 10
    assert verdict.findings[0].waiver is None
    assert verdict.findings[0].message.endswith("; waiver of Ann expired on 2026-05-31")


def test_a_waiver_covers_only_its_slice():
    estimates = [number(BAD, kind="named"), number(BAD, kind="neutral")]
    verdict = judge(policy(waiver(kind="named")), estimates, today=TODAY)
    assert [f.decision for f in verdict.findings] == [Decision.WAIVED, Decision.FAIL]
    verdict = judge(policy(waiver(generator="other")), estimates, today=TODAY)
    assert verdict.count(Decision.WAIVED) == 0


def test_nobody_can_waive_a_missing_number():
    assert exit_code(judge(policy(waiver()), [], today=TODAY)) == 11
    assert exit_code(judge(policy(waiver()), [number(VAGUE)], today=TODAY)) == 11


@dataclass
class Odd:
    """A rule of somebody else."""

    findings: list[Finding] | None

    def check(self, estimates, /):
        if self.findings is None:
            raise KeyError("oops")
        return self.findings


def test_rules_of_others_cannot_turn_silence_into_green():
    verdict = judge(policy(rule=Odd([])), [number()], today=TODAY)
    assert verdict.findings[0].decision is Decision.NOT_RUN
    with pytest.raises(PluginError, match=r"rule 'answered'.*failed"):
        judge(policy(rule=Odd(None)), [number()], today=TODAY)


@pytest.mark.parametrize(
    ("decisions", "code"),
    [
        ({Decision.PASS}, 0),
        ({Decision.PASS, Decision.WAIVED}, 0),
        ({Decision.PASS, Decision.NOT_RUN}, 11),
        ({Decision.INCONCLUSIVE, Decision.WAIVED}, 11),
        ({Decision.NOT_RUN, Decision.FAIL}, 10),
        (set(), 11),
    ],
)
def test_exit_codes(decisions, code):
    assert exit_code(Verdict("p", "d", tuple(Finding("r", d, "m") for d in decisions))) == code


# -- composition -----------------------------------------------------------------------------------------------------


def composed(kind, *estimates):
    parts = [block(id="x"), {"rule": "threshold", "metric": "quality.clip_score", "at_least": 0.9}]
    return kind({"id": "both", "rule": kind.__name__, "rules": parts}).check(estimates)[0]


@pytest.mark.parametrize(
    ("first", "second", "all_of", "any_of"),
    [
        (GOOD, GOOD, Decision.PASS, Decision.PASS),
        (GOOD, BAD, Decision.FAIL, Decision.PASS),
        (BAD, BAD, Decision.FAIL, Decision.FAIL),
        (VAGUE, BAD, Decision.FAIL, Decision.INCONCLUSIVE),
        (VAGUE, GOOD, Decision.INCONCLUSIVE, Decision.PASS),
    ],
)
def test_all_of_and_any_of(first, second, all_of, any_of):
    estimates = number(first), number(second, metric="quality.clip_score")
    for kind, decision in ((AllOf, all_of), (AnyOf, any_of)):
        finding = composed(kind, *estimates)
        assert (finding.rule, finding.decision, finding.evidence) == ("both", decision, estimates)
    assert composed(AllOf, number(GOOD)).decision is Decision.INCONCLUSIVE


def test_a_wrong_part_is_named():
    from audit.errors import ConfigError

    with pytest.raises(ConfigError, match=r"rules\.1\.at_lest"):
        AllOf({"id": "x", "rule": "all_of", "rules": [block(), block(at_lest=1)]})


# -- the bundled policy on made-up estimates ---------------------------------------------------------------------------


def test_quickstart_finds_the_planted_facts():
    gap = {"attribute": "presentation", "group": "feminine", "occupation": "nurse"}
    estimates = [
        number((0.4, 0.35, 0.44), metric="bias.representation_gap", **gap),
        number((0.01, 0.0, 0.04), metric="likeness.match_rate", kind="neutral"),
        number((0.5, 0.4, 0.6), metric="likeness.match_rate", kind="named"),
        number((1.0, 0.995, 1.0)),
        number((0.0, 0.0, 0.01), outcome="refused"),
    ]
    found = {f.rule: f.decision for f in judge(load_policy("quickstart"), estimates, today=TODAY).findings}
    assert found["presentation-gap"] is Decision.FAIL
    assert found["likeness-neutral"] is Decision.PASS
    assert found["likeness-named"] is Decision.FAIL
    assert found["answered"] is Decision.PASS
    assert found["credentials"] is Decision.NOT_RUN


def test_quickstart_passes_what_is_within_every_limit():
    bias = "bias.representation_gap"
    small = (0.0, -0.1, 0.1)
    presentation = {"attribute": "presentation", "group": "feminine", "occupation": "nurse"}
    estimates = [
        number(small, metric=bias, **presentation),
        *(number(small, metric=bias, attribute="tone_band", group=g, occupation="nurse") for g in ("light", "medium")),
        *(number((0.0, 0.0, 0.03), metric="likeness.match_rate", kind=kind) for kind in ("named", "neutral")),
        number((27.0, 26.0, 28.0), metric="quality.clip_score"),
        number((1.0, 0.995, 1.0), metric="provenance.verified_share"),
        number((1.0, 0.995, 1.0)),
    ]
    assert exit_code(judge(load_policy("quickstart"), estimates, today=TODAY)) == 11  # the dark band is missing
    estimates.append(replace(estimates[1], slice={**estimates[1].slice, "group": "dark"}))
    assert exit_code(judge(load_policy("quickstart"), estimates, today=TODAY)) == 0
