# SPDX-License-Identifier: Apache-2.0
"""What rules return, and the verdict they add up to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from audit.types._measured import Estimate
from audit.types._words import Decision

__all__ = ["Finding", "Rule", "RuleFactory", "Verdict"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule applied to one slice."""

    rule: str  # id of the rule in the policy
    decision: Decision
    message: str  # one plain sentence with the numbers
    evidence: tuple[Estimate, ...] = ()
    limit: str = ""  # the limit in words, e.g. "at most 0.20"
    waiver: str | None = None  # owner, reason, end date


@runtime_checkable
class Rule(Protocol):
    """A judgement over estimates; built from its block in the policy file."""

    def check(self, estimates: Sequence[Estimate], /) -> Sequence[Finding]:
        """Findings, at least one: where nothing matches, one NOT_RUN."""
        ...


RuleFactory = Callable[[Mapping[str, Any]], Rule]


@dataclass(frozen=True, slots=True)
class Verdict:
    """All findings and the one word that the exit code follows."""

    policy: str
    policy_digest: str
    findings: tuple[Finding, ...]

    @property
    def decision(self) -> Decision:
        """FAIL if any finding fails, else INCONCLUSIVE if any is inconclusive or not run, else PASS."""
        seen = {finding.decision for finding in self.findings}
        if Decision.FAIL in seen:
            return Decision.FAIL
        if not seen or seen & {Decision.INCONCLUSIVE, Decision.NOT_RUN}:
            return Decision.INCONCLUSIVE
        return Decision.PASS

    def count(self, decision: Decision) -> int:
        """How many findings ended so."""
        return sum(finding.decision is decision for finding in self.findings)
