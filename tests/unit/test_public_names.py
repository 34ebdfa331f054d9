# SPDX-License-Identifier: Apache-2.0
"""The public surface, written down: adding to it is a decision, taking from it a break."""

from __future__ import annotations

import importlib

import pytest

PUBLIC = {
    "audit": ["__version__"],
    "audit.annotators": [],
    "audit.datasets": [
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
    ],
    "audit.generators": [
        "Automatic1111Generator",
        "CallableGenerator",
        "ComfyUIGenerator",
        "DiffusersGenerator",
        "FolderGenerator",
        "GanGenerator",
        "HuggingFaceGenerator",
        "ModuleGenerator",
        "OnnxGenerator",
        "OpenAIGenerator",
        "ProgramGenerator",
        "RecurrentGenerator",
        "RendererGenerator",
        "VaeGenerator",
    ],
    "audit.labels": [
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
    ],
    "audit.metrics": [
        "FunctionMetric",
        "ImageScores",
        "estimate",
        "images",
        "insufficient",
        "mean_estimate",
        "metric",
        "slices",
    ],
    "audit.pipeline": ["Outcomes", "execute", "gate", "render"],
    "audit.policy": ["Policy", "Waiver", "exit_code", "judge", "load_policy"],
    "audit.probes": ["ProbeSet", "list_probe_sets", "load_probe_set", "request_seed", "requests"],
    "audit.render": ["Renderer", "Report", "Sample", "build_report", "summary_table"],
    "audit.selftest": ["Cell", "Check", "LIMITS", "Part", "Result", "Row", "Seen", "State", "Verdict", "selftest"],
    "audit.contract": ["Inquiry", "Row", "State", "lines", "opened", "prove", "targets"],
    "audit.serving": ["Settings", "build_app"],
    "audit.types": [
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
        "size_of",
    ],
    "audit.runs": ["Engine", "Plan", "Run", "make_plan"],
}


@pytest.mark.parametrize("module", sorted(PUBLIC))
def test_public_names(module: str) -> None:
    found = importlib.import_module(module)
    assert sorted(found.__all__) == PUBLIC[module]
    assert all(hasattr(found, name) for name in found.__all__)
