# SPDX-License-Identifier: Apache-2.0
"""``genaudit stamp``."""

from __future__ import annotations

NAME = "stamp"
EXAMPLES = ""


def command() -> int:
    """Being written."""
    return 2
