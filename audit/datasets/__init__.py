# SPDX-License-Identifier: Apache-2.0
"""Data as the field prepares it: collected, cleaned, normalised, augmented, split, described; nothing gets lost."""

from __future__ import annotations

from audit.datasets._augment import augment
from audit.datasets._card import card
from audit.datasets._clean import CleanRules, clean
from audit.datasets._collect import CollectOptions, collect
from audit.datasets._normalise import Shape, normalise
from audit.datasets._records import Dropped, Reason, Record
from audit.datasets._split import parse_parts, split
from audit.datasets._store import Dataset, Summary, open_set

__all__ = [
    "CleanRules",
    "CollectOptions",
    "Dataset",
    "Dropped",
    "Reason",
    "Record",
    "Shape",
    "Summary",
    "augment",
    "card",
    "clean",
    "collect",
    "normalise",
    "open_set",
    "parse_parts",
    "split",
]
