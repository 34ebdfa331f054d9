# SPDX-License-Identifier: Apache-2.0
"""Colours and marks are those of the reports."""

from __future__ import annotations

import tomllib
from pathlib import Path

from theme import DECISION_COLOURS, DECISIONS, STATE_COLOURS, looks
from words import STATES

from audit.render.theme import GENERATOR_COLOURS
from audit.types import Decision


def test_every_decision_and_state_has_a_look():
    assert set(DECISIONS) == set(Decision)
    assert {decision.value for decision in DECISIONS} == set(DECISION_COLOURS)
    assert set(STATE_COLOURS) == set(STATES)


def test_looks_follow_the_order_of_the_generators_and_repeat():
    names = [f"g{i}" for i in range(len(GENERATOR_COLOURS) + 1)]
    found = looks(names)
    assert [found[name].colour for name in names[:-1]] == list(GENERATOR_COLOURS)
    assert found[names[-1]] == found[names[0]]


def test_configuration_uses_the_palette():
    config = tomllib.loads((Path(__file__).parents[2] / "dashboard" / ".streamlit" / "config.toml").read_text())
    assert config["theme"]["chartCategoricalColors"] == list(GENERATOR_COLOURS)
    assert config["browser"]["gatherUsageStats"] is False
