# SPDX-License-Identifier: Apache-2.0
"""Metrics that are the mean over images of one score: CLIP-S, preference, aesthetic, VQA score."""

from __future__ import annotations

import numpy as np
import pytest

from audit.metrics.quality.aesthetic import METRIC as AESTHETIC
from audit.metrics.quality.clip_s import METRIC as CLIP_S
from audit.metrics.quality.clip_score import METRIC as CLIP_SCORE
from audit.metrics.quality.preference import METRIC as PREFERENCE
from audit.metrics.quality.vqa_score import METRIC as VQA_SCORE
from audit.policy.missing import worst_case
from audit.registry import METRICS
from audit.stats.intervals import mean_interval
from audit.types import Status

PLAIN = [AESTHETIC, PREFERENCE, VQA_SCORE]


def test_clip_s_cuts_every_image_at_0_and_clip_score_none(make_view):
    cosine = np.array([0.3, -0.1, 0.2, 0.0])
    view = make_view(4, clip__similarity=cosine)
    (published,), (plain,) = CLIP_S(view), CLIP_SCORE(view)
    assert published.value == pytest.approx(2.5 * 0.5 / 4)
    assert plain.value == pytest.approx(100 * 0.4 / 4)
    # The two orders of mean and cut differ, which is why one name would not do for both.
    assert published.value != pytest.approx(2.5 * plain.value / 100)


@pytest.mark.parametrize("metric", PLAIN, ids=lambda metric: metric.spec.id)
def test_mean_by_axis_with_prompts_as_clusters(make_view, metric):
    rng = np.random.default_rng(0)
    values = rng.uniform(0.1, 0.9, 40)
    values[7] = np.nan
    (column,) = metric.spec.needs
    outcome = ["image"] * 39 + ["refused"]
    view = make_view(
        40, **{column.replace(".", "__"): values}, outcome=outcome, axis__kind=["a", "b"] * 20, by=("kind",)
    )
    whole, first, _ = metric(view)
    kept = np.isfinite(values) & (np.arange(40) < 39)
    expected = mean_interval(values[kept], (np.arange(40) % 4)[kept])
    assert (whole.value, whole.low, whole.high) == pytest.approx((expected.value, expected.low, expected.high))
    assert (whole.n, whole.missing, whole.clusters) == (38, 2, 4)
    assert first.slice == {"kind": "a"}
    assert METRICS.get(metric.spec.id) is metric


@pytest.mark.parametrize("metric", [*PLAIN, CLIP_S, CLIP_SCORE], ids=lambda metric: metric.spec.id)
def test_without_the_instrument_or_values(make_view, metric):
    (column,) = metric.spec.needs
    assert metric(make_view(3))[0].status is Status.UNAVAILABLE
    assert metric.scores(make_view(3)) == ()
    empty = make_view(3, **{column.replace(".", "__"): np.full(3, np.nan)})
    assert metric(empty)[0].status is Status.INSUFFICIENT


def test_scores_of_single_images(make_view):
    cosine = np.array([0.3, -0.1, np.nan, 0.25])
    view = make_view(4, clip__similarity=cosine, outcome=["image"] * 3 + ["blocked"])
    (scores,) = CLIP_SCORE.scores(view)
    assert scores.slice == {}
    np.testing.assert_allclose(scores.values, [30, -10, np.nan, np.nan])


def test_images_that_are_missing_could_have_had_any_cosine(make_view):
    view = make_view(10, clip__similarity=np.full(10, 0.3), outcome=["image"] * 8 + ["refused"] * 2)
    worst = worst_case(CLIP_SCORE(view)[0])
    assert (worst.low, worst.high) == pytest.approx((0.8 * 30 - 20, 0.8 * 30 + 20))
    bounded = worst_case(CLIP_S(view)[0])
    assert (bounded.low, bounded.high) == pytest.approx((0.8 * 0.75, 0.8 * 0.75 + 0.2 * 2.5))
