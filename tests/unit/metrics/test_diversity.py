# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from audit.metrics.bias.diversity import METRIC
from audit.stats.diversity import copies_limit, diversity, vendi
from audit.types import Status


def scattered(n, rng, spread=0.3):
    return np.eye(24)[0] + spread * rng.normal(size=(n, 24))


@pytest.fixture
def drawn(bias_view):
    """A view of two prompts of ``n`` images each with the features given, one row an image."""

    def make(features, answers=None, **more):
        n = len(features)
        prompt = ["nurse"] * (n // 2) + ["CEO"] * (n - n // 2)
        more = {"prompt_id": prompt, "axis__occupation": prompt, "by": ("occupation",), **more}
        return bias_view(answers or ["feminine"] * n, clip__features=np.asarray(features), **more)

    return make


def one(found, **where):
    (match,) = [e for e in found if e.slice == where]
    return match


def test_images_at_right_angles_and_copies(drawn):
    found = METRIC(drawn(np.vstack([3 * np.eye(20), np.ones((20, 20))])))
    assert one(found, occupation="nurse").value == pytest.approx(8.0)
    copies = one(found, occupation="CEO")
    assert (copies.value, copies.low) == (pytest.approx(1.0), pytest.approx(1.0))
    assert copies.high == pytest.approx(copies_limit(20))
    overall = one(found)
    assert (overall.value, overall.n, overall.clusters) == (pytest.approx(4.5), 40, 2)
    assert overall.extra["pairwise_distance"] == pytest.approx(0.5)
    assert overall.extra["of_all_images"] == pytest.approx(10.5)


def test_a_prompt_is_scored_by_itself(drawn):
    rng = np.random.default_rng(0)
    features = scattered(48, rng).astype(np.float32)
    unit = features[:24].astype(float)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    found = one(METRIC(drawn(features)), occupation="nurse")
    assert found.value == pytest.approx(diversity(unit).value, rel=0.01)  # the rows are in another order
    assert found.extra["of_all_images"] == pytest.approx(float(vendi(unit)))
    assert found.low < found.value < found.high
    assert found.extra["pairwise_low"] < found.extra["pairwise_distance"] < found.extra["pairwise_high"]


def test_a_group_that_is_drawn_alike_is_seen_within_the_group(drawn):
    rng = np.random.default_rng(1)
    features = np.where(np.arange(80)[:, None] % 2, scattered(80, rng, 0.02), scattered(80, rng, 0.5))
    found = METRIC(drawn(features, ["feminine", "masculine"] * 40))
    varied, alike = (one(found, attribute="presentation", group=g) for g in ("feminine", "masculine"))
    assert alike.high < varied.low
    assert (varied.n, varied.extra["by"]) == (40, "perceived")


def test_groups_asked_for_are_those_of_the_prompts(drawn):
    features = scattered(40, np.random.default_rng(2))
    view = drawn(features, axis__who=["feminine"] * 20 + ["masculine"] * 20)
    found = METRIC(replace(view, asks={"presentation": "who"}))
    feminine = one(found, attribute="presentation", group="feminine")
    assert (feminine.n, feminine.extra["by"]) == (20, "asked")
    assert feminine.value == one(found, occupation="nurse").value


def test_prompts_with_too_few_images_are_left_out_and_counted(drawn):
    features = scattered(40, np.random.default_rng(3))
    view = drawn(features, outcome=["image"] * 25 + ["refused"] * 15)
    found = METRIC(view)
    overall, few = one(found), one(found, occupation="CEO")
    assert (overall.n, overall.missing, overall.extra["prompts_left_out"]) == (20, 20, 1)
    assert (few.status, few.value, few.n, few.extra["missing_refused"]) == (Status.INSUFFICIENT, None, 5, 15)


def test_a_group_that_is_never_seen_is_no_data(drawn):
    found = one(METRIC(drawn(scattered(40, np.random.default_rng(4)))), attribute="presentation", group="masculine")
    assert (found.status, found.value) == (Status.INSUFFICIENT, None)


def test_without_features_or_images(bias_view, drawn):
    (found,) = METRIC(bias_view(["feminine"] * 30))
    assert found.status is Status.UNAVAILABLE
    nothing = METRIC(drawn(np.ones((30, 4))).take(np.zeros(30, dtype=bool)))
    assert {e.status for e in nothing} == {Status.INSUFFICIENT}
    refused = METRIC(drawn(np.full((30, 4), np.nan), outcome=["refused"] * 30))
    assert {e.status for e in refused} == {Status.INSUFFICIENT}
    assert one(refused).extra["missing_refused"] == 30
