# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from audit.metrics.quality import faults
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


MEANS = {
    faults.BLUR: ("blur", (0, 1)),
    faults.BLOCKINESS: ("blockiness", (-255, 255)),
    faults.RINGING: ("ringing", (-255, 255)),
    faults.BANDING: ("banding", (0, 1)),
    faults.NOISE: ("noise", (0, None)),
    faults.CLIPPING: ("clipped", (0, 1)),
}


@pytest.mark.parametrize("metric", MEANS, ids=lambda metric: metric.spec.id)
def test_each_fault_is_the_clustered_mean_of_its_own_column(make_view, metric):
    column, bounds = MEANS[metric]
    rng = np.random.default_rng(1)
    columns = {f"faults__{name}": rng.uniform(0, 0.4, 40) for name, _ in MEANS.values()}
    columns[f"faults__{column}"][5] = np.nan
    overall, part = metric(make_view(40, **columns, axis__job=["a"] * 20 + [None] * 20, by=("job",)))
    values = columns[f"faults__{column}"]
    expected = mean_interval(np.delete(values, 5), np.delete(np.arange(40) % 4, 5))
    assert (overall.value, overall.high) == pytest.approx((expected.value, expected.high))
    assert overall.low == pytest.approx(max(expected.low, bounds[0]))
    assert (overall.n, overall.clusters, overall.missing) == (39, 4, 1)
    assert part.value == pytest.approx(np.nanmean(values[:20]))
    assert (metric.spec.bounds, metric.spec.direction) == (bounds, "lower")
    assert metric(make_view(3))[0].status is Status.UNAVAILABLE


def test_no_banding_in_twenty_images_is_not_none_ever(make_view):
    (found,) = faults.BANDING(make_view(20, faults__banding=np.zeros(20)))
    assert (found.value, found.low, found.high) == (0, 0, pytest.approx(1 - 0.025 ** (1 / 20)))


def blanks(make_view, constant, dark, bright, **more):
    return faults.BLANK_SHARE(
        make_view(len(constant), faults__constant=constant, faults__dark=dark, faults__bright=bright, **more)
    )


def test_a_picture_that_is_blank_twice_counts_once(make_view):
    constant = ["yes"] * 2 + ["no"] * 17 + [None]
    dark = ["yes"] + ["no"] * 9 + ["yes"] + ["no"] * 8 + [None]
    bright = ["no"] * 11 + ["yes"] + ["no"] * 7 + [None]
    outcome = ["image"] * 19 + ["blocked"]
    (found,) = blanks(make_view, constant, dark, bright, outcome=outcome)
    kinds = np.isin(np.arange(19), [0, 1, 10, 11]).astype(float)
    expected = mean_interval(kinds, np.arange(19) % 4)
    assert (found.value, found.high) == pytest.approx((4 / 19, expected.high))
    assert (found.n, found.missing) == (19, 1)
    assert {name: found.extra[name] for name in ("constant", "dark", "bright")} == {
        "constant": 2,
        "dark": 2,
        "bright": 1,
    }
    assert found.extra["missing_blocked"] == 1


@pytest.mark.parametrize(("answer", "low", "high"), [("no", 0, 1 - 0.025 ** (1 / 12)), ("yes", 0.025 ** (1 / 12), 1)])
def test_none_or_all_of_twelve_is_no_certainty(make_view, answer, low, high):
    (found,) = blanks(make_view, [answer] * 12, ["no"] * 12, ["no"] * 12)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert blanks(make_view, [None] * 12, [None] * 12, [None] * 12)[0].status is Status.INSUFFICIENT
