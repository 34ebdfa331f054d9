# SPDX-License-Identifier: Apache-2.0
"""The renderer draws the shares it was declared with: the whole audit finds no amplification."""

from __future__ import annotations

import pytest

from audit.runs import Run
from audit.types import Status


@pytest.mark.slow
def test_the_renderer_amplifies_nothing(small, genaudit, tmp_path):
    path = small(
        generators=[{"name": "renderer", "kind": "renderer", "training": "reference:world"}],
        probes=[{"set": "occupations", "repetitions": 24}],
        metrics=["bias.amplification"],
    )
    done = genaudit("run", path)
    assert done.returncode == 0, done.stderr
    everything = Run(tmp_path / "runs" / "small").estimates()
    found = [estimate for estimate in everything if estimate.metric == "bias.amplification"]
    assert len(found) == 3 * 9
    assert all(e.status is Status.OK for e in found)
    held = [e.low <= 0 <= e.high for e in found]
    assert all(e.low <= 0 <= e.high for e in found if "occupation" not in e.slice)
    assert sum(held) >= 25
