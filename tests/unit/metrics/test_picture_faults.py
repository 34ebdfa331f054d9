# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from audit.metrics.quality.checkerboard import METRIC as CHECKERBOARD
from audit.metrics.quality.discriminator_score import METRIC as DISCRIMINATOR
from audit.metrics.quality.effective_resolution import METRIC as RESOLUTION
from audit.stats.intervals import mean_interval
from audit.types import Status


@pytest.mark.parametrize(
    ("metric", "column"), [(CHECKERBOARD, "faults__checkerboard"), (DISCRIMINATOR, "discriminator__score")]
)
def test_clustered_means(make_view, metric, column):
    values = np.random.default_rng(0).gamma(2.0, 1.0, 40)
    values[7] = np.nan
    (found,) = metric(make_view(40, **{column: values}))
    expected = mean_interval(np.delete(values, 7), np.delete(np.arange(40) % 4, 7))
    assert (found.value, found.high) == pytest.approx((expected.value, expected.high))
    assert found.low == pytest.approx(max(expected.low, 0) if metric is CHECKERBOARD else expected.low)
    assert (found.n, found.clusters, found.missing) == (39, 4, 1)
    assert metric(make_view(3))[0].status is Status.UNAVAILABLE


def test_resolution_leaves_flat_images_out_and_tells_their_share(make_view):
    pixels = np.array([64.0] * 6 + [32.0] * 2 + [np.nan] * 2)
    constant = ["no"] * 8 + ["yes", None]
    outcome = ["image"] * 9 + ["error"]
    overall, *jobs = RESOLUTION(
        make_view(
            10,
            faults__effective_resolution=pixels,
            faults__constant=constant,
            outcome=outcome,
            axis__job=["a"] * 8 + ["b"] * 2,
            by=("job",),
        )
    )
    assert (overall.value, overall.n, overall.missing) == (pytest.approx(56), 8, 2)
    assert overall.extra["constant_share"] == pytest.approx(1 / 9)
    assert [(e.slice["job"], e.status) for e in jobs] == [("a", Status.OK), ("b", Status.INSUFFICIENT)]
    assert jobs[1].extra["constant_share"] == 1
