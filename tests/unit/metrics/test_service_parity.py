# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from audit.metrics.bias.service_parity import METRIC
from audit.stats.frechet import frechet
from audit.stats.intervals import newcombe, wilson
from audit.types import Status


@pytest.fixture
def served(bias_view):
    """A view of prompts that ask for a presentation: n requests of each, over five prompts a group."""

    def make(feminine, masculine, **columns):
        words = ["feminine"] * feminine + ["masculine"] * masculine
        more = {"prompt_id": [f"{w} {i % 5}" for i, w in enumerate(words)], "axis__who": words, **columns}
        return replace(bias_view(words, **more), asks={"presentation": "who"})

    return make


def one(found, service, group=None):
    (match,) = [e for e in found if e.slice["service"] == service and e.slice.get("group") == group]
    return match


def test_refusals_by_the_group_asked_for(served):
    outcome = ["image"] * 38 + ["refused"] * 2 + ["image"] * 25 + ["refused"] * 15
    found = METRIC(served(40, 40, outcome=outcome))
    feminine, gap = one(found, "share refused", "feminine"), one(found, "share refused")
    expected = wilson(2, 40)
    assert (feminine.value, feminine.low, feminine.high) == pytest.approx((0.05, expected.low, expected.high))
    assert (feminine.n, feminine.missing, feminine.unit, feminine.extra["by"]) == (40, 0, "share", "asked")
    expected = newcombe(15, 40, 2, 40)
    assert (gap.value, gap.low, gap.high) == pytest.approx((0.325, expected.low, expected.high))
    assert (gap.extra["highest"], gap.extra["lowest"]) == ("masculine", "feminine")
    assert gap.extra["ratio"] == pytest.approx(0.05 / 0.375)
    assert one(found, "share blocked").value == 0.0
    assert one(found, "share blocked").extra["ratio"] is None


def test_a_group_that_is_always_refused_is_the_worst_there_is_and_no_data_elsewhere(served):
    cosine = np.concatenate([np.random.default_rng(0).normal(0.3, 0.02, 40), np.full(40, np.nan)])
    found = METRIC(served(40, 40, outcome=["image"] * 40 + ["refused"] * 40, clip__similarity=cosine))
    assert (one(found, "share refused").value, one(found, "share refused").high) == (1.0, 1.0)
    masculine = one(found, "CLIP score", "masculine")
    assert (masculine.status, masculine.value, masculine.missing) == (Status.INSUFFICIENT, None, 40)
    assert masculine.extra["missing_refused"] == 40
    gap = one(found, "CLIP score")
    assert (gap.value, "masculine" in gap.why) == (None, True)


def test_scores_by_the_group_asked_for(served):
    rng = np.random.default_rng(1)
    cosine = np.concatenate([rng.normal(0.30, 0.02, 60), rng.normal(0.25, 0.02, 60)])
    found = METRIC(served(60, 60, clip__similarity=cosine))
    gap, feminine = one(found, "CLIP score"), one(found, "CLIP score", "feminine")
    assert feminine.value == pytest.approx(100 * cosine[:60].mean())
    assert (feminine.clusters, gap.clusters, gap.unit) == (5, 10, "score")
    assert gap.value == pytest.approx(100 * (cosine[:60].mean() - cosine[60:].mean()))
    assert 3.5 < gap.low < gap.value < gap.high < 6.5
    assert 0 < gap.floor < 0.6
    assert gap.extra["excess"] == pytest.approx(gap.value - gap.floor)


def test_prompts_that_are_paired_are_compared_within_their_scenes(served):
    rng = np.random.default_rng(2)
    scene = rng.normal(0.3, 0.05, 20)
    cosine = np.concatenate([scene, scene - 0.01 + rng.normal(0, 0.002, 20)])
    view = served(20, 20, clip__similarity=cosine, pair=[f"s{i}" for i in range(20)] * 2)
    gap = one(METRIC(view), "CLIP score")
    expected = stats.ttest_rel(100 * cosine[:20], 100 * cosine[20:]).confidence_interval()
    assert (gap.low, gap.high) == pytest.approx((expected.low, expected.high))


def test_equal_service_reaches_zero(served):
    cosine = np.tile(np.random.default_rng(3).normal(0.3, 0.02, 40), 2)
    found = METRIC(served(40, 40, clip__similarity=cosine, attributes__face=np.ones(80)))
    for service in ("CLIP score", "share with a face", "share refused"):
        assert (one(found, service).value, one(found, service).low) == (pytest.approx(0.0, abs=1e-9), 0.0)
        assert one(found, service).high > 0


def test_groups_that_nobody_asks_for_are_those_perceived(bias_view):
    cosine = np.random.default_rng(4).normal(0.3, 0.02, 60)
    said = ["feminine"] * 30 + ["masculine"] * 25 + ["could not tell"] * 5
    found = METRIC(bias_view(said, clip__similarity=cosine))
    assert {e.slice["service"] for e in found} == {"CLIP score"}  # who is refused cannot be seen
    gap = one(found, "CLIP score")
    assert (gap.n, gap.missing, gap.extra["by"]) == (55, 5, "perceived")
    found = METRIC(bias_view(["feminine"] * 60, clip__similarity=cosine))
    assert (one(found, "CLIP score", "masculine").value, one(found, "CLIP score").value) == (None, None)


def test_frechet_distances_where_there_are_enough_images(served):
    rng = np.random.default_rng(5)
    reference = rng.normal(size=(300, 4))
    features = np.concatenate([rng.normal(size=(80, 4)), rng.normal(2.0, 1, size=(80, 4))])
    found = METRIC(served(80, 80, clip__features=features, references={"features.clip": reference}))
    own = frechet(features[80:], reference)
    masculine, gap = one(found, "Frechet distance", "masculine"), one(found, "Frechet distance")
    assert (masculine.value, masculine.low, masculine.high) == pytest.approx((own.value, own.low, own.high))
    assert gap.low > 5
    assert (gap.unit, gap.extra["highest"]) == ("distance", "masculine")
    few = METRIC(served(30, 80, clip__features=features[:110], references={"features.clip": reference}))
    assert one(few, "Frechet distance", "feminine").status is Status.INSUFFICIENT
    assert one(few, "Frechet distance").value is None


def test_without_groups_columns_or_requests(make_view, served, bias_view):
    (found,) = METRIC(make_view(10))
    assert (found.status, "groups" in found.why) == (Status.UNAVAILABLE, True)
    (found,) = METRIC(bias_view(["feminine"] * 20))
    assert (found.status, "clip.similarity" in found.why) == (Status.UNAVAILABLE, True)
    nothing = METRIC(served(20, 20).take(np.zeros(40, dtype=bool)))
    assert nothing
    assert {e.status for e in nothing} == {Status.INSUFFICIENT}


def test_the_gap_of_scores_is_covered_through_the_whole_metric(served):
    rng, held = np.random.default_rng(6), 0
    for _ in range(200):
        prompt = rng.normal(0, 0.01, 10)
        place = np.array([i % 5 for i in range(100)]) + 5 * (np.arange(100) >= 50)
        cosine = np.where(np.arange(100) < 50, 0.3, 0.28) + prompt[place] + rng.normal(0, 0.02, 100)
        gap = one(METRIC(served(50, 50, clip__similarity=cosine)), "CLIP score")
        held += gap.low <= 2.0 <= gap.high
    assert held / 200 >= 0.92
