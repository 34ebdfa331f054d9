# SPDX-License-Identifier: Apache-2.0
"""Metrics that read whichever of several instruments is there."""

from __future__ import annotations

import pytest

from audit.config import AuditConfig
from audit.runs.plan import make_plan

TEXT = {"text.character_error_rate", "text.edit_similarity", "text.exact_match"}


def planned(instruments):
    raw = {
        "name": "words",
        "generators": [{"name": "world", "kind": "renderer"}],
        "probes": [{"set": "signs", "repetitions": 2}],
        "instruments": instruments,
    }
    return set(make_plan(AuditConfig.model_validate(raw)).metrics)


@pytest.mark.parametrize("reader", ["ocr", "scene"])
def test_either_reader_is_enough_for_the_text_metrics(reader):
    assert planned({"annotators": [reader]}) >= TEXT


def test_without_any_reader_nobody_is_told_that_there_is_none():
    assert not planned({}) & TEXT
    assert not planned({"annotators": ["faults"]}) & TEXT
