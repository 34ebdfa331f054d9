# SPDX-License-Identifier: Apache-2.0
"""Does the audit find what was planted, and nothing else? What ``genaudit selftest`` calls, for use from Python.

Example:
    >>> from audit.selftest import selftest           # doctest: +SKIP
    >>> selftest(Path("runs/selftest"), quick=True).passed  # doctest: +SKIP
    True
"""

from audit.selftest._checks import LIMITS, Check
from audit.selftest._rows import Cell, Part, Row, Seen, State, Verdict
from audit.selftest._run import Result, selftest

__all__ = ["LIMITS", "Cell", "Check", "Part", "Result", "Row", "Seen", "State", "Verdict", "selftest"]
