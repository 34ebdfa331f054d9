# SPDX-License-Identifier: Apache-2.0
"""From the audit file to the view: where a training composition is declared, read, and put into fingerprints."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import yaml

from audit.config import load_config
from audit.errors import ConfigError
from audit.registry import METRICS
from audit.runs import make_plan
from audit.runs._view import measure, with_training
from audit.types import View

AUDIT = {
    "generators": [{"name": "g", "kind": "renderer", "training": "people.csv"}],
    "probes": [{"set": "occupations"}],
}
PEOPLE = "occupation,attribute,group,share\nnurse,presentation,feminine,0.8\nnurse,presentation,masculine,0.2\n"


@pytest.fixture
def plan(tmp_path):
    def make(text=PEOPLE, source="people.csv"):
        (tmp_path / "people.csv").write_text(text)
        generator = {**AUDIT["generators"][0], "training": source}
        (tmp_path / "audit.yaml").write_text(yaml.safe_dump({**AUDIT, "generators": [generator]}))
        return make_plan(load_config(tmp_path / "audit.yaml"))

    return make


def test_a_file_is_found_beside_the_audit_file(plan):
    assert set(plan().training["g"].rows) == {("nurse", "presentation")}


def test_the_planted_world_by_name_and_nothing_by_default(plan):
    assert ("CEO", "tone_band") in plan(source="reference:world").training["g"].rows
    assert plan(source=None).training == {}


def test_an_unknown_occupation_stops_the_plan(plan):
    with pytest.raises(ConfigError, match="unknown occupation 'nurze'") as caught:
        plan(PEOPLE.replace("nurse", "nurze"))
    assert "'nurse'" in caught.value.hint


def test_only_the_metric_that_reads_it_has_it_in_its_fingerprint(plan):
    training = plan().training["g"]
    view = View("g", {"request_id": np.array([], object), "outcome": np.array([], object)}, level=0.95)
    other = replace(training, rows={})
    for name, differs in (("bias.amplification", True), ("bias.total_variation", False)):
        prints = {measure(METRICS.get(name), with_training(view, t), {}, [])[0].fingerprint for t in (training, other)}
        assert (len(prints) == 2) is differs
        bare = measure(METRICS.get(name), with_training(view, None), {}, [])[0].fingerprint
        assert (bare not in prints) is differs
