# SPDX-License-Identifier: Apache-2.0
"""People in the loop: a sample of a run's images goes out blinded, comes back as labels, and enters the numbers."""

from __future__ import annotations

from audit.labels._agree import Agreement, agreement, filled_sheets, open_labels
from audit.labels._confusion import Confusion, confusion_from_labels
from audit.labels._export import Design, export
from audit.labels._key import Export, open_export
from audit.labels._read import Summary, read_into
from audit.labels._table import Labels, labelled

__all__ = [
    "Agreement",
    "Confusion",
    "Design",
    "Export",
    "Labels",
    "Summary",
    "agreement",
    "confusion_from_labels",
    "export",
    "filled_sheets",
    "labelled",
    "open_export",
    "open_labels",
    "read_into",
]
