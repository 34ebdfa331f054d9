# SPDX-License-Identifier: Apache-2.0
"""``genaudit recover``."""

from __future__ import annotations

NAME = "recover"
EXAMPLES = ""


def command() -> int:
    """Being written."""
    return 2
