# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys

import pytest

from audit.registry import METRICS
from audit.types import Metric, Status


@pytest.mark.parametrize("name", list(METRICS))
def test_every_metric_is_what_its_name_says(name):
    metric = METRICS.get(name)
    assert isinstance(metric, Metric)
    assert metric.spec.id == name
    assert metric.spec.citation
    assert metric.spec.title


@pytest.mark.parametrize("name", list(METRICS))
def test_an_empty_view_never_gives_a_number(name, make_view):
    found = METRICS.get(name)(make_view(0))
    assert found
    assert all(e.status is not Status.OK and e.value is None and e.why for e in found)


def test_metrics_bring_no_torch():
    load = "import sys; from audit.registry import METRICS; [METRICS.get(n) for n in METRICS]"
    code = f"{load}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
