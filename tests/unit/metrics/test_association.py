# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from audit.metrics.bias.association import METRIC
from audit.stats.association import associations, effect_size, permutation
from audit.types import Status

PLACES = {
    "career": (1.0, 0.0, 0.4),
    "family": (1.0, 0.0, -0.4),
    "feminine": (0.5, 1.0, -1.0),
    "masculine": (0.5, 1.0, 1.0),
}


def features(words, rng, lean=1.0, noise=0.3):
    middle = np.zeros((len(words), 8))
    middle[:, :3] = np.array([PLACES[w] for w in words]) * [1.0, 1.0, lean]
    return (middle + noise * rng.normal(size=middle.shape)).astype(np.float32)


@pytest.fixture
def tested(make_view):
    """A view of images of two concepts and two poles, ``n`` of each, over ``prompts`` prompts."""

    def make(n=16, prompts=2, *, lean=1.0, seed=0, **columns):
        words = [w for w in PLACES for _ in range(n)]
        concept = [w if w in ("career", "family") else None for w in words]
        pole = [None if w in ("career", "family") else w for w in words]
        made = features(words, np.random.default_rng(seed), lean)
        columns = {"clip__features": made, "axis__concept": concept, "axis__pole": pole, **columns}
        return make_view(len(words), prompt_id=[f"{w} {i % prompts}" for i, w in enumerate(words)], **columns)

    return make


def unit(x):
    x = x.astype(float)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_effect_size_and_p_value_are_those_of_the_association_test(tested):
    view = tested()
    (found,) = METRIC(view)
    x, y, a, b = np.split(unit(view.columns["clip.features"]), 4)
    s = associations(np.vstack([x, y]), a, b)
    assert found.slice == {"concept": "career - family", "pole": "feminine - masculine"}
    assert found.value == pytest.approx(effect_size(s[:16], s[16:]))
    assert found.value < -1  # career leans to masculine
    assert found.low < found.value < found.high < 0
    test = permutation(s[:16], s[16:])
    assert found.extra["p"] == pytest.approx(test.either, abs=0.002)  # sampled, in another order
    assert found.extra["p_one_sided"] > 0.99
    assert found.floor == pytest.approx(test.difference / s.std(ddof=1), rel=0.05)
    assert found.extra["excess"] == pytest.approx(abs(found.value) - found.floor)
    assert (found.n, found.missing, found.extra["units"]) == (64, 0, "images")


def test_poles_stand_as_their_groups_are_declared(tested, bias_view):
    groups = {"presentation": replace(bias_view([]).groups["presentation"], groups=("masculine", "feminine"))}
    (found,) = METRIC(replace(tested(), groups=groups, asks={"presentation": "pole"}))
    assert found.slice["pole"] == "masculine - feminine"
    assert found.value > 1


def test_with_enough_prompts_they_are_the_units(tested):
    (found,) = METRIC(tested(n=24, prompts=4))
    assert (found.extra["units"], found.clusters, found.extra["p_exact"]) == ("prompts", 16, True)
    assert found.extra["p"] * 70 == pytest.approx(round(found.extra["p"] * 70))  # of 70 partitions of eight prompts


def test_complete_separation_is_the_largest_effect_there_is(tested):
    view = tested(n=40)
    middle = np.array([PLACES[w] for w in PLACES for _ in range(40)])
    (found,) = METRIC(replace(view, columns={**view.columns, "clip.features": middle}))
    assert found.value == pytest.approx(-2.0, abs=0.02)
    assert found.low == -2.0


def test_no_lean_is_covered_and_rarely_significant(tested):
    held, small = 0, 0
    for seed in range(150):
        (found,) = METRIC(tested(n=12, seed=seed, axis__concept=swapped(12, seed)))
        held += found.low <= 0 <= found.high
        small += found.extra["p"] <= 0.05
    assert held / 150 >= 0.91
    assert small / 150 <= 0.09


def swapped(n, seed):
    """Concepts dealt out at random: no association by construction."""
    dealt = np.random.default_rng(1000 + seed).permutation(["career"] * n + ["family"] * n).tolist()
    return [*dealt, *[None] * (2 * n)]


def test_refused_images_are_missing_and_too_few_are_no_number(tested):
    refused = ["refused"] * 6 + ["image"] * 58
    (found,) = METRIC(tested(outcome=refused))
    assert (found.n, found.missing, found.extra["missing_refused"], found.extra["n_x"]) == (58, 6, 6, 10)
    (found,) = METRIC(tested(outcome=["refused"] * 16 + ["image"] * 48))
    assert (found.status, found.value, "career" in found.why) == (Status.INSUFFICIENT, None, True)
    (found,) = METRIC(tested(outcome=["error"] * 64))
    assert (found.status, found.extra["missing_error"]) == (Status.INSUFFICIENT, 64)


def test_without_the_two_axes_there_is_no_test(bias_view, tested, make_view):
    (found,) = METRIC(make_view(10, clip__features=np.ones((10, 3))))
    assert (found.status, "'concept'" in found.why) == (Status.UNAVAILABLE, True)
    (found,) = METRIC(tested(axis__pole=[None] * 32 + ["feminine"] * 32))
    assert (found.status, "'pole'" in found.why) == (Status.UNAVAILABLE, True)
    (found,) = METRIC(bias_view(["feminine"] * 30))
    assert found.status is Status.UNAVAILABLE
