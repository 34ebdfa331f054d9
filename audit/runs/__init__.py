# SPDX-License-Identifier: Apache-2.0
"""Plan, generate, annotate, estimate - and the folder that all of it lives in."""

from __future__ import annotations

from audit.runs.engine import Engine
from audit.runs.plan import Plan, make_plan
from audit.runs.store import Run

__all__ = ["Engine", "Plan", "Run", "make_plan"]
