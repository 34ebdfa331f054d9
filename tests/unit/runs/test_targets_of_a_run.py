# SPDX-License-Identifier: Apache-2.0
"""Two runs of one audit: each picture of the second is held against its twin in the first."""

from __future__ import annotations

import numpy as np
import pytest

from audit.config import AuditConfig
from audit.images import decode
from audit.runs import Run, make_plan
from audit.runs.engine import Engine

TV, PSNR = "TotalVariation", "PeakSignalNoiseRatio"


def draw(folder, *, seed, **changes):
    base = {
        "seed": seed,
        "generators": [{"name": "g", "kind": "renderer"}],
        "probes": [{"set": "portraits", "limit": 3, "repetitions": 2}],
        "instruments": {"annotators": ["faults"]},
        "metrics": ["outcomes.answered"],
        "gallery": None,
        "reference": None,
        "provenance": {"stamp": False},
    }
    plan = make_plan(AuditConfig.model_validate({**base, **changes}))
    run = Run.create(folder, plan.record(), plan.requests)
    engine = Engine(plan, run)
    engine.collect()
    engine.estimate()
    engine.finish()
    return run


def pictures(run):
    """Pixels by prompt and repetition."""
    of = {r.id: (r.prompt.id, r.repetition) for r in run.planned()}
    rows = run.generations().to_pylist()
    return {
        of[row["request_id"]]: decode(run.image_path(row["sha256"], row["media_type"]).read_bytes()) for row in rows
    }


def test_each_picture_against_its_twin(tmp_path):
    first = draw(tmp_path / "first", seed=1)
    against = {"torchmetrics": {"against": {"run": str(first.path), "generator": "g"}}}
    names = [f"torchmetrics:{TV}", f"torchmetrics:{PSNR}"]
    instruments = {"annotators": ["faults"], "options": {**against}}
    second = draw(tmp_path / "second", seed=2, metrics=names, instruments={**instruments})
    old, new = pictures(first), pictures(second)
    assert set(old) == set(new)
    assert len(new) == 6
    expected = [-10 * np.log10(np.mean((new[key] / 255 - old[key] / 255) ** 2)) for key in new]
    found = {e.metric: e for e in second.estimates()}
    assert found[f"torchmetrics:{PSNR}"].value == pytest.approx(np.mean(expected), rel=1e-5)
    assert (found[f"torchmetrics:{PSNR}"].n, found[f"torchmetrics:{PSNR}"].clusters) == (6, 3)
    assert found[f"torchmetrics:{TV}"].value is not None
    assert second.scores().num_rows >= 12
