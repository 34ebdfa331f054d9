# SPDX-License-Identifier: Apache-2.0
"""Prompt lists that others published, made into probe sets: no prompt is lost or doubled without a word."""

from __future__ import annotations

from audit.probes.importers.drafts import Columns, Draft
from audit.probes.importers.formats import FORMATS
from audit.probes.importers.published import import_prompts
from audit.probes.importers.write import Imported, Origin, Target, write_set

__all__ = ["FORMATS", "Columns", "Draft", "Imported", "Origin", "Target", "import_prompts", "write_set"]
