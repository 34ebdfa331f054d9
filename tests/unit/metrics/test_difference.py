# SPDX-License-Identifier: Apache-2.0
"""Two generators on the same requests: what is paired, what cancels, and what the interval and p-value promise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from audit.metrics.quality._measures import MEASURES
from audit.metrics.quality.difference import METRIC
from audit.registry import METRICS
from audit.stats.frechet_pairs import frechet_difference
from audit.types import Status

PROMPTS, TIMES = 12, 5
N = PROMPTS * TIMES


def columns(make_view, cosine, **more):
    prompts = [f"p{i // TIMES}" for i in range(N)]
    return make_view(
        N, clip__similarity=np.asarray(cosine), prompt_id=prompts, repetition=np.tile(np.arange(TIMES), PROMPTS), **more
    )


def versus(own, **rivals):
    return METRIC(replace(own, rivals={name: rival.columns for name, rival in rivals.items()}))


def test_a_difference_cancels_what_prompts_and_seeds_have_in_common(make_view):
    rng = np.random.default_rng(0)
    shared = rng.normal(0.25, 0.1, N)
    own = columns(make_view, shared + 0.01 + rng.normal(0, 0.005, N))
    rival = columns(make_view, shared)
    found = next(e for e in versus(own, b=rival) if e.slice["score"] == "quality.clip_score")
    change = 100 * (own.columns["clip.similarity"] - rival.columns["clip.similarity"])
    by_prompt = change.reshape(PROMPTS, TIMES).mean(axis=1)
    half = stats.t.ppf(0.975, PROMPTS - 1) * by_prompt.std(ddof=1) / PROMPTS**0.5
    assert found.value == pytest.approx(change.mean())
    assert (found.low, found.high) == pytest.approx((change.mean() - half, change.mean() + half))  # equal prompts
    assert found.low > 0
    assert found.extra["p"] < 0.01
    assert (found.n, found.clusters, found.unit) == (N, PROMPTS, "score difference")
    assert found.slice["against"] == "b"
    turned = next(e for e in versus(rival, a=own) if e.slice["score"] == "quality.clip_score")
    assert turned.value == pytest.approx(-found.value)


def test_the_order_of_rows_is_no_matter_and_only_common_requests_count(make_view):
    rng = np.random.default_rng(1)
    own, rival = columns(make_view, rng.normal(0.3, 0.1, N)), columns(make_view, rng.normal(0.3, 0.1, N))
    whole = versus(own, b=rival)
    order = rng.permutation(N)
    shuffled = replace(rival, columns={name: values[order] for name, values in rival.columns.items()})
    assert [e.value for e in versus(own, b=shuffled)] == pytest.approx([e.value for e in whole])
    part = rival.take(np.arange(N) < 30)
    assert next(e for e in versus(own, b=part) if e.slice["score"] == "quality.clip_score").n == 30
    other = columns(make_view, np.zeros(N))
    other.columns["prompt_id"][:] = "elsewhere"
    (none,) = versus(own, b=other)
    assert none.status is Status.UNAVAILABLE


def test_a_pair_without_an_image_on_one_side_is_missing(make_view):
    own = columns(make_view, np.full(N, 0.3), outcome=["refused"] * 3 + ["image"] * (N - 3))
    rival = columns(make_view, np.full(N, 0.2))
    by_score = {e.slice["score"]: e for e in versus(own, b=rival)}
    assert (by_score["quality.clip_score"].n, by_score["quality.clip_score"].missing) == (N - 3, 3)
    assert by_score["outcomes.answered"].n == N  # a refusal is an answer to whether an image came
    assert by_score["outcomes.answered"].value == pytest.approx(-3 / N)


def test_no_rival_no_number(make_view):
    (found,) = METRIC(columns(make_view, np.full(N, 0.3)))
    assert (found.status, found.value) == (Status.UNAVAILABLE, None)


def test_distances_are_compared_in_each_space_by_prompts(make_view):
    rng = np.random.default_rng(2)
    reference = rng.normal(size=(400, 4)).astype(np.float32)
    x = rng.normal(0.5, 1, (N, 4)).astype(np.float32)
    y = (x - 0.4 + rng.normal(0, 0.05, (N, 4))).astype(np.float32)
    x[4] = np.nan
    refs = {"features.clip": reference}
    own = columns(make_view, np.zeros(N), clip__features=x, references=refs)
    rival = columns(make_view, np.zeros(N), clip__features=y, references=refs)
    found = next(e for e in versus(own, b=rival) if "features" in e.slice)
    kept = np.arange(N) != 4
    prompts = np.repeat(np.arange(PROMPTS), TIMES)[kept]
    expected = frechet_difference(x[kept], y[kept], reference, clusters=prompts)
    assert (found.value, found.low, found.high) == pytest.approx((expected.value, expected.low, expected.high))
    assert found.slice == {"score": "quality.frechet_distance", "against": "b", "features": "clip"}
    assert found.low > 0
    assert found.extra["better"] == "lower"


def test_intervals_and_p_values_hold_under_no_difference(make_view):
    """Prompts differ, images of a prompt are alike, generators are not different: 300 audits."""
    rng = np.random.default_rng(3)
    held, small = 0, 0
    for _ in range(300):
        prompt = np.repeat(rng.normal(0, 0.1, PROMPTS), TIMES)
        sides = [prompt + np.repeat(rng.normal(0, 0.02, PROMPTS), TIMES) + rng.normal(0, 0.03, N) for _ in range(2)]
        own, rival = (columns(make_view, 0.3 + side) for side in sides)
        found = next(e for e in versus(own, b=rival) if e.slice["score"] == "quality.clip_score")
        held += found.low <= 0 <= found.high
        small += found.extra["p"] <= 0.05
    assert held / 300 == pytest.approx(0.95, abs=0.035)
    assert small / 300 == pytest.approx(0.05, abs=0.035)


def test_every_measure_names_a_metric_that_there_is():
    assert {each.metric for each in MEASURES} <= set(METRICS)
