# SPDX-License-Identifier: Apache-2.0
"""C2PA's own asset rubrics, as small checks over crJSON, and a few of ours that an image generator should meet.

A rubric is about what credentials say and how they say it. It does not say that they are true, and a file can meet all
of it whose signature does not hold: `audit.provenance.verify` is for that.

The rubrics of the C2PA conformance task force (version 1.0, 2026-08-06) are published under CC BY 4.0 at
https://github.com/c2pa-org/conformance-public/tree/main/asset-rubrics. Ids of checks and signals are theirs.
"""

from __future__ import annotations

from audit.provenance.rubric._model import Check, Outcome, Rubric, Rule
from audit.provenance.rubric._run import (
    CHECKS,
    Count,
    check,
    check_bytes,
    passes,
    read_crjson,
    rubric_summary,
    signals,
)
from audit.provenance.rubric._signals import SIGNALS
from audit.provenance.rubric._view import Found

__all__ = [
    "CHECKS",
    "SIGNALS",
    "Check",
    "Count",
    "Found",
    "Outcome",
    "Rubric",
    "Rule",
    "check",
    "check_bytes",
    "passes",
    "read_crjson",
    "rubric_summary",
    "signals",
]
