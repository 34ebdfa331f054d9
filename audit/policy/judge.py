# SPDX-License-Identifier: Apache-2.0
"""From estimates to a verdict, and from a verdict to an exit code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date

from audit.errors import PluginError
from audit.policy.load import Policy, Waiver
from audit.policy.rules import matches
from audit.types import Decision, Estimate, Finding, Rule, Verdict

__all__ = ["exit_code", "judge"]


def judge(policy: Policy, estimates: Sequence[Estimate], *, today: date) -> Verdict:
    """Apply every rule, then the waivers.

    A waiver turns a failed finding into a waived one up to and on its last day; after that it only leaves a note. It
    never touches findings that are inconclusive or not run: nobody can answer for a number that is not there.

    Args:
        policy: what to judge by.
        estimates: of one run.
        today: the day that waivers are held against (UTC).

    Raises:
        PluginError: a rule of another package raises.
    """
    findings = [finding for name, rule in policy.rules for finding in _check(name, rule, estimates)]
    judged = tuple(_waived(finding, policy.waivers, today) for finding in findings)
    return Verdict(policy.name, policy.digest, judged)


def exit_code(verdict: Verdict) -> int:
    """0 if the verdict is PASS, 10 if it is FAIL, 11 if it is inconclusive or not run.

    >>> exit_code(Verdict("empty", "", ()))
    11
    """
    return {Decision.PASS: 0, Decision.FAIL: 10}.get(verdict.decision, 11)


def _check(name: str, rule: Rule, estimates: Sequence[Estimate]) -> Sequence[Finding]:
    try:
        findings = rule.check(estimates)
    except Exception as error:
        message = f"rule {name!r} ({type(rule).__module__}) failed: {error}"
        raise PluginError(message, hint="repair the package it comes from, or take the rule out") from error
    return findings or [Finding(name, Decision.NOT_RUN, f"rule {name} looked at nothing")]


def _waived(finding: Finding, waivers: Iterable[Waiver], today: date) -> Finding:
    if finding.decision is not Decision.FAIL:
        return finding
    fitting = [waiver for waiver in waivers if waiver.rule == finding.rule and _covers(waiver, finding)]
    for waiver in fitting:
        if today <= waiver.expires:
            return replace(finding, decision=Decision.WAIVED, waiver=waiver.printed())
    notes = [f"; waiver of {waiver.owner} expired on {waiver.expires.isoformat()}" for waiver in fitting]
    return replace(finding, message=finding.message + "".join(notes))


def _covers(waiver: Waiver, finding: Finding) -> bool:
    """All of a finding's evidence must lie in the waiver's slice; without evidence only a waiver without slice fits."""
    if not waiver.where:
        return True
    return bool(finding.evidence) and all(matches(estimate, waiver.where) for estimate in finding.evidence)
