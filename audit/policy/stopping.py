# SPDX-License-Identifier: Apache-2.0
"""When a prompt need not be asked any more: its findings are decided, or hardly will be."""

from __future__ import annotations

from datetime import date

import numpy as np

from audit.policy.judge import judge
from audit.policy.load import Policy
from audit.policy.rules import Threshold
from audit.stats.sequential import Outlook, hopeless
from audit.types import Decision, Estimate, Finding, Status

__all__ = ["done", "stoppable"]


def stoppable(policy: Policy, estimates: tuple[Estimate, ...], *, today: date) -> list[tuple[Estimate, bool]]:
    """Each estimate that a finding rests on, and whether that finding waits for no more images.

    Args:
        policy: what is to be decided.
        estimates: so far, with intervals that hold at any stopping time.
        today: the day that waivers are held against (UTC).
    """
    rules = dict(policy.rules)
    found = []
    for finding in judge(policy, estimates, today=today).findings:
        rule = rules.get(finding.rule)
        limits = rule.spec.limits if isinstance(rule, Threshold) else None
        found += [(estimate, done(finding, estimate, limits)) for estimate in finding.evidence]
    return found


def done(finding: Finding, estimate: Estimate, limits: tuple[float, float] | None) -> bool:
    """Whether more images would not help: decided, beyond all numbers, or with hardly a chance to be decided.

    A slice that has too few answers yet waits for more; one that no number of images can give a number does not.
    """
    if estimate.status is not Status.OK:
        return estimate.status is not Status.INSUFFICIENT
    if finding.decision is not Decision.INCONCLUSIVE:
        return True
    return limits is not None and _hopeless(estimate, limits)


def _hopeless(estimate: Estimate, limits: tuple[float, float]) -> bool:
    """By the outlook that estimates of stopped designs carry; gaps are shares less their reference."""
    names = ("outlook_share", "outlook_spread", "outlook_matrix", "outlook_n", "asked", "cap", "reference")
    values = [estimate.extra.get(name) for name in names]
    if not all(isinstance(value, int | float) for value in values):
        return False
    share, spread, matrix, n, asked, cap, reference = (float(value) for value in values if value is not None)
    parts = np.array([[share], [spread], [matrix], [n]])
    ahead = Outlook(parts[0], parts[1], parts[2], parts[3], max(0, int(cap - asked)))
    return bool(hopeless(ahead, np.array([limits]) + reference, level=estimate.level)[0])
