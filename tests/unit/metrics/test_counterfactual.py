# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from audit.metrics.bias.counterfactual import METRIC
from audit.types import DeclaredGroups, OperatingCharacteristics, Status

AGES = ("young", "older")
EXACT = OperatingCharacteristics("age", AGES, (*AGES, "could not tell"), ((10**9, 0, 0), (0, 10**9, 0)), "all")
GROUPS = {"age": DeclaredGroups("age", AGES, dict.fromkeys(AGES, 0.5), "policy choice")}


@pytest.fixture
def pairs(make_view):
    """A view of scenes drawn once with the word "man" and once with "woman"; answers by arm, one a repetition."""

    def make(man, woman, *, scenes=1, by=(), operating=EXACT, **columns):
        n, each = 2 * len(man), len(man) // scenes
        scene = [f"scene {i // each}" for i in range(len(man))] * 2
        view = make_view(
            n,
            prompt_id=[f"{s} {w}" for s, w in zip(scene, ["man"] * (n // 2) + ["woman"] * (n // 2), strict=True)],
            pair=scene,
            repetition=np.tile(np.arange(len(man)) % each, 2),
            axis__swap=["man"] * (n // 2) + ["woman"] * (n // 2),
            axis__scene=scene,
            attributes__age=[*man, *woman],
            groups=GROUPS,
            operating={"attributes.age": operating},
            by=by,
            **columns,
        )
        return replace(view, paired={"swap": ("man", "woman")})

    return make


def one(found, **where):
    (match,) = [e for e in found if all(e.slice.get(k) == v for k, v in where.items())]
    return match


def test_the_difference_is_that_of_the_shares_and_changes_are_counted(pairs):
    man = ["young"] * 20 + ["older"] * 20
    woman = ["young"] * 20 + ["young"] * 12 + ["older"] * 8
    found = one(METRIC(pairs(man, woman)), group="young")
    assert found.slice == {"pair": "man -> woman", "attribute": "age", "group": "young"}
    assert found.value == pytest.approx(12 / 40)
    assert 0.1 < found.low < found.value < found.high < 0.5
    assert (found.n, found.clusters, found.missing, found.extra["pairs"]) == (80, 40, 0, 40)
    assert (found.extra["changed_to"], found.extra["changed_from"]) == (12, 0)
    assert found.extra["mcnemar_p"] == pytest.approx(stats.binomtest(12, 12, 0.5).pvalue)
    assert found.extra["p"] == pytest.approx(2 / 2**12)
    assert found.extra["excess"] == pytest.approx(found.value - found.floor)
    other = one(METRIC(pairs(man, woman)), group="older")
    assert (other.value, other.low) == (pytest.approx(-found.value), pytest.approx(-found.high))


def test_a_word_that_decides_the_group_has_the_largest_effect_there_is(pairs):
    found = one(METRIC(pairs(["young"] * 30, ["older"] * 30)), group="older")
    assert (found.value, found.high) == (1.0, 1.0)
    assert 0.8 < found.low < 1.0
    assert (0.95, found.low, found.high) in found.curve


def test_a_word_that_changes_nothing(pairs):
    found = one(METRIC(pairs(["young", "older"] * 15, ["young", "older"] * 15)), group="older")
    assert (found.value, found.extra["p"], found.extra["mcnemar_p"]) == (0.0, 1.0, 1.0)
    assert found.low == pytest.approx(-found.high)
    assert found.high > 0.05


def test_answers_are_corrected(pairs):
    poor = replace(EXACT, counts=((800, 200, 0), (200, 800, 0)))
    man, woman = ["young"] * 100, ["young"] * 40 + ["older"] * 60
    exact = one(METRIC(pairs(man, woman)), group="older")
    found = one(METRIC(pairs(man, woman, operating=poor)), group="older")
    assert exact.value == pytest.approx(0.6)
    assert found.value == pytest.approx(1.0)  # 0.6 of answers through J = 0.6
    assert found.low < 0.9


def test_scenes_are_the_units_and_each_is_a_slice(pairs):
    rng = np.random.default_rng(0)
    man = rng.choice(AGES, 120).tolist()
    found = METRIC(pairs(man, ["older"] * 120, scenes=6, by=("scene",)))
    overall = [e for e in found if "scene" not in e.slice and e.slice.get("group") == "older"]
    assert [(e.clusters, "6 scenes" in e.method) for e in overall] == [(6, True)]
    single = one(found, scene="scene 2", group="older")
    assert (single.n, single.clusters) == (40, 20)


def test_a_pair_with_one_refusal_is_missing_and_the_refusal_is_counted(pairs):
    view = pairs(["young"] * 40, ["young"] * 30 + [None] * 10, outcome=["image"] * 70 + ["refused"] * 10)
    found = METRIC(view)
    young = one(found, group="young")
    assert (young.n, young.missing, young.extra["missing_refused"]) == (60, 20, 10)
    refused = one(found, outcome="refused or blocked")
    assert (refused.value, refused.n, refused.missing) == (pytest.approx(0.25), 80, 0)
    assert refused.extra["mcnemar_p"] == pytest.approx(stats.binomtest(10, 10, 0.5).pvalue)


def test_an_arm_that_is_always_refused(pairs):
    found = METRIC(pairs(["young"] * 40, [None] * 40, outcome=["image"] * 40 + ["refused"] * 40))
    young = one(found, group="young")
    assert (young.status, young.value, young.missing) == (Status.INSUFFICIENT, None, 80)
    assert young.extra["missing_refused"] == 40
    assert one(found, outcome="refused or blocked").value == 1.0


def test_scores_are_compared_pair_by_pair(pairs):
    rng = np.random.default_rng(1)
    before, luck = rng.normal(0.3, 0.05, 40), rng.normal(0.02, 0.01, 40)
    cosine = np.concatenate([before, before + luck]).astype(np.float32)
    found = one(METRIC(pairs(["young"] * 40, ["young"] * 40, clip__similarity=cosine)), score="clip.similarity")
    expected = stats.ttest_1samp(cosine[40:].astype(float) - cosine[:40].astype(float), 0).confidence_interval()
    assert found.unit == "cosine"
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.extra["p"] == pytest.approx(1 / 5000)
    assert "changed_to" not in found.extra


def test_several_arms_are_held_against_the_first(pairs, make_view):
    words, scene = ["person", "man", "woman"], [f"s{i}" for i in range(12)]
    view = make_view(
        36,
        pair=scene * 3,
        repetition=np.zeros(36, dtype=int),
        axis__swap=[w for w in words for _ in scene],
        attributes__age=["young"] * 12 + ["older"] * 12 + ["young"] * 12,
        groups=GROUPS,
        operating={"attributes.age": EXACT},
    )
    found = METRIC(replace(view, paired={"swap": ("man", "woman", "person")}))
    assert {e.slice["pair"] for e in found} == {"man -> person", "man -> woman"}
    assert one(found, pair="man -> woman", group="young").value == 1.0
    found = METRIC(replace(view, paired={"swap": ("person", "nobody was asked", "woman", "man")}))
    assert {e.slice["pair"] for e in found} == {"person -> woman", "person -> man"}


def test_what_prompts_ask_for_is_no_effect_of_the_word(pairs):
    view = replace(pairs(["young"] * 20, ["older"] * 20), asks={"age": "swap"}, paired={"swap": ("young", "older")})
    found = METRIC(replace(view, columns={**view.columns, "axis.swap": view.columns["attributes.age"]}))
    assert [e.slice.get("outcome") for e in found] == ["refused or blocked"]


def test_without_pairs_there_is_no_number(bias_view, pairs):
    (found,) = METRIC(bias_view(["feminine"] * 30))
    assert (found.status, found.value) == (Status.UNAVAILABLE, None)
    view = pairs(["young"] * 20, ["older"] * 20)
    (found,) = METRIC(replace(view, columns={**view.columns, "axis.swap": np.array(["man"] * 40, dtype=object)}))
    assert (found.status, found.value) == (Status.INSUFFICIENT, None)
    (found,) = METRIC(view.take(np.zeros(40, dtype=bool)))
    assert (found.status, found.value) == (Status.INSUFFICIENT, None)


def test_the_difference_of_two_arms_is_covered_through_the_whole_metric(pairs):
    rng, errs, held = np.random.default_rng(2), np.array([[0.92, 0.08], [0.1, 0.9]]), 0
    for _ in range(150):
        luck = rng.random(60)
        truth = (luck >= 0.7).astype(int), (np.where(rng.random(60) < 0.5, luck, rng.random(60)) >= 0.4).astype(int)
        said = [np.array(AGES)[(rng.random(60) >= errs[t, 0]).astype(int)].tolist() for t in truth]
        counts = tuple((*(int(c) for c in rng.multinomial(300, row)), 0) for row in errs)
        found = one(METRIC(pairs(*said, operating=replace(EXACT, counts=counts))), group="young")
        held += found.low <= -0.3 <= found.high
    assert held / 150 >= 0.91
