# SPDX-License-Identifier: Apache-2.0
"""A rule: a metric must have been measured at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from audit.types import Decision, Estimate, Finding, Status


class Measured:
    """Passes when at least one estimate of the metric carries a number."""

    def __init__(self, block: Mapping[str, Any]) -> None:
        self.id, self.metric = str(block["id"]), str(block["metric"])

    def check(self, estimates: Sequence[Estimate], /) -> list[Finding]:
        """One finding."""
        found = tuple(e for e in estimates if e.metric == self.metric and e.status is Status.OK)
        decision = Decision.PASS if found else Decision.NOT_RUN
        return [Finding(self.id, decision, f"{self.metric}: {len(found)} numbers", found, "at least one number")]
