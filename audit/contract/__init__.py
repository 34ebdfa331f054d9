# SPDX-License-Identifier: Apache-2.0
"""What an audit relies on in a generator, proved on that generator by asking it: one row a promise.

Example:
    >>> from contextlib import nullcontext
    >>> from audit.contract import Inquiry, prove
    >>> from audit.registry import GENERATORS
    >>> renderer = GENERATORS.get("renderer")("r", options={"size": 16})
    >>> rows = prove(lambda: nullcontext(renderer), Inquiry(images=4))
    >>> [row.check for row in rows if row.state == "BAD"]
    []
"""

from __future__ import annotations

from audit.contract._inquiry import Inquiry
from audit.contract._open import opened
from audit.contract._prove import prove
from audit.contract._rows import Row, State, lines
from audit.contract._target import targets

__all__ = ["Inquiry", "Row", "State", "lines", "opened", "prove", "targets"]
