# SPDX-License-Identifier: Apache-2.0
"""Distances on features: each space by itself, the whole and its slices, against the statistics they stand on."""

from __future__ import annotations

import numpy as np
import pytest

from audit.metrics.quality.cmmd import METRIC as CMMD
from audit.metrics.quality.kernel_distance import METRIC as KID
from audit.metrics.quality.neighbours import COVERAGE, DENSITY, PRECISION, RECALL
from audit.stats._remember import remembered
from audit.stats.cmmd import cmmd
from audit.stats.kernel_distance import kernel_distance
from audit.stats.neighbours import neighbours
from audit.types import Status

N, M, D = 60, 80, 6
ALL = (KID, CMMD, PRECISION, RECALL, DENSITY, COVERAGE)


@pytest.fixture
def sets():
    rng = np.random.default_rng(3)
    return rng.normal(0.3, 1, (N, D)).astype(np.float32), rng.normal(0, 1, (M, D)).astype(np.float32)


@pytest.fixture
def view(make_view, sets):
    x, y = sets
    jobs = ["nurse"] * 40 + ["pilot"] * 20
    twice = np.hstack([x, 2 * x])
    return make_view(
        N,
        clip__features=x,
        dinov2__features=twice,
        axis__job=jobs,
        by=("job",),
        references={"features.clip": y, "features.dinov2": np.hstack([y, y])},
    )


@pytest.mark.parametrize("metric", ALL, ids=lambda m: m.spec.id)
def test_every_space_and_slice_has_its_estimate(metric, view):
    slices = [found.slice for found in metric(view)]
    whole = [{"features": "clip"}, {"features": "dinov2"}]
    parts = [{"job": job, **space} for job in ("nurse", "pilot") for space in whole]
    assert slices == [*whole, *(parts if metric in (KID, CMMD) else [])]  # the others depend on n


def test_numbers_are_those_of_the_statistics(view, sets):
    x, y = sets
    kid, by_space = KID(view), {f.slice["features"]: f for f in KID(view) if "job" not in f.slice}
    expected = kernel_distance(x, y)
    assert (kid[0].value, kid[0].low, kid[0].high) == (expected.value, expected.low, expected.high)
    assert by_space["dinov2"].value != kid[0].value
    nurse = next(f for f in kid if f.slice == {"job": "nurse", "features": "clip"})
    assert nurse.value == kernel_distance(x[:40], y).value
    assert "subsets_mean" in kid[0].extra
    assert "subsets_mean" not in nurse.extra
    moved = cmmd(x, y)
    found = CMMD(view)[0]
    assert (found.value, found.extra["published"]) == (moved.corrected, moved.value)
    near = neighbours(x, y, k=5)
    for metric, name in ((PRECISION, "precision"), (RECALL, "recall"), (DENSITY, "density"), (COVERAGE, "coverage")):
        one, told = metric(view)[0], getattr(near, name)
        assert (one.value, one.low, one.high, one.floor) == (told.value, told.low, told.high, told.alike)


def test_influence_is_of_the_rows_with_an_image_and_of_both_spaces(make_view, sets):
    x, y = sets
    x[5] = np.nan
    scores = KID.scores(make_view(N, clip__features=x, references={"features.clip": y}))
    assert [s.slice for s in scores] == [{"features": "clip"}]
    assert np.isnan(scores[0].values[5])
    assert np.isfinite(np.delete(scores[0].values, 5)).all()


@pytest.mark.parametrize("metric", ALL, ids=lambda m: m.spec.id)
def test_no_number_without_reference_images_or_with_too_few(metric, make_view, sets):
    x, y = sets
    for columns, references, status in (
        ({}, {}, Status.UNAVAILABLE),
        ({"clip__features": x}, {}, Status.UNAVAILABLE),
        ({"clip__features": x}, {"features.clip": y[:, :3]}, Status.UNAVAILABLE),
        ({"clip__features": x}, {"features.clip": y[:9]}, Status.INSUFFICIENT),
        ({"clip__features": np.full_like(x, np.nan)}, {"features.clip": y}, Status.INSUFFICIENT),
    ):
        (found,) = metric(make_view(N, references=references, **columns))
        assert (found.status, found.value) == (status, None)
        assert found.missing == N - found.n
    (empty,) = metric(make_view(0, clip__features=x[:0], references={"features.clip": y}))
    assert empty.status is Status.INSUFFICIENT


def test_an_embedding_of_zeros_has_no_cmmd(make_view, sets):
    x, y = sets
    x[0] = 0
    (found,) = CMMD(make_view(N, clip__features=x, references={"features.clip": y}))
    assert "no direction" in found.why


def test_the_same_arrays_are_worked_on_once_and_others_again():
    calls = []

    def work(a, b, *, k):
        calls.append(k)
        return float(a.sum() + b.sum()) + k

    once = remembered(work)
    a, b = np.arange(4.0), np.ones((2, 2))
    assert once(a, b, k=1) == once(a.copy(), b.copy(), k=1) == 11.0
    assert calls == [1]
    once(a, b, k=2)
    once(b, a, k=1)
    once(a.astype(np.float32), b, k=1)
    once(a.reshape(2, 2), b, k=1)
    assert len(calls) == 5
