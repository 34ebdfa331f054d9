# SPDX-License-Identifier: Apache-2.0
"""The records that flow through an audit, and the protocols that plug-ins implement.

Nothing here imports more than numpy: every layer may depend on this module, so it must stay light.
Records are frozen; a stage receives records and returns new ones.
"""

from __future__ import annotations

from audit.types._asked import Generation, Generator, GeneratorSpec, Prompt, Request, size_of
from audit.types._judged import Finding, Rule, RuleFactory, Verdict
from audit.types._measured import DeclaredGroups, Estimate, Metric, MetricSpec, OtherReference, ReferenceRow, View
from audit.types._seen import Annotator, AnnotatorSpec, ImageRecord, OperatingCharacteristics
from audit.types._words import Columns, Decision, Outcome, Scalar, Status, family_of

__all__ = [
    "Annotator",
    "AnnotatorSpec",
    "Columns",
    "Decision",
    "DeclaredGroups",
    "Estimate",
    "Finding",
    "Generation",
    "Generator",
    "GeneratorSpec",
    "ImageRecord",
    "Metric",
    "MetricSpec",
    "OperatingCharacteristics",
    "OtherReference",
    "Outcome",
    "Prompt",
    "ReferenceRow",
    "Request",
    "Rule",
    "RuleFactory",
    "Scalar",
    "Status",
    "Verdict",
    "View",
    "family_of",
    "size_of",
]
