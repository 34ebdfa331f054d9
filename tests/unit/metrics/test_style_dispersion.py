# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from audit.metrics.style.dispersion import METRIC
from audit.stats.dispersion import dispersion
from audit.types import Status


def test_it_is_the_ratio_over_prompts_and_by_axis(make_view):
    rng = np.random.default_rng(0)
    prompts = [f"p{k}" for k in range(10) for _ in range(5)]
    steady = np.array([k < 25 for k in range(50)])
    means = np.repeat(rng.normal(size=(10, 6)), 5, axis=0)
    grams = (means + rng.normal(0, np.where(steady, 0.05, 1.0)[:, None], (50, 6))).astype(np.float32)
    job = ["steady" if s else "restless" for s in steady]
    found = METRIC(make_view(50, style__gram=grams, prompt_id=prompts, axis__job=job, by=("job",)))
    by = {e.slice.get("job", "all"): e for e in found}
    expected = dispersion([grams[k : k + 5].astype(float) for k in range(0, 50, 5)])
    assert (by["all"].value, by["all"].low, by["all"].high) == pytest.approx(
        (expected.value, expected.low, expected.high)
    )
    assert by["steady"].high < 0.05 < 0.2 < by["restless"].low
    assert by["all"].extra["within"] == pytest.approx(expected.within)


def test_images_without_an_embedding_and_prompts_of_one_are_left_out(make_view):
    rng = np.random.default_rng(1)
    grams = rng.normal(size=(21, 3)).astype(np.float32)
    grams[3] = np.nan
    prompts = [f"p{k // 4}" for k in range(20)] + ["lonely"]
    outcome = ["image"] * 7 + ["error"] + ["image"] * 13
    (found,) = METRIC(make_view(21, style__gram=grams, prompt_id=prompts, outcome=outcome))
    assert (found.n, found.clusters, found.missing) == (18, 5, 3)
    assert found.extra["prompts_left_out"] == 1


def test_too_few_prompts_or_no_difference(make_view):
    rng = np.random.default_rng(2)
    three = make_view(12, style__gram=rng.normal(size=(12, 3)), prompt_id=[f"p{k % 3}" for k in range(12)])
    same = make_view(12, style__gram=np.ones((12, 3)))
    empty = make_view(12, style__gram=[None] * 12, outcome=["refused"] * 12)
    for view, why in ((three, "needs 4"), (same, "nothing to compare"), (empty, "needs 4")):
        (found,) = METRIC(view)
        assert (found.status, found.value) == (Status.INSUFFICIENT, None)
        assert why in found.why
    assert METRIC(make_view(3))[0].status is Status.UNAVAILABLE
