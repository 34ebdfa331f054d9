# SPDX-License-Identifier: Apache-2.0
"""Which images stand out."""

from __future__ import annotations

import json

import numpy as np
import pytest

from audit.render.telling import EACH, telling
from audit.runs._tables import scores_to_table

N = 20


def table(values, *, metric="quality.frechet_distance", where=None):
    ids = np.array([f"r{i}" for i in range(len(values))], dtype=object)
    return scores_to_table([({"request_id": ids}, metric, where or {"probe": "p", "features": "clip"}, values)])


def manifest(direction):
    spec = {"id": "quality.frechet_distance", "title": "Frechet distance", "direction": direction}
    return {"metrics": [spec], "probes": [{"name": "p"}]}


@pytest.mark.parametrize(("direction", "worst"), [("lower", "r19"), ("higher", "r0")])
def test_the_ends_are_chosen_by_the_number_and_the_direction(direction, worst):
    asked = {f"r{i}": "a" for i in range(N)}
    found = list(telling(table(np.linspace(-1.0, 1.0, N)), manifest(direction), asked))
    assert [f.kind for f in found] == ["worst"] * EACH + ["best"] * EACH
    assert found[0].request_id == worst
    assert found[EACH].request_id == {"r19": "r0", "r0": "r19"}[worst]
    assert found[0].measure == "Frechet distance (clip features)"
    assert found[0].note == {"lower": "+1", "higher": "-1"}[direction]


def test_generators_are_told_apart_and_few_images_tell_nothing():
    asked = {f"r{i}": "a" if i < 2 * EACH else "b" for i in range(N)}  # of b too few
    found = list(telling(table(np.arange(N, dtype=float)), manifest("lower"), asked))
    assert {asked[f.request_id] for f in found} == {"a"}
    assert found[0].note == "11"  # all of one sign: a score of its own, not a contribution


def test_images_without_a_number_and_requests_without_an_image_are_left_out():
    values = np.linspace(0.0, 1.0, N)
    values[-1] = np.nan
    asked = {f"r{i}": "a" for i in range(N) if i != 18}
    found = list(telling(table(values), manifest("lower"), asked))
    assert found[0].request_id == "r17"
    assert not {"r18", "r19"} & {f.request_id for f in found}


def test_scores_come_back_as_they_were_stored():
    stored = table(np.array([0.5, np.nan, 2.0]))
    assert stored.to_pylist() == [
        {"request_id": "r0", "metric": "quality.frechet_distance", "slice": stored["slice"][0].as_py(), "value": 0.5},
        {"request_id": "r2", "metric": "quality.frechet_distance", "slice": stored["slice"][1].as_py(), "value": 2.0},
    ]
    assert json.loads(stored["slice"][0].as_py()) == {"probe": "p", "features": "clip"}
