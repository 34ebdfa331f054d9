# SPDX-License-Identifier: Apache-2.0
"""``genaudit survive``."""

from __future__ import annotations

NAME = "survive"
EXAMPLES = ""


def command() -> int:
    """Being written."""
    return 2
