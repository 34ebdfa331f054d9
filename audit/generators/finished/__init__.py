# SPDX-License-Identifier: Apache-2.0
"""Finished images in the layouts in which people have them."""

from __future__ import annotations

from audit.generators.finished._open import LAYOUTS, open_layout
from audit.generators.finished._rows import Layout, Row, Unreadable
from audit.generators.finished._table import Table, digest_model, make_table
from audit.generators.finished.prompts import Count, prompts_of

__all__ = [
    "LAYOUTS",
    "Count",
    "Layout",
    "Row",
    "Table",
    "Unreadable",
    "digest_model",
    "make_table",
    "open_layout",
    "prompts_of",
]
