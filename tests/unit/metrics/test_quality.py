# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from audit.metrics.quality.clip_score import METRIC as CLIP
from audit.metrics.quality.frechet_distance import METRIC as FRECHET
from audit.stats.frechet import frechet, frechet_from_features
from audit.stats.intervals import mean_interval
from audit.stats.moments import Moments
from audit.types import Status


def test_clip_score_is_the_clustered_mean_of_cosines_with_their_sign(make_view):
    cosine = np.random.default_rng(0).normal(0.2, 0.1, 40)
    cosine[3] = -0.4
    (found,) = CLIP(make_view(40, clip__similarity=cosine.astype(np.float32)))
    values = 100 * cosine.astype(np.float32).astype(float)
    expected = mean_interval(values, np.arange(40) % 4)
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert (found.n, found.clusters, found.missing) == (40, 4, 0)


def test_clip_score_by_axis_with_one_prompt_takes_rows_as_units(make_view):
    cosine = np.linspace(0.1, 0.4, 40)
    jobs = [f"job{i % 4}" for i in range(40)]
    found = CLIP(make_view(40, clip__similarity=cosine, axis__job=jobs, by=("job",)))
    assert [e.slice for e in found] == [{}, *({"job": f"job{i}"} for i in range(4))]
    assert found[1].clusters == 10
    assert "rows as units" in found[1].method
    assert found[0].clusters == 4


def test_clip_score_ignores_rows_without_an_image(make_view):
    cosine = np.full(6, 0.3)
    cosine[5] = np.nan
    view = make_view(6, clip__similarity=cosine, outcome=["image"] * 4 + ["blocked", "image"])
    (found,) = CLIP(view)
    assert (found.n, found.missing, found.value) == (4, 2, pytest.approx(30.0))


def test_clip_score_without_numbers(make_view):
    assert CLIP(make_view(3))[0].status is Status.UNAVAILABLE
    assert CLIP(make_view(0, clip__similarity=np.empty(0)))[0].status is Status.INSUFFICIENT
    assert CLIP(make_view(1, clip__similarity=np.array([0.3])))[0].status is Status.INSUFFICIENT


def test_frechet_distance_is_corrected_and_bounded(make_view):
    rng = np.random.default_rng(1)
    x, y = rng.normal(0.2, 1, (80, 16)).astype(np.float32), rng.normal(size=(300, 16)).astype(np.float32)
    x[7] = np.nan
    (found,) = FRECHET(make_view(80, clip__features=x, references={"features.clip": y}))
    expected = frechet(np.delete(x, 7, axis=0), y)
    assert found.slice == {"features": "clip"}
    assert (found.value, found.low, found.high) == pytest.approx((expected.value, expected.low, expected.high))
    assert (found.n, found.missing, found.extra["reference_n"], found.extra["dimension"]) == (79, 1, 300, 16)
    assert found.extra["raw"] > found.value


def test_frechet_distance_of_each_space_and_of_slices_that_are_large_enough(make_view):
    rng = np.random.default_rng(1)
    x, y = rng.normal(0.2, 1, (90, 4)).astype(np.float32), rng.normal(size=(300, 4)).astype(np.float32)
    columns = {"clip__features": x, "sscd__features": x[:, :2], "axis__job": ["nurse"] * 60 + ["pilot"] * 30}
    found = FRECHET(make_view(90, **columns, by=("job",), references={"features.clip": y, "features.sscd": y[:, :2]}))
    assert [e.slice for e in found] == [
        {"features": "clip"},
        {"features": "sscd"},
        {"job": "nurse", "features": "clip"},
        {"job": "nurse", "features": "sscd"},
    ]
    assert found[2].value == pytest.approx(frechet(x[:60], y).value)


def test_frechet_distance_to_published_statistics(make_view):
    rng = np.random.default_rng(4)
    x, y = rng.normal(0.2, 1, (80, 6)).astype(np.float32), rng.normal(size=(3000, 6))
    fixed = Moments(None, y.mean(axis=0), np.cov(y, rowvar=False))
    (found,) = FRECHET(make_view(80, clip__features=x, references={"features.clip": fixed}))
    assert found.value == pytest.approx(frechet(x, y).value, abs=0.02)
    assert "taken as fixed" in found.method
    assert found.extra["reference_n"] is None
    (other,) = FRECHET(make_view(80, clip__features=x[:, :5], references={"features.clip": fixed}))
    assert other.status is Status.UNAVAILABLE


def test_frechet_distance_says_which_images_hurt(make_view):
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(600, 6)).astype(np.float32), rng.normal(size=(300, 6)).astype(np.float32)
    x[11] += 3  # far off: the worst
    x[3] = np.nan
    view = make_view(600, clip__features=x, references={"features.clip": y})
    (scores,) = FRECHET.scores(view)
    assert scores.slice == {"features": "clip"}
    assert np.flatnonzero(np.isnan(scores.values)).tolist() == [3]
    assert int(np.nanargmax(scores.values)) == 11
    without = frechet_from_features(np.delete(x, (3, 11), axis=0), y) - frechet_from_features(
        np.delete(x, 3, axis=0), y
    )
    assert scores.values[11] == pytest.approx(-without, rel=0.25)
    assert FRECHET.scores(make_view(600, clip__features=x)) == ()


@pytest.mark.parametrize(("n", "m", "d"), [(49, 300, 4), (100, 40, 4), (79, 300, 64)])
def test_frechet_distance_needs_images_on_both_sides(make_view, n, m, d):
    rng = np.random.default_rng(2)
    (found,) = FRECHET(
        make_view(n, clip__features=rng.normal(size=(n, d)), references={"features.clip": rng.normal(size=(m, d))})
    )
    assert (found.status, found.value) == (Status.INSUFFICIENT, None)
    assert "needs" in found.why
    assert "raw" not in found.extra


def test_frechet_distance_without_reference_or_with_another_dimension(make_view):
    x = np.zeros((60, 4))
    assert FRECHET(make_view(60, clip__features=x))[0].status is Status.UNAVAILABLE
    assert FRECHET(make_view(60))[0].status is Status.UNAVAILABLE
    other = FRECHET(make_view(60, clip__features=x, references={"features.clip": np.zeros((60, 5))}))
    assert other[0].status is Status.UNAVAILABLE
