# SPDX-License-Identifier: Apache-2.0
"""From what the drawing process wrote to the columns that metrics read, through a whole run that is resumed."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from audit.config import AuditConfig
from audit.pipeline import execute
from audit.runs import Run
from audit.runs._files import to_json
from audit.runs._tables import GENERATIONS, metered
from audit.types import Status

PRICES = {
    "currency": "EUR",
    "source": "made up",
    "date": "2026-11-01",
    "generators": {"gan": {"per_hour": 1}, "renderer": {"per_image": 0.04}},
}


def config(folder, **more) -> AuditConfig:
    generators = [
        {"name": "gan", "kind": "gan", "model": "reference:gan", "batch_size": 4, "workers": 1},
        {"name": "renderer", "kind": "renderer", "batch_size": 4},
    ]
    bare = {"instruments": {"annotators": []}, "provenance": {"stamp": False}, "gallery": None, "reference": None}
    probes = [{"set": "occupations", "repetitions": 4, "limit": 4}]
    return AuditConfig.model_validate(
        {"out": str(folder), "generators": generators, "probes": probes, "reports": ["md"], **bare, **more}
    )


def test_a_run_knows_what_it_took_and_counts_once_over_a_resumed_one(tmp_path):
    first = execute(config(tmp_path / "run", cost={"prices": PRICES}))
    found = {(e.metric, e.generator): e for e in first.estimates}
    assert found["cost.flops_per_image", "gan"].value == 183_038_976
    assert found["cost.peak_memory", "gan"].value > 50 * 2**20
    assert 0 < found["cost.cpu_seconds_per_image", "gan"].value < 5
    assert "without the batch whose operations were counted" in found["cost.seconds_per_image", "gan"].method
    assert found["cost.flops_per_image", "renderer"].status is Status.UNAVAILABLE
    assert found["cost.price_per_thousand", "renderer"].value == 40
    priced, timed = found["cost.price_per_thousand", "gan"], found["cost.seconds_per_image", "gan"]
    assert priced.value * 3.6 == pytest.approx(timed.value), "an hour of 3600 seconds, for a thousand images"
    assert first.run.manifest["prices"]["source"] == "made up"

    rows = Run.open(tmp_path / "run").generations().to_pylist()
    mine = [json.loads(row["meta"]) for row in rows if row["generator"] == "gan"]
    assert sum("meter.flops" in meta for meta in mine) == 4

    part = sorted((tmp_path / "run" / "generations").glob("part-00-*"))[-1]
    part.unlink()
    (tmp_path / "run" / "manifest.json").unlink()
    second = execute(config(tmp_path / "run"))
    again = second.run.generations().to_pylist()
    assert [row["pixels"] for row in again] == [row["pixels"] for row in rows]
    metas = [json.loads(row["meta"]) for row in again]
    assert sum("meter.flops" in meta for meta in metas) == 4


def test_what_is_unknown_or_of_another_kind_is_null():
    metas = [{"meter.flops": 7, "cost": "dear"}, {"cost": 0.04, "meter.energy_by": 3}, None]
    rows = [{"request_id": str(k), "meta": None if meta is None else to_json(meta)} for k, meta in enumerate(metas)]
    found = metered(pa.Table.from_pylist(rows, GENERATIONS))
    assert found["flops"].to_pylist() == [7.0, None, None]
    assert found["paid"].to_pylist() == [None, 0.04, None]
    assert found["energy_by"].to_pylist() == [None] * 3
    assert np.isnan(found["flops"].to_numpy()[1])
