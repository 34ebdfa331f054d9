# SPDX-License-Identifier: Apache-2.0
"""Written policies and three-way verdicts. Judging reads estimates and nothing else."""

from __future__ import annotations

from audit.policy.judge import exit_code, judge
from audit.policy.load import Policy, Waiver, load_policy

__all__ = ["Policy", "Waiver", "exit_code", "judge", "load_policy"]
